"""Paths that try to get at something else: encodings, links, devices, swaps. Nothing leaks, nothing is a 500."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.conf import settings

from cameras.models import Camera
from nvr.accounts.models import ApiKey
from tests.factories import folder_of, jpeg, make_camera, make_user, put
from tests.media_serving.raw_client import Raw
from tests.media_serving.stored import make_detection
from tests.servers import our_server

MEDIA = "/api/media/"
SECRET = b"what nobody may read"
TRAVERSAL = "Path traversal detected"


@pytest.fixture
def front(db) -> Camera:
    """A camera with one picture, and beside its folder a file that is not the camera's."""
    camera = make_camera("Front Door")
    put(folder_of(camera), "a.jpg", jpeg())
    put(folder_of(camera), "sub/b.jpg", jpeg())
    put(folder_of(camera).parent, "secret.jpg", SECRET)
    return camera


ATTACKS: list[tuple[str, int, str | None]] = [
    # path after /api/media/ as it is sent, status, error
    ("cameras/front_door/../secret.jpg", 403, TRAVERSAL),
    ("cameras/front_door/%2e%2e/secret.jpg", 403, TRAVERSAL),
    ("cameras/front_door/%2E%2E%2Fsecret.jpg", 403, TRAVERSAL),
    ("cameras/front_door/..%2fsecret.jpg", 403, TRAVERSAL),
    ("cameras/front_door/sub/../../secret.jpg", 403, TRAVERSAL),
    ("cameras/front_door/sub/../a.jpg", 403, TRAVERSAL),
    ("cameras/front_door/..", 403, TRAVERSAL),
    ("cameras/front_door/../", 403, TRAVERSAL),
    ("cameras/../secret.jpg", 403, "Invalid camera identifier"),
    ("cameras/%2e%2e/secret.jpg", 403, "Invalid camera identifier"),
    ("cameras/..%2fsecret.jpg", 403, "Invalid camera identifier"),
    ("cameras//etc/passwd", 403, "Invalid camera identifier"),
    ("cameras/%2fetc/passwd", 403, "Invalid camera identifier"),
    ("cameras/front_door//etc/passwd", 403, TRAVERSAL),
    ("cameras/front_door/%2fetc%2fpasswd", 403, TRAVERSAL),
    ("../../etc/passwd", 403, TRAVERSAL),
    ("..%2f..%2fetc%2fpasswd", 403, TRAVERSAL),
    ("%2fetc%2fpasswd", 403, TRAVERSAL),
    ("/etc/passwd", 403, TRAVERSAL),
    ("//etc/passwd", 403, TRAVERSAL),
    ("thumbnails/../secret_key", 403, TRAVERSAL),
    ("thumbnails/%2e%2e%2fsecret_key", 403, TRAVERSAL),
    ("thumbnails//etc/passwd", 403, TRAVERSAL),
    ("clips/..%2f..%2fnvr.sqlite3", 403, TRAVERSAL),
    ("clips/%2fetc/passwd", 403, TRAVERSAL),
    ("detections/../clips/1_clip.mp4", 403, TRAVERSAL),
    ("..", 403, TRAVERSAL),
    # Decoded once only
    ("cameras/front_door/%252e%252e/secret.jpg", 404, "File not found"),
    ("cameras/front_door/%252e%252e%252fsecret.jpg", 404, "File not found"),
    # What means something elsewhere
    ("cameras/front_door/..\\secret.jpg", 404, "File not found"),
    ("cameras/front_door/%5c..%5csecret.jpg", 404, "File not found"),
    ("cameras/front_door/....//secret.jpg", 404, "File not found"),
    ("cameras/front_door/.../secret.jpg", 404, "File not found"),
    ("cameras/front_door/..%00/secret.jpg", 400, None),
    ("cameras/front_door/..;/secret.jpg", 404, "File not found"),
    ("cameras/front_door/%c0%ae%c0%ae/secret.jpg", 404, None),
    ("cameras/front_door/%c0%ae%c0%ae%c0%afsecret.jpg", 404, None),
    ("cameras/front_door/%e0%80%ae%e0%80%ae/secret.jpg", 404, None),
    ("cameras/front_door/%u002e%u002e/secret.jpg", 404, "File not found"),
    ("cameras/front_door/%EF%BC%8E%EF%BC%8E/secret.jpg", 404, "File not found"),  # full-width dots
    ("cameras/front_door/~root/a.jpg", 404, "File not found"),
    ("cameras/front_door/file:a.jpg", 404, "File not found"),
    ("cameras/front_door/a.jpg/", 404, "File not found"),
    ("cameras/front_door/a.jpg/.", 404, "File not found"),
    ("cameras/front_door/a.jpg.", 404, "File not found"),
    ("cameras/front_door/a.jpg%20", 404, "File not found"),
    ("cameras/front_door/a.jpg/b.jpg", 404, "File not found"),
    ("cameras/front_door/.", 404, "File not found"),
    ("cameras/front_door/sub", 404, "File not found"),
    ("cameras/front_door/", 404, "File not found"),
    ("cameras/./a.jpg", 404, "Camera not found"),
    ("cameras/Front_Door/a.jpg", 404, "Camera not found"),
    ("cameras/%25/a.jpg", 404, "Camera not found"),
    ("cameras/front_door%0a/a.jpg", 404, "Camera not found"),
    # NUL and bytes that are no text
    ("cameras/front_door/a.jpg%00", 400, None),
    ("cameras/front_door/%00a.jpg", 400, None),
    ("cameras/%00/a.jpg", 400, None),
    ("thumbnails/%00", 400, None),
    ("detections/%00", 400, None),
    ("%00", 400, None),
    ("cameras/front_door/%ff.jpg", 404, None),
    ("cameras/front_door/%ed%a0%80.jpg", 404, None),  # a lone surrogate
    ("cameras/%ff%fe/a.jpg", 404, None),
    ("detections/%ff", 404, None),
    # Too long
    ("cameras/front_door/" + "a" * 300 + ".jpg", 404, "File not found"),
    ("cameras/front_door/" + "a/" * 1000 + "b.jpg", 404, "File not found"),
    ("cameras/" + "a" * 3000 + "/b.jpg", 404, "Camera not found"),
    ("detections/" + "9" * 4000, 404, "Invalid detection ID"),
    ("detections/9223372036854775808", 404, "Invalid detection ID"),
]


