"""GET /api/cameras/{id}/snapshot: the newest complete picture, for users who may see the camera."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from pathlib import Path

import pytest
from django.contrib.auth.models import Group, User
from django.test import Client
from PIL import Image
from rest_framework.test import APIClient

from cameras import snapshots
from cameras.folders.access import newest_files
from cameras.models import Camera
from nvr.media.images.decoder import pictures
from tests.conftest import client_of
from tests.factories import folder_of, jpeg, make_camera, make_user, make_video, put
from tests.hostile import jpeg_with_many_scans

SNAPSHOT = "/api/cameras/front_door/snapshot"


def bytes_of(response) -> bytes:
    return b"".join(response.streaming_content) if response.streaming else response.content


def encoded(kind: str, *, width: int = 64, height: int = 48, colour: str = "teal") -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (width, height), colour).save(buffer, kind)
    return buffer.getvalue()


def problem(response, status: int) -> str:
    assert response.status_code == status, bytes_of(response)
    assert response["Content-Type"] == "application/problem+json"
    return response.json()["detail"]


def test_the_newest_picture_by_time_is_served_inline(stranger: APIClient, camera: Camera) -> None:
    put(folder_of(camera), "z.jpg", jpeg(seed=1), age_s=30)
    put(folder_of(camera), "a.jpg", jpeg(seed=2), age_s=10)

    response = stranger.get(SNAPSHOT)

    assert response.status_code == 200
    assert response["Content-Type"] == "image/jpeg"
    assert response["Content-Disposition"] == 'inline; filename="a.jpg"'
    assert response["X-Content-Type-Options"] == "nosniff"
    assert bytes_of(response) == jpeg(seed=2)


@pytest.mark.parametrize(
    ("name", "kind", "content_type"),
    [
        ("a.jpg", "JPEG", "image/jpeg"),
        ("a.JPEG", "JPEG", "image/jpeg"),
        ("a.Png", "PNG", "image/png"),
        ("a.GIF", "GIF", "image/gif"),
    ],
)
def test_each_documented_type_has_its_content_type(
    stranger: APIClient, camera: Camera, name: str, kind: str, content_type: str
) -> None:
    put(folder_of(camera), name, encoded(kind))

    assert stranger.get(SNAPSHOT)["Content-Type"] == content_type


def test_it_changes_with_the_folder(stranger: APIClient, camera: Camera, pictures: list[str]) -> None:
    first = stranger.get(SNAPSHOT)
    path = put(folder_of(camera), "0/new.jpg", jpeg(seed=7), age_s=1)

    second = stranger.get(SNAPSHOT)
    path.unlink()
    third = stranger.get(SNAPSHOT)

    assert bytes_of(second) == jpeg(seed=7)
    assert bytes_of(third) == bytes_of(first)
    assert first["ETag"] == third["ETag"] != second["ETag"]


def test_an_overwritten_picture_is_served_at_once(stranger: APIClient, camera: Camera) -> None:
    put(folder_of(camera), "latest.jpg", jpeg(seed=1))
    stranger.get(SNAPSHOT)

    (folder_of(camera) / "latest.jpg").write_bytes(jpeg(seed=2))

    assert bytes_of(stranger.get(SNAPSHOT)) == jpeg(seed=2)


@pytest.mark.parametrize(("kind", "end_bytes"), [("JPEG", 2), ("PNG", 22), ("GIF", 2)])
def test_a_truncated_picture_is_served_only_if_just_its_end_is_missing(
    api: APIClient, camera: Camera, kind: str, end_bytes: int
) -> None:
    whole = jpeg(seed=1)
    buffer = io.BytesIO()
    Image.open(io.BytesIO(jpeg(96, 64, seed=2))).save(buffer, kind)
    newer = buffer.getvalue()
    put(folder_of(camera), "old.jpg", whole, age_s=60)
    cuts = {1, 2, 10, 100, len(newer) - 1, len(newer) - 2, *range(1, len(newer), max(1, len(newer) // 25))}

    for cut in sorted(cuts):
        put(folder_of(camera), f"new.{kind.lower()}", newer[:cut], age_s=5)
        shown = newer[:cut] if len(newer) - cut <= end_bytes else whole
        assert bytes_of(api.get(SNAPSHOT)) == shown, f"cut at {cut} of {len(newer)}"

    put(folder_of(camera), f"new.{kind.lower()}", newer, age_s=5)
    assert bytes_of(api.get(SNAPSHOT)) == newer


def test_invalid_pictures_are_skipped(api: APIClient, camera: Camera) -> None:
    put(folder_of(camera), "good.jpg", jpeg(seed=1), age_s=60)
    put(folder_of(camera), "empty.jpg", b"", age_s=5)
    put(folder_of(camera), "page.jpg", b"<html><script>alert(1)</script>" * 50, age_s=4)
    put(folder_of(camera), "zeros.jpg", bytes(5000), age_s=3)
    put(folder_of(camera), "hole.jpg", jpeg(seed=2)[:600] + bytes(2000), age_s=2)

    assert bytes_of(api.get(SNAPSHOT)) == jpeg(seed=1)


def test_hidden_and_linked_files_are_not_served(api: APIClient, camera: Camera, tmp_path: Path) -> None:
    put(tmp_path, "secret.jpg", jpeg(seed=9), age_s=1)
    put(folder_of(camera), ".cache/a.jpg", jpeg(seed=8), age_s=1)
    put(folder_of(camera), ".a.jpg", jpeg(seed=8), age_s=1)
    (folder_of(camera) / "link.jpg").symlink_to(tmp_path / "secret.jpg")
    (folder_of(camera) / "folder").symlink_to(tmp_path)
    os.mkfifo(folder_of(camera) / "pipe.jpg")

    assert problem(api.get(SNAPSHOT), 404) == "No snapshot images found for camera"


def test_pictures_of_a_nested_camera_are_not_shown_for_the_outer_one(api: APIClient, camera: Camera) -> None:
    put(folder_of(camera), "outer.jpg", jpeg(seed=1), age_s=60)
    inner = make_camera("Inner", folder_path=f"{camera.folder_path}/inner")
    put(Path(inner.folder_path), "deep/inner.jpg", jpeg(seed=2), age_s=5)

    assert bytes_of(api.get(SNAPSHOT)) == jpeg(seed=1)
    assert bytes_of(api.get("/api/cameras/inner/snapshot")) == jpeg(seed=2)

    api.delete("/api/cameras/inner")
    assert bytes_of(api.get(SNAPSHOT)) == jpeg(seed=1)

    api.post("/api/cameras/inner/purge")
    assert bytes_of(api.get(SNAPSHOT)) == jpeg(seed=2)


def test_without_pictures_a_frame_of_the_newest_video_is_served(api: APIClient, camera: Camera) -> None:
    path = make_video(folder_of(camera) / "clip.mp4", size="320x240")
    os.utime(path, (path.stat().st_mtime - 60,) * 2)

    response = api.get(SNAPSHOT)

    assert response.status_code == 200, bytes_of(response)
    assert response["Content-Type"] == "image/jpeg"
    assert Image.open(io.BytesIO(bytes_of(response))).size == (320, 240)
    assert response["Content-Disposition"] == 'inline; filename="clip.jpg"'
    assert api.get(SNAPSHOT)["ETag"] == response["ETag"]


@pytest.mark.parametrize(
    ("name", "codec"),
    [
        ("a.mkv", ("-c:v", "libx264")),
        ("a.AVI", ("-c:v", "mjpeg")),
        ("a.mov", ("-c:v", "libx264")),
        ("a.webm", ("-c:v", "libvpx", "-deadline", "realtime")),
    ],
)
def test_every_documented_video_type_has_a_frame(
    api: APIClient, camera: Camera, name: str, codec: tuple[str, ...]
) -> None:
    make_video(folder_of(camera) / name, seconds=1.5, codec=codec)

    assert api.get(SNAPSHOT).status_code == 200


def test_a_picture_is_preferred_to_a_newer_video(api: APIClient, camera: Camera) -> None:
    put(folder_of(camera), "old.jpg", jpeg(seed=1), age_s=600)
    make_video(folder_of(camera) / "new.mp4", seconds=1)

    assert bytes_of(api.get(SNAPSHOT)) == jpeg(seed=1)


def test_a_video_without_a_frame_is_404_with_its_own_message(api: APIClient, camera: Camera) -> None:
    put(folder_of(camera), "a.mp4", b"not a video" * 100)

    text = problem(api.get(SNAPSHOT), 404)

    assert "frame" in text
    assert problem(api.get(SNAPSHOT), 404) == text


def test_a_broken_video_is_skipped_for_the_previous_one(api: APIClient, camera: Camera) -> None:
    path = make_video(folder_of(camera) / "good.mp4", seconds=1)
    os.utime(path, (path.stat().st_mtime - 100,) * 2)
    put(folder_of(camera), "broken.mp4", path.read_bytes()[:2000], age_s=5)

    response = api.get(SNAPSHOT)

    assert response["Content-Disposition"] == 'inline; filename="good.jpg"'


def test_a_playlist_disguised_as_a_video_opens_no_file(api: APIClient, camera: Camera, tmp_path: Path) -> None:
    secret = make_video(tmp_path / "secret.mp4", seconds=1)
    put(folder_of(camera), "a.mp4", f"#EXTM3U\n#EXTINF:1,\nfile://{secret}\n#EXT-X-ENDLIST\n".encode())
    assert "frame" in problem(api.get(SNAPSHOT), 404)

    put(folder_of(camera), "a.mkv", f"ffconcat version 1.0\nfile '{secret}'\n".encode())
    assert "frame" in problem(api.get(SNAPSHOT), 404)


def test_each_cause_of_404_has_its_own_message(api: APIClient, camera: Camera, tmp_path: Path) -> None:
    assert problem(api.get("/api/cameras/nobody/snapshot"), 404) == "Camera not found"
    assert problem(api.get(SNAPSHOT), 404) == "No snapshot images found for camera"

    folder_of(camera).rmdir()
    assert problem(api.get(SNAPSHOT), 404) == "Camera folder does not exist"
    folder_of(camera).write_text("a file in its place")
    assert problem(api.get(SNAPSHOT), 404) == "Camera folder is not a folder"
    folder_of(camera).unlink()

    make_camera("Etc", folder_path="/etc")
    assert "outside" in problem(api.get("/api/cameras/etc/snapshot"), 403)
    put(tmp_path, "a.jpg", jpeg())
    folder_of(camera).symlink_to(tmp_path)
    assert "outside" in problem(api.get(SNAPSHOT), 403)


def test_conditional_range_and_head_requests_are_supported(
    stranger: APIClient, camera: Camera, pictures: list[str]
) -> None:
    whole = stranger.get(SNAPSHOT)
    data = bytes_of(whole)

    assert stranger.get(SNAPSHOT, HTTP_IF_NONE_MATCH=whole["ETag"]).status_code == 304
    assert stranger.get(SNAPSHOT, HTTP_IF_MODIFIED_SINCE=whole["Last-Modified"]).status_code == 304
    part = stranger.get(SNAPSHOT, HTTP_RANGE="bytes=0-9")
    assert (part.status_code, bytes_of(part), part["Content-Range"]) == (206, data[:10], f"bytes 0-9/{len(data)}")
    assert bytes_of(stranger.get(SNAPSHOT, HTTP_RANGE="bytes=-5")) == data[-5:]
    assert stranger.get(SNAPSHOT, HTTP_RANGE=f"bytes={len(data)}-").status_code == 416
    head = stranger.head(SNAPSHOT)
    assert (head.status_code, bytes_of(head), head["Content-Length"]) == (200, b"", str(len(data)))


@pytest.mark.parametrize("width", [160, 320, 640, 1280])
def test_a_width_returns_a_smaller_copy_and_never_a_larger_one(stranger: APIClient, camera: Camera, width: int) -> None:
    put(folder_of(camera), "a.jpg", jpeg(400, 300))

    response = stranger.get(f"{SNAPSHOT}?width={width}")

    assert response.status_code == 200
    assert Image.open(io.BytesIO(bytes_of(response))).size[0] == min(width, 400)
    assert response["ETag"] != stranger.get(SNAPSHOT)["ETag"]
    assert stranger.get(f"{SNAPSHOT}?width={width}", HTTP_IF_NONE_MATCH=response["ETag"]).status_code == 304


@pytest.mark.parametrize("width", ["", "0", "161", "-160", "160.0", "x", "9" * 5000, "160\0"])
def test_another_width_is_400(stranger: APIClient, camera: Camera, pictures: list[str], width: str) -> None:
    response = stranger.get(SNAPSHOT, {"width": width})

    assert "160" in problem(response, 400)


def test_anonymous_users_see_only_cameras_without_groups(
    stranger: APIClient, camera: Camera, pictures: list[str], family_camera: Camera, member: User
) -> None:
    put(folder_of(family_camera), "a.jpg", jpeg(), age_s=5)
    private = make_camera("Private", public=False)
    put(folder_of(private), "a.jpg", jpeg(), age_s=5)

    assert stranger.get(SNAPSHOT).status_code == 200
    for hidden in ("back_yard", "private", "nobody"):
        response = stranger.get(f"/api/cameras/{hidden}/snapshot")
        assert problem(response, 404) == "Camera not found"
    assert client_of(member).get("/api/cameras/back_yard/snapshot").status_code == 200
    assert client_of(make_user("w", "cameras.view_all")).get("/api/cameras/private/snapshot").status_code == 200


def test_signed_in_users_see_everything_that_anonymous_users_see(
    outsider: User, camera: Camera, pictures: list[str]
) -> None:
    assert client_of(outsider).get(SNAPSHOT).status_code == 200


def test_public_snapshots_can_be_disabled(
    stranger: APIClient, api: APIClient, camera: Camera, pictures: list[str], settings
) -> None:
    settings.NVR_PUBLIC_SNAPSHOTS = False

    for address in (SNAPSHOT, "/api/cameras/nobody/snapshot"):
        response = stranger.get(address)
        assert problem(response, 401)
        assert response["WWW-Authenticate"]
    assert api.get(SNAPSHOT).status_code == 200


@pytest.mark.parametrize(
    "header",
    [
        {"HTTP_X_API_KEY": "nvr_wrong"},
        {"HTTP_X_API_KEY": ""},
        {"HTTP_AUTHORIZATION": "Bearer nonsense"},
        {"HTTP_AUTHORIZATION": "Bearer"},
    ],
)
def test_wrong_credentials_are_401_even_if_none_are_required(
    stranger: APIClient, camera: Camera, pictures: list[str], header: dict[str, str]
) -> None:
    problem(stranger.get(SNAPSHOT, **header), 401)


def test_a_session_is_sufficient(family: Group, family_camera: Camera, member: User) -> None:
    put(folder_of(family_camera), "a.jpg", jpeg(), age_s=5)
    browser = Client()
    browser.force_login(member)

    assert browser.get("/api/cameras/back_yard/snapshot").status_code == 200


def test_user_dependent_responses_are_not_stored_in_shared_caches(
    stranger: APIClient, camera: Camera, pictures: list[str]
) -> None:
    response = stranger.get(SNAPSHOT)

    assert "private" in response["Cache-Control"]
    assert {"Cookie", "Authorization", "X-API-Key"} <= {name.strip() for name in response["Vary"].split(",")}


def test_any_accept_header_gets_the_picture(stranger: APIClient, camera: Camera, pictures: list[str]) -> None:
    for accept in ("image/*", "text/html", "application/x-ndjson", "image/avif,*/*;q=0.8", "nonsense"):
        assert stranger.get(SNAPSHOT, HTTP_ACCEPT=accept).status_code == 200
    assert stranger.post(SNAPSHOT).status_code == 405


def test_one_old_picture_is_preferred_to_many_videos(api: APIClient, camera: Camera) -> None:
    put(folder_of(camera), "old.jpg", jpeg(seed=3), age_s=9000)
    for number in range(100):
        put(folder_of(camera), f"{number}.mp4", b"x", age_s=number + 1)

    assert bytes_of(api.get(SNAPSHOT)) == jpeg(seed=3)


def test_other_sites_may_embed_public_snapshots_only(
    stranger: APIClient, api: APIClient, camera: Camera, pictures: list[str], family_camera: Camera, member: User
) -> None:
    """Browsers show a picture from another origin, such as a dashboard, only with this header."""
    put(folder_of(family_camera), "a.jpg", jpeg(), age_s=5)
    policy = "Cross-Origin-Resource-Policy"

    assert stranger.get(SNAPSHOT)[policy] == "cross-origin"
    assert api.get(SNAPSHOT)[policy] == "cross-origin"
    assert client_of(member).get("/api/cameras/back_yard/snapshot")[policy] == "same-origin"


def test_a_picture_from_the_future_is_not_newer_than_one_that_arrived_later(
    stranger: APIClient, camera: Camera
) -> None:
    put(folder_of(camera), "ahead.jpg", jpeg(seed=1), age_s=-86_400 * 400)
    put(folder_of(camera), "older.jpg", jpeg(seed=3), age_s=600)
    time.sleep(0.02)  # the resolution of file system timestamps
    put(folder_of(camera), "now.jpg", jpeg(seed=2), age_s=0)

    response = stranger.get(SNAPSHOT)

    assert response["Content-Disposition"] == 'inline; filename="now.jpg"'
    assert parsedate_to_datetime(response["Last-Modified"]) <= datetime.now(UTC)


def test_a_picture_from_the_future_has_the_time_of_its_arrival(stranger: APIClient, camera: Camera) -> None:
    put(folder_of(camera), "ahead.jpg", jpeg(), age_s=-86_400 * 400)

    response = stranger.get(SNAPSHOT)

    assert response.status_code == 200
    assert abs(parsedate_to_datetime(response["Last-Modified"]) - datetime.now(UTC)) < timedelta(minutes=1)


def test_a_malicious_picture_is_decoded_once_and_the_previous_one_is_shown(
    api: APIClient, camera: Camera, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(folder_of(camera), "old.jpg", jpeg(seed=1), age_s=60)
    put(folder_of(camera), "new.jpg", jpeg_with_many_scans(200), age_s=5)
    checked: list[bytes] = []
    check = pictures.check
    monkeypatch.setattr(pictures, "check", lambda data: checked.append(data) or check(data))

    for _ in range(3):
        assert bytes_of(api.get(SNAPSHOT)) == jpeg(seed=1)
        snapshots._integrity_cache = snapshots.IntegrityCache()  # as another process

    assert len([data for data in checked if data == jpeg_with_many_scans(200)]) == 1


def test_a_request_during_the_check_of_a_picture_gets_the_previous_one(
    api: APIClient, camera: Camera, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(snapshots, "LOCK_TIMEOUT_S", 0.05)
    put(folder_of(camera), "old.jpg", jpeg(seed=1), age_s=60)
    assert bytes_of(api.get(SNAPSHOT)) == jpeg(seed=1)
    put(folder_of(camera), "new.jpg", jpeg(seed=2), age_s=5)
    begun, go_on = threading.Event(), threading.Event()
    check = pictures.check

    def slow(data: bytes) -> pictures.CheckResult:
        begun.set()
        go_on.wait(30)
        return check(data)

    monkeypatch.setattr(pictures, "check", slow)
    (newest, *_) = newest_files(camera, videos=False)
    first = threading.Thread(target=snapshots.complete_image, args=[newest])
    first.start()
    begun.wait(30)

    assert bytes_of(api.get(SNAPSHOT)) == jpeg(seed=1)
    go_on.set()
    first.join()
    assert bytes_of(api.get(SNAPSHOT)) == jpeg(seed=2)


@pytest.mark.slow
def test_snapshots_are_decoded_in_child_processes(camera: Camera) -> None:
    """In a separate process, which has not imported anything yet."""
    put(folder_of(camera), "a.jpg", jpeg(800, 600), age_s=5)
    script = (
        "import sys, django; django.setup();"
        "from nvr import urls;"
        "from pathlib import Path;"
        "from nvr.media.images.decoder import pictures;"
        f"data = Path({str(folder_of(camera) / 'a.jpg')!r}).read_bytes();"
        "from cameras import snapshots;"
        "from nvr.media.images.derivatives import derivative_of_bytes;"
        "assert snapshots.decodes_completely(data, 'x'); derivative_of_bytes(data, 'y', 160);"
        "assert 'PIL.JpegImagePlugin' not in sys.modules, 'decoded here'"
    )
    subprocess.run([sys.executable, "-c", script], check=True, timeout=120)
