"""The other media routes, and what holds on all of them: Range, conditions, HEAD, methods."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import quote

import pytest

from tests.factories import folder_of, jpeg, make_camera, make_video, put
from tests.media_serving.stored import MEDIA, body_of, make_detection, make_event, refused

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("own_folders")]


# thumbnails, clips, detections


def test_thumbnails_are_served_by_both_names(api, camera):
    detection = make_detection(camera, folder_of(camera) / "a.jpg", thumbnail=jpeg())

    for name in (f"detection_{detection.pk}_thumb.jpg", f"detection_{detection.pk}.jpg"):
        response = api.get(f"{MEDIA}thumbnails/{name}")
        assert response.status_code == 200
        assert response["Content-Type"] == "image/jpeg"
        assert body_of(response) == jpeg()


@pytest.mark.parametrize(
    "name",
    [
        "x.jpg",
        "detection_0_thumb.jpg",
        "detection_999999999999999999999_thumb.jpg",
        "detection_\N{ARABIC-INDIC DIGIT ONE}_thumb.jpg",
        "a/detection_1_thumb.jpg",
        "evil.exe",
        "detection_1_thumb.jpg\n",
    ],
)
def test_a_thumbnail_of_an_unknown_detection_is_not_found(api, name):
    response = api.get(f"{MEDIA}thumbnails/{quote(name)}")

    refused(response, 404, "Thumbnail file not found", f"thumbnails/{name}")


def test_a_thumbnail_or_clip_that_does_not_exist_yet_is_not_found(api, camera):
    detection = make_detection(camera, folder_of(camera) / "a.jpg")
    thumbnail, clip = f"thumbnails/detection_{detection.pk}_thumb.jpg", f"clips/{detection.event_id}_clip.mp4"

    refused(api.get(MEDIA + thumbnail), 404, "Thumbnail file not found", thumbnail)
    refused(api.get(MEDIA + clip), 404, "Clip file not found", clip)


def test_a_clip_is_served(api, camera):
    event = make_event(camera, clip=b"clip bytes")

    response = api.get(f"{MEDIA}clips/{event.pk}_clip.mp4")

    assert body_of(response) == b"clip bytes"
    assert response["Content-Type"] == "video/mp4"
    assert response["Content-Disposition"] == f'inline; filename="{event.pk}_clip.mp4"'


def test_a_detection_returns_its_picture(api, camera, picture):
    detection = make_detection(camera, picture)

    response = api.get(f"{MEDIA}detections/{detection.pk}")

    assert body_of(response) == picture.read_bytes()
    assert response["Content-Disposition"] == 'inline; filename="image_001.jpg"'


def test_a_detection_in_a_video_returns_the_cached_frame(api, camera):
    video = make_video(folder_of(camera) / "v.mp4", seconds=2)
    detection = make_detection(camera, video, media_type="video", offset_ms=1000)

    first = api.get(f"{MEDIA}detections/{detection.pk}")
    second = api.get(f"{MEDIA}detections/{detection.pk}", HTTP_IF_NONE_MATCH=first["ETag"])

    assert body_of(first).startswith(b"\xff\xd8\xff")
    assert first["Content-Type"] == "image/jpeg"
    assert first["Content-Disposition"] == 'inline; filename="v.jpg"'
    assert second.status_code == 304


def test_a_video_without_frames_is_reported(api, camera):
    video = put(folder_of(camera), "broken.mp4", b"\0\0\0\x18ftypmp42 and nothing more")
    detection = make_detection(camera, video, media_type="video", offset_ms=0)

    for _ in range(2):
        path = f"detections/{detection.pk}"
        refused(api.get(MEDIA + path), 404, "No frame could be read from the video", path)


@pytest.mark.parametrize(
    "number", ["abc", "1x", "1.5", "-1", "\N{ARABIC-INDIC DIGIT THREE}", "1/2", "0x1", "1" * 19, "1" * 4000]
)
def test_a_detection_id_that_is_not_a_number_is_invalid(api, number):
    refused(api.get(f"{MEDIA}detections/{number}"), 404, "Invalid detection ID", f"detections/{number}")


def test_an_unknown_detection_is_not_found(api):
    refused(api.get(f"{MEDIA}detections/99999"), 404, "Detection not found", "detections/99999")


def test_a_detection_of_a_missing_or_foreign_file_is_rejected(api, camera):
    inner = make_camera("Inner", folder_path=str(folder_of(camera) / "inner"))
    put(folder_of(inner), "a.jpg", jpeg())
    gone = make_detection(camera, folder_of(camera) / "gone.jpg")
    outside = make_detection(camera, "/etc/hostname")
    climbing = make_detection(camera, f"{camera.folder_path}/../a.jpg")
    nested = make_detection(camera, folder_of(inner) / "a.jpg")

    expected = {
        gone: (404, "File not found"),
        outside: (403, "File outside allowed directory"),
        climbing: (403, "Path traversal detected"),
        nested: (404, "File not found"),
    }
    for detection, (status, error) in expected.items():
        path = f"detections/{detection.pk}"
        refused(api.get(MEDIA + path), status, error, path)


def test_a_detection_found_through_a_linked_camera_folder_is_served(api, tmp_path, settings):
    base = Path(settings.NVR_CAMERA_ROOT) / tmp_path.name
    put(base / "real", "a.jpg", jpeg())
    (base / "link").symlink_to(base / "real")
    camera = make_camera("Linked", folder_path=str(base / "link"))

    for file in (base / "link" / "a.jpg", base / "real" / "a.jpg"):
        assert api.get(f"{MEDIA}detections/{make_detection(camera, file).pk}").status_code == 200


# The compatibility route


@pytest.mark.parametrize(
    "path", ["invalid/path", "x", "cameras", "thumbnails", "detections/", "clips/", "", "Cameras/a/b.jpg"]
)
def test_an_unsupported_path_names_the_supported_ones(api, path):
    text = "Unsupported media path (expected cameras/..., thumbnails/..., detections/..., or clips/...)"

    refused(api.get(MEDIA + path), 404, text, path)


# Range, conditions, HEAD


@pytest.mark.parametrize(
    ("header", "status", "body"),
    [
        ("bytes=0-0", 206, b"0"),
        ("bytes=-1", 206, b"9"),
        ("bytes=9-", 206, b"9"),
        ("bytes=5-99", 206, b"56789"),
        ("bytes=-99", 206, b"0123456789"),
        ("bytes=5-2", 200, b"0123456789"),
        ("bytes=0-1,3-4", 200, b"0123456789"),
        ("items=0-1", 200, b"0123456789"),
        (f"bytes=0-{'9' * 5000}", 206, b"0123456789"),
        (f"bytes={'9' * 5000}-", 416, None),
        ("bytes=10-", 416, None),
        ("bytes=-0", 416, None),
    ],
)
def test_every_route_supports_ranges(api, camera, header, status, body):
    put(folder_of(camera), "ten.jpg", b"0123456789")
    detection = make_detection(camera, folder_of(camera) / "ten.jpg", thumbnail=b"0123456789")
    event = make_event(camera, clip=b"0123456789")
    paths = (
        f"cameras/{camera.slug}/ten.jpg",
        f"thumbnails/detection_{detection.pk}_thumb.jpg",
        f"detections/{detection.pk}",
        f"clips/{event.pk}_clip.mp4",
    )

    for path in paths:
        response = api.get(MEDIA + path, HTTP_RANGE=header)
        assert response.status_code == status
        if body is None:
            assert response["Content-Range"] == "bytes */10"
            assert set(response.json()) == {"error", "path"}
        else:
            assert body_of(response) == body


def test_unchanged_files_are_not_sent_again(api, camera, picture):
    path = f"{MEDIA}cameras/{camera.slug}/2025/01/04/image_001.jpg"
    first = api.get(path)

    assert api.get(path, HTTP_IF_NONE_MATCH=first["ETag"]).status_code == 304
    assert api.get(path, HTTP_IF_MODIFIED_SINCE=first["Last-Modified"]).status_code == 304
    picture.write_bytes(jpeg(seed=9))
    assert api.get(path, HTTP_IF_NONE_MATCH=first["ETag"]).status_code == 200


def test_head_returns_the_headers_of_get_without_a_body(api, camera, picture):
    path = f"{MEDIA}cameras/{camera.slug}/2025/01/04/image_001.jpg"

    response = api.head(path, HTTP_RANGE="bytes=0-0")

    assert response.status_code == 200
    assert response["Content-Length"] == str(picture.stat().st_size)
    assert body_of(response) == b""


@pytest.mark.parametrize("method", ["post", "put", "patch", "delete"])
def test_media_can_only_be_read(api, camera, picture, method):
    path = f"cameras/{camera.slug}/2025/01/04/image_001.jpg"

    response = getattr(api, method)(MEDIA + path)

    assert response.status_code == 405
    assert set(response.json()) == {"error", "path"}
    assert picture.exists()
