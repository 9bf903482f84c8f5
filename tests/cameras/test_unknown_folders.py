"""Folders with uploads but without a camera: suggested to users who may add cameras, within limits."""

from __future__ import annotations

import html
import os
import threading
from concurrent.futures import wait
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from cameras.folders import unknown as unknown_folders
from cameras.folders.unknown import MAX_DEPTH, FolderSuggestions, suggestions_for
from cameras.models import Camera
from cameras.registry import trash_camera
from nvr.audit.models import AuditEntry
from reviewer.models import ReviewPath
from tests.factories import jpeg, make_camera, make_user, put, put_system_files

LIST = "/admin/cameras/camera/"
TITLE = "Uploads from an unknown camera"


@pytest.fixture
def root(settings: Any, tmp_path: Path) -> Path:
    settings.NVR_CAMERA_ROOT = tmp_path / "cams"
    settings.NVR_CAMERA_ROOT.mkdir()
    return settings.NVR_CAMERA_ROOT


@pytest.fixture
def upload(root: Path) -> Any:
    def put_there(below: str, data: bytes = b"x") -> Path:
        return put(root, below, data)

    return put_there


@pytest.fixture
def desk(admin: User) -> Client:
    return signed_in(admin)


def signed_in(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def offered(root: Path, user: User) -> list[str]:
    return [str(Path(folder.path).relative_to(root)) for folder in suggestions_for(user).folders]


def page_of(client: Client) -> str:
    response = client.get(LIST)
    assert response.status_code == 200
    return html.unescape(response.content.decode())


def test_the_topmost_folder_with_pictures_or_videos_is_suggested_once(root: Path, upload: Any, admin: User) -> None:
    upload("gate/2026/01/31/a.JPG")
    upload("gate/2026/02/01/b.jpg")
    upload("yard/v.mkv")
    upload("papers/readme.txt")
    (root / "empty").mkdir()

    assert offered(root, admin) == ["gate", "yard"]


def test_folders_of_live_and_trashed_cameras_are_not_suggested(root: Path, upload: Any, admin: User) -> None:
    for name in ("live/a.jpg", "live/more/a.jpg", "trashed/a.jpg", "off/a.jpg"):
        upload(name)
    assert len(offered(root, admin)) >= 3

    make_camera("Live", folder_path=str(root / "live"))
    make_camera("Trashed", folder_path=str(root / "trashed"), deleted_at=timezone.now())
    make_camera("Off", folder_path=str(root / "off"), enabled=False)

    assert offered(root, admin) == []


def test_siblings_of_a_cameras_folder_are_suggested(root: Path, upload: Any, admin: User) -> None:
    for name in ("house/door/a.jpg", "house/yard/a.jpg", "house/attic/deep/a.jpg", "shed/in/cam/a.jpg", "shed/a.jpg"):
        upload(name)
    make_camera("Door", folder_path=str(root / "house" / "door"))
    make_camera("Cam", folder_path=str(root / "shed" / "in" / "cam"))

    assert offered(root, admin) == ["house/attic", "house/yard", "shed"]


def test_if_a_camera_owns_the_whole_root_nothing_is_suggested(root: Path, upload: Any, admin: User) -> None:
    upload("gate/a.jpg")
    assert offered(root, admin) != []

    make_camera("All", folder_path=str(root))

    assert offered(root, admin) == []


@pytest.mark.parametrize("place", [".", ".."])
def test_a_trashed_camera_of_the_whole_root_hides_no_suggestion(
    root: Path, upload: Any, admin: User, desk: Client, place: str
) -> None:
    for name in ("gate/a.jpg", "door/a.jpg", "old/a.jpg", "top.jpg"):
        upload(name)
    folder = os.path.normpath(root / place)
    everything = make_camera("All", folder_path=folder)
    make_camera("Door", folder_path=str(root / "door"))
    make_camera("Old", folder_path=str(root / "old"), deleted_at=timezone.now())
    assert offered(root, admin) == []

    trash_camera(admin, everything)

    assert offered(root, admin) == ["gate"]
    assert "All, a camera in the trash" in suggestions_for(admin).note
    assert TITLE in page_of(desk) and TITLE in live_view_of(desk)


def test_only_the_shown_folders_are_described(
    root: Path, upload: Any, admin: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(30):
        upload(f"gate_{number:02}/a.jpg")
    described, really = [], unknown_folders.unknown_folder
    monkeypatch.setattr(unknown_folders, "unknown_folder", lambda below: described.append(below) or really(below))

    offer = suggestions_for(admin)

    assert (len(offer.folders), offer.more) == (20, 10)
    assert described == [f"gate_{number:02}" for number in range(20)]


def test_the_target_of_a_cameras_link_is_not_suggested(root: Path, upload: Any, admin: User) -> None:
    upload("real/a.jpg")
    (root / "link").symlink_to(root / "real")
    assert offered(root, admin) != []

    make_camera("Linked", folder_path=str(root / "link"))

    assert offered(root, admin) == []


def test_hidden_files_links_and_special_files_are_ignored(root: Path, upload: Any, admin: User, tmp_path: Path) -> None:
    upload(".hidden/a.jpg")
    upload("dots/.a.jpg")
    put(tmp_path / "outside", "a.jpg", jpeg())
    (root / "linked").symlink_to(tmp_path / "outside")
    (root / "links").mkdir()
    (root / "links" / "a.jpg").symlink_to(tmp_path / "outside" / "a.jpg")
    (root / "pipes").mkdir()
    os.mkfifo(root / "pipes" / "a.jpg")
    (root / "folders" / "a.jpg").mkdir(parents=True)
    assert offered(root, admin) == []

    upload("pipes/plain.jpg")
    assert offered(root, admin) != []


def test_the_search_depth_equals_that_for_a_cameras_files(root: Path, upload: Any, admin: User) -> None:
    upload("seen/" + "d/" * MAX_DEPTH + "a.jpg")
    upload("too_deep/" + "d/" * (MAX_DEPTH + 1) + "a.jpg")

    assert offered(root, admin) == ["seen"]


def test_the_suggested_name_is_derived_from_the_folder(root: Path, upload: Any, admin: User) -> None:
    for name in ("front-door_2", "FI9900P", "前門", "---", "deleted"):
        upload(f"{name}/a.jpg")

    names = {Path(folder.path).name: folder.name for folder in suggestions_for(admin).folders}

    assert names == {"front-door_2": "Front door 2", "FI9900P": "FI9900P", "前門": "前門", "---": "", "deleted": ""}


def test_a_folder_that_cannot_be_used_shows_the_reason(root: Path, upload: Any, admin: User, desk: Client) -> None:
    upload("what?/a.jpg")
    upload(os.fsdecode(b"caf\xe9/a.jpg"))
    upload("two\nlines/a.jpg")

    faults = {Path(folder.path).name: folder.fault for folder in suggestions_for(admin).folders}

    assert faults == {
        "what?": "A camera's folder must not contain ?: rename it to add it.",
        "caf\ufffd": "Its name is not UTF-8: rename it to add it.",
        "two\nlines": "A camera's folder must not contain control characters: rename it to add it.",
    }
    page = page_of(desk)
    assert "Its name is not UTF-8" in page
    assert "Add it" not in page


def test_a_suggestion_above_the_list_opens_the_prefilled_form(root: Path, upload: Any, desk: Client) -> None:
    upload("Tor & Hof/a.jpg")

    page = desk.get(LIST).content.decode()
    address = html.unescape(page.partition('class="button" href="')[2].partition('"')[0])
    form = desk.get(address).context["adminform"].form

    assert TITLE in page
    assert form.get_initial_for_field(form.fields["name"], "name") == "Tor & Hof"
    assert form.get_initial_for_field(form.fields["folder_path"], "folder_path") == str(root / "Tor & Hof")
    assert not Camera.everything.exists()
    assert not AuditEntry.objects.exists()


def test_an_added_folder_is_no_longer_suggested(root: Path, upload: Any, admin: User, desk: Client) -> None:
    upload("gate/a.jpg")
    assert TITLE in page_of(desk)

    make_camera("Gate", folder_path=str(root / "gate"))

    assert TITLE not in page_of(desk)


def test_folder_names_are_escaped_in_the_page(root: Path, upload: Any, desk: Client) -> None:
    upload('"><script>alert(1)<\\/a.jpg')
    upload("it's & so/a.jpg")

    page = desk.get(LIST).content
    assert b"&lt;script&gt;alert" in page
    assert b"<script>alert" not in page


@pytest.mark.parametrize(
    ("permissions", "told"),
    [
        (("cameras.add_camera", "cameras.view_all", "cameras.view_camera"), True),
        (("cameras.add_camera", "cameras.view_camera"), False),
        (("cameras.change_camera", "cameras.view_all", "cameras.view_camera"), False),
    ],
)
def test_only_users_who_may_add_cameras_and_see_all_get_suggestions(
    db: None, root: Path, upload: Any, permissions: tuple[str, ...], told: bool
) -> None:
    upload("gate/a.jpg")
    user = make_user("guard", *permissions, is_staff=True)

    assert (TITLE in page_of(signed_in(user))) is told
    assert bool(suggestions_for(user).folders) is told


def test_the_search_stops_after_the_maximum_of_entries_and_reports_it(
    root: Path, upload: Any, admin: User, desk: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unknown_folders, "MAX_ENTRIES", 50)
    upload("gate/a.jpg")
    for number in range(60):
        upload(f"papers/{number}.txt")

    assert "after 50 entries" in suggestions_for(admin).note
    assert "after 50 entries: there may be more." in page_of(desk)


def test_folders_of_cameras_are_not_searched(root: Path, upload: Any, admin: User) -> None:
    for number in range(300):
        upload(f"camera_{number}/a.jpg")
        make_camera(f"Camera {number}", folder_path=str(root / f"camera_{number}"))
    upload("gate/a.jpg")

    search = unknown_folders.Search(str(root.resolve()), unknown_folders.current_folders())
    search.run()

    assert search.found == ["gate"]
    assert search.entries_left == unknown_folders.MAX_ENTRIES - 302


def test_the_search_has_a_time_limit(root: Path, upload: Any, admin: User, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unknown_folders, "SEARCH_TIMEOUT_S", 0)
    upload("gate/a.jpg")

    assert suggestions_for(admin) == FolderSuggestions([], 0, "The search stopped after 0 s: there may be more.")


def test_a_hanging_root_does_not_delay_the_page(
    root: Path, admin: User, desk: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    answered = threading.Event()
    monkeypatch.setattr(unknown_folders._probe, "timeout_s", 0.1)
    monkeypatch.setattr(unknown_folders.Search, "run", lambda search: answered.wait(20))
    try:
        for _ in range(2):
            assert "does not respond" in page_of(desk)
    finally:
        answered.set()


def test_a_missing_root_is_reported(root: Path, admin: User) -> None:
    root.rmdir()

    assert suggestions_for(admin).note == f"The camera root {root} cannot be read (No such file or directory)."


def test_the_first_folders_are_shown_and_the_others_counted(root: Path, upload: Any, desk: Client) -> None:
    for number in range(23):
        upload(f"gate_{number:02}/a.jpg")

    page = page_of(desk)

    assert page.count("Add it") == 20
    assert "And 3 more." in page


def test_system_folders_are_not_suggested(root: Path, admin: User) -> None:
    put_system_files(root)
    put_system_files(root / "shared")
    put(root, "gate/a.jpg", b"x")

    assert offered(root, admin) == ["gate"]


def test_review_paths_are_not_suggested(root: Path, upload: Any, admin: User) -> None:
    for name in ("card/DCIM/a.jpg", "gate/a.jpg", "yard/trail/a.jpg", "yard/door/a.jpg"):
        upload(name)
    make_camera("Door", folder_path=str(root / "yard" / "door"))
    for name in ("card", "yard"):
        ReviewPath.objects.create(path=str((root / name).resolve()))

    assert offered(root, admin) == ["gate"]


def test_reviewing_the_whole_root_hides_no_suggestion(root: Path, upload: Any, admin: User) -> None:
    upload("gate/a.jpg")
    ReviewPath.objects.create(path=str(root.resolve()))

    assert offered(root, admin) == ["gate"]


def live_view_of(client: Client) -> str:
    return html.unescape(client.get("/").content.decode())


def test_the_live_view_shows_suggestions_to_users_who_may_add_cameras(root: Path, upload: Any, desk: Client) -> None:
    upload("gate/a.jpg")
    watcher = make_user("ann", "cameras.view_all", is_staff=True)

    empty = live_view_of(desk)
    make_camera("Door", folder_path=str(root / "door"))
    full = live_view_of(desk)

    for page in (empty, full):
        assert TITLE in page
        assert f"{root}/gate" in page
        assert "/admin/cameras/camera/add/?name=Gate" in page
    assert TITLE not in live_view_of(signed_in(watcher))


def test_the_live_data_contains_new_suggestions(root: Path, upload: Any, desk: Client) -> None:
    upload("gate/a.jpg")

    assert len(desk.get("/live.json").json()["unknown_folders"]) == 1
    assert signed_in(make_user("ann")).get("/live.json").json()["unknown_folders"] == []


def test_a_dismissed_notice_returns_only_for_another_folder(root: Path, upload: Any, desk: Client) -> None:
    upload("gate/a.jpg")
    (key,) = desk.get("/live.json").json()["unknown_folders"]
    assert TITLE in live_view_of(desk)

    desk.cookies["nvr_closed_folders"] = f"00000000.{key}"
    assert TITLE not in live_view_of(desk)
    assert desk.get("/live.json").json()["unknown_folders"] == []

    upload("yard/a.jpg")
    unknown_folders._recent.clear()
    assert f"{root}/yard" in live_view_of(desk)
    assert f"{root}/gate" not in live_view_of(desk)


def test_any_number_of_dismissed_folders_hides_no_later_one(root: Path, upload: Any, desk: Client) -> None:
    for number in range(unknown_folders.MAX_SUGGESTED + 5):
        upload(f"gate {number:02}/a.jpg")
    keys = desk.get("/live.json").json()["unknown_folders"]
    assert len(keys) == unknown_folders.MAX_SUGGESTED + 5

    desk.cookies["nvr_closed_folders"] = ".".join(keys)
    assert TITLE not in live_view_of(desk)

    upload("yard/a.jpg")
    unknown_folders._recent.clear()
    assert f"{root}/yard" in live_view_of(desk)
    assert len(desk.get("/live.json").json()["unknown_folders"]) == 1


def test_the_live_view_does_not_wait_for_the_search_and_shows_its_result_next_time(
    root: Path, upload: Any, desk: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    upload("gate/a.jpg")
    may_go_on = threading.Event()
    really, quick = unknown_folders.Search.run, unknown_folders._quick_probe

    def held_up(search: unknown_folders.Search) -> None:
        may_go_on.wait(20)
        really(search)

    monkeypatch.setattr(unknown_folders.Search, "run", held_up)
    first = live_view_of(desk)
    may_go_on.set()
    wait([*quick._running.values()], timeout=20)

    assert TITLE not in first
    assert TITLE in live_view_of(desk)
