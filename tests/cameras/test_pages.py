"""The live view, a camera's page, and signing in."""

from __future__ import annotations

import html
import os
import re
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from django.test import Client
from django.utils import timezone
from django.utils.dateparse import parse_datetime
from django.utils.http import http_date

from cameras.models import Camera
from nvr.audit.models import AuditEntry
from tests.conftest import Clock
from tests.factories import PASSWORD, folder_of, jpeg, make_camera, make_user, make_video, put
from tests.hostile import jpeg_with_many_scans


@pytest.fixture
def browser(admin: User) -> Client:
    client = Client()
    client.force_login(admin)
    return client


def browser_of(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def tiles(client: Client, query: str = "") -> list[dict[str, object]]:
    response = client.get(f"/live.json{query}")
    assert response.status_code == 200
    assert response["Cache-Control"] == "private, no-store"
    return response.json()["tiles"]


@pytest.mark.parametrize("page", ["/", "/live.json", "/cameras/front_door", "/password", "/api/docs", "/admin/"])
def test_an_anonymous_user_is_redirected_to_the_login_and_back(camera: Camera, page: str) -> None:
    response = Client().get(page)

    assert response.status_code == 302
    assert response["Location"].split("?next=")[1].strip() == page
    assert "login" in response["Location"]


def test_the_live_view_shows_each_camera_with_picture_status_and_age(
    browser: Client, camera: Camera, pictures: list[str]
) -> None:
    page = browser.get("/").content.decode()

    assert "Front Door" in page
    assert "Online" in page
    assert "/api/cameras/front_door/snapshot?v=" in page
    assert "s ago" in page
    assert "data-stale" not in page.split('data-tile="front_door"')[1].split(">")[0]


def test_an_empty_live_view_explains_what_to_do(admin: User, outsider: User) -> None:
    assert "/admin/cameras/camera/add/" in browser_of(admin).get("/").content.decode()
    page = browser_of(outsider).get("/").content.decode()
    assert "/admin/" not in page
    assert "No camera is shared with you yet" in page


def test_a_picture_older_than_usual_stays_sharp_and_its_age_is_marked(browser: Client, camera: Camera) -> None:
    put(folder_of(camera), "a.jpg", jpeg(), age_s=3600)

    (tile,) = tiles(browser)
    page = browser.get("/").content.decode()

    assert (tile["is_old"], tile["is_stale"], tile["stale_reason"]) == (True, False, "")
    assert "data-old" in page.split('data-tile="front_door"')[1].split(">")[0]
    assert "data-stale" not in page.split('data-tile="front_door"')[1].split(">")[0]


@pytest.mark.parametrize("status", ["offline", "error"])
def test_the_picture_of_an_unavailable_camera_is_stale_at_any_age(
    browser: Client, camera: Camera, pictures: list[str], status: str
) -> None:
    Camera.objects.update(status=status, status_reason="The cable is cut.", last_seen_at=timezone.now())

    (tile,) = tiles(browser)

    assert tile["is_stale"] is True
    assert "No picture for" in str(tile["stale_reason"]) or not tile["picture_at"]
    assert tile["stale_detail"] == "The cable is cut."


def test_live_json_contains_a_new_picture(browser: Client, camera: Camera, pictures: list[str]) -> None:
    (before,) = tiles(browser)

    put(folder_of(camera), "d.jpg", jpeg(seed=9), age_s=1)

    (after,) = tiles(browser)
    assert after["slug"] == "front_door"
    assert after["snapshot_url"] != before["snapshot_url"]
    assert str(after["picture_at"]) > str(before["picture_at"])


@pytest.mark.parametrize(
    ("name", "content"),
    [("b.jpg", b""), ("b.jpg", b"noise" * 100), ("b.jpg", jpeg()[:-200]), ("b.bmp", b"BM"), ("b.mp4", b"noise" * 100)],
)
def test_the_age_is_that_of_the_shown_picture(browser: Client, camera: Camera, name: str, content: bytes) -> None:
    put(folder_of(camera), "a.jpg", jpeg(), age_s=3600)
    put(folder_of(camera), name, content, age_s=5)
    Camera.objects.update(last_seen_at=timezone.now())

    (tile,) = tiles(browser)

    assert tile["is_old"] is True
    shown = browser.get(str(tile["snapshot_url"]))
    assert shown["Last-Modified"] == http_date(parse_datetime(str(tile["picture_at"])).timestamp())  # type: ignore[union-attr]


def test_a_picture_from_the_future_ages_from_its_arrival_and_the_wrong_clock_is_reported(
    browser: Client, camera: Camera, settings: Any
) -> None:
    put(folder_of(camera), "a.jpg", jpeg(), age_s=-86_400 * 3 - 60)
    settings.NVR_STALE_AFTER = timedelta(0)

    (tile,) = tiles(browser)
    page = browser.get("/cameras/front_door").content.decode()

    assert tile["is_old"] is True
    assert parse_datetime(str(tile["picture_at"])) <= timezone.now()  # type: ignore[operator]
    assert "Clock ahead" in browser.get("/").content.decode()
    assert "3 days ahead by its newest file: set its clock" in page


def test_an_invalid_picture_is_not_the_last_picture(browser: Client, camera: Camera) -> None:
    """Its header and trailer are valid, but the decoder rejects it."""
    put(folder_of(camera), "a.jpg", jpeg(), age_s=3600)
    put(folder_of(camera), "b.jpg", jpeg_with_many_scans(200), age_s=5)
    Camera.objects.update(last_seen_at=timezone.now())
    (tile,) = tiles(browser)
    assert browser.get(str(tile["snapshot_url"])).status_code == 200

    (tile,) = tiles(browser)

    shown = browser.get(str(tile["snapshot_url"]))
    assert shown["Last-Modified"] == http_date(parse_datetime(str(tile["picture_at"])).timestamp())  # type: ignore[union-attr]


def test_a_picture_with_data_after_its_end_is_shown(browser: Client, camera: Camera) -> None:
    put(folder_of(camera), "a.jpg", jpeg() + b"maker's notes", age_s=5)

    (tile,) = tiles(browser)

    assert tile["picture_at"]
    assert tile["is_old"] is False


def test_a_camera_without_a_valid_picture_shows_none(browser: Client, camera: Camera) -> None:
    put(folder_of(camera), "a.jpg", b"noise" * 100, age_s=5)
    Camera.objects.update(last_seen_at=timezone.now())

    (tile,) = tiles(browser)

    assert (tile["snapshot_url"], tile["picture_at"]) == ("", "")


def test_a_camera_without_pictures_has_no_picture_url(browser: Client, camera: Camera) -> None:
    (tile,) = tiles(browser)

    assert (tile["snapshot_url"], tile["picture_at"], tile["is_old"]) == ("", "", False)


def test_the_live_view_is_filtered_by_status(browser: Client, camera: Camera) -> None:
    make_camera("Yard", status="error")

    assert [tile["slug"] for tile in tiles(browser, "?status=error")] == ["yard"]
    assert [tile["slug"] for tile in tiles(browser, "?status=nonsense")] == ["front_door", "yard"]
    page = browser.get("/?status=error").content.decode()
    assert 'data-tile="yard"' in page
    assert 'data-tile="front_door"' not in page


def test_users_see_only_their_cameras(member: User, family_camera: Camera, camera: Camera) -> None:
    client = browser_of(member)

    assert [tile["slug"] for tile in tiles(client)] == ["back_yard"]
    assert "Front Door" not in client.get("/").content.decode()
    assert client.get("/cameras/back_yard").status_code == 200
    assert client.get("/cameras/front_door").status_code == 404
    assert "/admin/" not in client.get("/cameras/back_yard").content.decode()
    assert family_camera.folder_path not in client.get("/cameras/back_yard").content.decode()


def test_a_cameras_page_lists_its_newest_files(browser: Client, camera: Camera, pictures: list[str]) -> None:
    put(folder_of(camera), "day/clip one.mp4", b"x" * 100, age_s=100)

    page = browser.get("/cameras/front_door").content.decode()

    assert page.index('title="c.jpg') < page.index('title="b.jpg') < page.index('title="a.jpg')
    assert "?file=day%2Fclip+one.mp4" in page
    assert f"/admin/cameras/camera/{camera.pk}/change/" in page


@pytest.mark.parametrize("camera_id", ["uuid", "front_door"])
def test_a_cameras_page_opens_by_slug_and_uuid(browser: Client, camera: Camera, camera_id: str) -> None:
    assert browser.get(f"/cameras/{camera.uuid if camera_id == 'uuid' else camera_id}").status_code == 200


def test_a_file_has_its_neighbours_and_a_download(browser: Client, camera: Camera, pictures: list[str]) -> None:
    page = browser.get("/cameras/front_door?file=b.jpg").content.decode()

    assert "/api/media/cameras/front_door/b.jpg" in page
    assert "download=1" in page
    assert 'rel="prev"' in page and "?file=c.jpg" in page
    assert 'rel="next"' in page and "?file=a.jpg" in page


@pytest.mark.parametrize("file", ["nope.jpg", "../../etc/passwd", "%00", "%ff", "x" * 3000])
def test_an_unknown_file_shows_the_live_picture(
    browser: Client, camera: Camera, pictures: list[str], file: str
) -> None:
    response = browser.get(f"/cameras/front_door?file={file}")

    assert response.status_code == 200
    assert b"data-live-url" in response.content


def put_bytes(camera: Camera, name: bytes, data: bytes, *, age_s: float) -> None:
    path = os.fsencode(camera.folder_path) + b"/" + name
    os.makedirs(os.path.dirname(path), exist_ok=True)  # a name that is not text
    with open(path, "wb") as file:
        file.write(data)
    timestamp = time.time() - age_s
    os.utime(path, (timestamp, timestamp))


@pytest.mark.parametrize("name", [b"caf\xe9.jpg", b"\xff/a.jpg", b"caf\xe9.mp4"])
def test_a_name_that_is_not_utf_8_is_listed_with_the_reason_why_it_has_no_link(
    browser: Client, camera: Camera, pictures: list[str], name: bytes
) -> None:
    put_bytes(camera, name, jpeg(seed=9), age_s=12)  # in the middle of the others

    page = browser.get("/cameras/front_door").content.decode()

    assert "4 shown" in page
    assert name.decode("utf-8", "replace") in page
    assert page.count("names are not UTF-8") == page.count("Rename it") == 1
    assert page.count("data-file") == 3
    assert addresses(page) and "%EF%BF%BD" not in page and "%FF" not in page and "%E9" not in page
    for address in addresses(page):
        assert browser.get(address).status_code == 200, address


def addresses(page: str) -> set[str]:
    found = re.findall(r'(?:src|href)="(/(?:api|cameras)/[^"]*)"', page)
    return {html.unescape(address) for address in found}


def test_a_file_whose_name_is_not_utf_8_is_skipped_when_stepping(
    browser: Client, camera: Camera, pictures: list[str]
) -> None:
    put_bytes(camera, b"caf\xe9.jpg", jpeg(seed=9), age_s=22)  # between b.jpg and c.jpg

    page = browser.get("/cameras/front_door?file=c.jpg").content.decode()

    assert re.search(r'href="[^"]*file=b.jpg" rel="next"', page)
    assert browser.get("/cameras/front_door?file=caf%EF%BF%BD.jpg").content.decode().count("data-live-url")


def test_the_newest_picture_is_shown_even_if_its_name_is_not_utf_8(
    browser: Client, camera: Camera, pictures: list[str]
) -> None:
    newest = jpeg(seed=9)
    put_bytes(camera, b"caf\xe9.jpg", newest, age_s=4)

    (tile,) = tiles(browser)
    whole = browser.get("/api/cameras/front_door/snapshot")

    assert browser.get(str(tile["snapshot_url"])).status_code == 200
    assert (whole.status_code, whole.content) == (200, newest)
    assert browser.get("/").status_code == 200


def test_a_frame_of_a_video_whose_name_is_not_utf_8_is_shown(browser: Client, camera: Camera, tmp_path: Path) -> None:
    put_bytes(camera, b"caf\xe9.mp4", make_video(tmp_path / "a.mp4").read_bytes(), age_s=10)

    (tile,) = tiles(browser)

    assert browser.get(str(tile["snapshot_url"])).status_code == 200


@pytest.mark.parametrize("folder", ["/nowhere/at/all", "/etc"])
def test_a_camera_with_an_unreadable_folder_still_has_a_page(browser: Client, folder: str) -> None:
    make_camera("Lost", folder_path=folder, status="error", status_reason="The folder is gone.")

    page = browser.get("/cameras/lost").content.decode()

    assert "The folder is gone." in page
    assert browser.get("/").status_code == 200


@pytest.mark.parametrize("page", ["/cameras/nobody", "/nowhere", "/cameras/%00", "/cameras/a/b"])
def test_an_unknown_camera_is_a_404_page(browser: Client, page: str) -> None:
    response = browser.get(page)

    assert response.status_code == 404
    assert response["Content-Type"].startswith("text/html")


def test_the_local_time_is_in_the_cameras_time_zone(browser: Client, camera: Camera) -> None:
    Camera.objects.update(time_zone="Asia/Tokyo")
    put(folder_of(camera), "a.jpg", jpeg())

    page = browser.get("/cameras/front_door").content.decode()

    tokyo = timezone.now() + timedelta(hours=9)
    assert "Asia/Tokyo" in page
    assert f"{tokyo:%H:}" in page


def test_users_sign_in_and_out(camera: Camera, family: Group) -> None:
    make_user("kim", groups=(family,))
    client = Client()

    wrong = client.post("/login", {"username": "kim", "password": "wrong"})
    right = client.post("/login?next=/cameras/front_door", {"username": "kim", "password": PASSWORD})

    assert wrong.status_code == 200
    assert "name and password" in wrong.content.decode() or "username and password" in wrong.content.decode()
    assert right["Location"] == "/cameras/front_door"
    assert client.get("/").status_code == 200
    assert client.get("/logout")["Location"] == "/"  # the form's URL opened with GET: it does not sign out
    assert client.post("/logout").status_code in {200, 302}
    assert client.get("/").status_code == 302


def test_the_login_does_not_redirect_to_other_sites(db: None) -> None:
    make_user("kim")

    response = Client().post("/login?next=https://evil.example/", {"username": "kim", "password": PASSWORD})

    assert response["Location"] == "/"


def test_inactive_users_cannot_sign_in_and_are_signed_out_at_once(db: None) -> None:
    user = make_user("kim")
    client = browser_of(user)
    User.objects.update(is_active=False)

    assert client.get("/").status_code == 302
    assert Client().post("/login", {"username": "kim", "password": PASSWORD}).status_code == 200


def test_the_password_is_changed_and_other_sessions_end(db: None) -> None:
    user = make_user("kim")
    here, there = browser_of(user), browser_of(user)
    new = "another long pass phrase"

    refused = here.post("/password", {"old_password": "x", "new_password1": new, "new_password2": new})
    done = here.post("/password", {"old_password": PASSWORD, "new_password1": new, "new_password2": new}, follow=True)

    assert refused.status_code == 200
    assert done.status_code == 200
    assert here.get("/").status_code == 200
    assert there.get("/").status_code == 302
    entry = AuditEntry.objects.get(action="password_changed")
    assert (entry.actor_name, entry.target_name, entry.changes) == ("kim", "kim", {})


def test_a_weak_password_is_rejected(db: None) -> None:
    client = browser_of(make_user("kim"))

    for weak in ("short", "12345678901", "password123"):
        response = client.post("/password", {"old_password": PASSWORD, "new_password1": weak, "new_password2": weak})
        assert response.status_code == 200


def test_the_eleventh_login_attempt_gets_a_429_page(db: None, still_clock: Clock) -> None:
    client = Client()
    for _ in range(10):
        assert client.post("/login", {"username": "kim", "password": "x"}).status_code == 200

    response = client.post("/login", {"username": "kim", "password": "x"})

    assert response.status_code == 429
    assert int(response["Retry-After"]) > 0
    assert response["Content-Type"].startswith("text/html")
    assert client.post("/login", {"username": "pat", "password": "x"}).status_code == 200


def test_a_form_without_a_csrf_token_gets_an_error_page(db: None) -> None:
    client = Client(enforce_csrf_checks=True)

    response = client.post("/login", {"username": "kim", "password": "x"})

    assert response.status_code == 403
    assert response["Content-Type"].startswith("text/html")


def test_the_live_view_makes_the_same_queries_for_two_cameras_and_for_twenty(
    browser: Client, django_assert_max_num_queries
) -> None:
    for number in range(20):
        make_camera(f"cam{number}")

    with django_assert_max_num_queries(12):
        browser.get("/")