@pytest.mark.parametrize(("path", "status", "error"), ATTACKS, ids=[path[:60] for path, _, _ in ATTACKS])
def test_an_attack_gets_the_error_of_the_contract(api, front, path, status, error):
    response = api.get(MEDIA + path)

    assert response.status_code == status
    assert set(response.json()) == {"error", "path"}
    assert error is None or response.json()["error"] == error
    assert SECRET not in response.content


def test_an_overlong_path_is_truncated_in_the_error(api, front):
    longest = "cameras/front_door/" + "x/" * 2036 + "y.jpg"
    assert len(longest) == 4096
    assert api.get(MEDIA + longest).status_code == 404

    for path in (longest + "z", "../" * 2000, "%20" * 4097, "ü" * 4097):
        response = api.get(MEDIA + path)
        assert response.status_code == 414
        assert len(response.json()["path"]) == 103
        assert response.json()["path"].endswith("...")


def test_links_out_of_the_folder_are_rejected(api, front):
    folder = folder_of(front)
    (folder / "out.jpg").symlink_to(folder.parent / "secret.jpg")
    (folder / "up").symlink_to(folder.parent)
    (folder / "etc").symlink_to("/etc")
    (folder / "chain.jpg").symlink_to("out.jpg")
    # Whether there is something at their ends is nobody's business.
    (folder / "gone.jpg").symlink_to(folder.parent / "nothing.jpg")
    (folder / "far.jpg").symlink_to("/nothing/of/this.jpg")
    (folder / "not.jpg").symlink_to("/etc/passwd/x.jpg")
    (folder / "round.jpg").symlink_to(folder.parent / "circle")
    (folder.parent / "circle").symlink_to("circle")
    (folder / "linked.jpg").symlink_to("gone.jpg")

    existing = ("out.jpg", "up/secret.jpg", "etc/hostname", "chain.jpg")
    missing = ("gone.jpg", "far.jpg", "not.jpg", "round.jpg", "linked.jpg", "up/nothing.jpg", "etc/nothing/x.jpg")
    for name in (*existing, *missing):
        response = api.get(f"{MEDIA}cameras/{front.slug}/{name}")
        assert response.status_code == 403
        assert response.json() == {
            "error": "File outside allowed directory",
            "path": f"cameras/{front.slug}/{name}",
        }


def test_links_inside_the_folder_are_followed_and_checked(api, front):
    folder = folder_of(front)
    put(folder, "notes.txt", SECRET)
    (folder / "latest.jpg").symlink_to("a.jpg")
    (folder / "notes.jpg").symlink_to("notes.txt")
    (folder / "a.exe").symlink_to("a.jpg")
    (folder / "loop.jpg").symlink_to("loop.jpg")
    (folder / "dangling.jpg").symlink_to("nothing.jpg")

    expected = {"latest.jpg": 200, "notes.jpg": 403, "a.exe": 403, "loop.jpg": 404, "dangling.jpg": 404}
    assert {name: api.get(f"{MEDIA}cameras/{front.slug}/{name}").status_code for name in expected} == expected


def test_special_files_are_not_found(api, front):
    folder = folder_of(front)
    os.mkfifo(folder / "fifo.jpg")
    (folder / "folder.jpg").mkdir()
    (folder / "null.jpg").symlink_to("/dev/null")
    (folder / "zero.mp4").symlink_to("/dev/zero")
    listener = socket.socket(socket.AF_UNIX)
    here = os.getcwd()
    os.chdir(folder)  # a socket's path may not be long
    try:
        listener.bind("socket.jpg")
    finally:
        os.chdir(here)
        listener.close()

    for name, status in {
        "fifo.jpg": 404,
        "folder.jpg": 404,
        "socket.jpg": 404,
        "null.jpg": 403,
        "zero.mp4": 403,
    }.items():
        for query in ("", "?width=160", "?playable=1"):
            assert api.get(f"{MEDIA}cameras/{front.slug}/{name}{query}").status_code == status, name


def test_a_device_is_not_found(api, db, settings):
    settings.NVR_CAMERA_ROOT = Path("/dev")
    camera = make_camera("Devices", folder_path="/dev")

    for name in ("zero", "null", "full"):
        assert api.get(f"{MEDIA}cameras/{camera.slug}/{name}").status_code == 404


def test_a_detection_whose_file_became_a_link_is_not_served(api, front):
    picture = put(folder_of(front), "seen.jpg", jpeg())
    detection = make_detection(front, picture)
    picture.unlink()
    picture.symlink_to(folder_of(front).parent / "secret.jpg")

    assert api.get(f"{MEDIA}detections/{detection.pk}").status_code == 403


def test_a_thumbnail_that_links_outside_is_not_served(api, front, settings, tmp_path):
    settings.THUMBNAIL_DIR = tmp_path / "thumbnails"
    detection = make_detection(front, folder_of(front) / "a.jpg", thumbnail=b"x")
    thumbnail = settings.THUMBNAIL_DIR / f"detection_{detection.pk}_thumb.jpg"
    thumbnail.unlink()
    thumbnail.symlink_to(folder_of(front).parent / "secret.jpg")

    assert api.get(f"{MEDIA}thumbnails/detection_{detection.pk}_thumb.jpg").status_code == 403


def test_a_file_constantly_swapped_for_a_link_never_leaks_its_target(api, front):
    folder, stop = folder_of(front), threading.Event()
    (folder / "good").write_bytes(b"the camera's own")
    (folder / "evil").symlink_to(folder.parent / "secret.jpg")

    def swap() -> None:
        while not stop.is_set():
            for name in ("good", "evil"):
                os.link(folder / name, folder / "next", follow_symlinks=False)
                os.replace(folder / "next", folder / "swapped.jpg")

    swapper = threading.Thread(target=swap)
    swapper.start()
    try:
        for _ in range(150):
            response = api.get(f"{MEDIA}cameras/{front.slug}/swapped.jpg")
            assert response.status_code in {200, 403, 404}
            assert SECRET not in (b"".join(response.streaming_content) if response.streaming else response.content)
    finally:
        stop.set()
        swapper.join()


# The same through a real server, whose parser comes first


@pytest.fixture
def raw(transactional_db) -> Iterator[Raw]:
    camera = make_camera(
        "Front Door", folder_path=str(Path(settings.NVR_CAMERA_ROOT) / f"raw-{os.urandom(4).hex()}" / "c")
    )
    put(folder_of(camera), "a.jpg", b"0123456789")
    put(folder_of(camera).parent, "secret.jpg", SECRET)
    _, key = ApiKey.objects.issue(user=make_user("rooty", is_superuser=True), name="raw")
    with our_server(NVR_WEB_WORKERS="1") as url:
        yield Raw(url, key)


@pytest.mark.slow
def test_a_real_server_rejects_the_same_and_keeps_running(raw):
    for path, status, _ in ATTACKS:
        answer = raw.get(MEDIA + path)
        assert answer.status == status, path
        assert SECRET not in answer.body
    odd = {
        "http://127.0.0.1/api/media/cameras/front_door/../secret.jpg": {403},
        "/api/media/cameras/front_door/a.jpg?width=160&width=%00": {400},
        "/api/media/../media/cameras/front_door/secret.jpg": {403},
        "/api//media/cameras/front_door/a.jpg": {404},
        "/api/media/cameras/front_door/\xff.jpg": {400, 404},
        "/api/media/" + "a" * 5000: {414},
        "/api/media/" + "%61" * 2700: {404},
        "/api/media/" + "a" * 9000: {414},
    }
    for target, statuses in odd.items():
        assert raw.get(target).status in statuses, target[:80]
    assert raw.get("/api/media/cameras/front_door/a.jpg").body == b"0123456789"


def test_a_real_server_sends_exactly_the_range(raw):
    path = "/api/media/cameras/front_door/a.jpg"
    ranges = {
        "bytes=0-0": (206, b"0"),
        "bytes=-1": (206, b"9"),
        "bytes=5-99": (206, b"56789"),
        "bytes=5-2": (200, b"0123456789"),
        "bytes=0-1,3-4": (200, b"0123456789"),
        f"bytes={'0' * 5000}-{'9' * 1000}": (206, b"0123456789"),
    }

    for header, (status, body) in ranges.items():
        answer = raw.get(path, Range=header)
        assert (answer.status, answer.body) == (status, body)
    assert raw.get(path, Range=f"bytes={'9' * 5000}-").status == 416
    for target, status in {path: 200, MEDIA + "nothing": 404}.items():
        answer = raw.get(target, method="HEAD", Range="bytes=0-0")
        assert (answer.status, answer.body) == (status, b"")
