"""`/api/media-file`: complete files, ranges, attachments, and web playback versions."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from rest_framework.test import APIClient

from media_serving.models import Transcode
from media_serving.transcoding import worker as transcoder
from reviewer.api.media import CONTENT_TYPES
from reviewer.catalog.media_types import MEDIA_TYPES
from reviewer.items import iso_timestamp
from tests.factories import jpeg, make_user, make_video, put

URL = "/api/media-file"


def get(client: APIClient, file: Path | str, **headers: str):
    response = client.get(URL, {"path": str(file)}, **headers)
    return response, b"".join(response.streaming_content) if response.streaming else response.content  # type: ignore[attr-defined]


def test_every_reviewed_suffix_has_a_content_type():
    assert {f".{suffix}" for suffix in MEDIA_TYPES} == CONTENT_TYPES.keys()


@pytest.mark.parametrize(
    ("name", "content_type"),
    [
        ("A.JPG", "image/jpeg"),
        ("a.webp", "image/webp"),
        ("a.bmp", "image/bmp"),
        ("a.tiff", "image/tiff"),
        ("a.M4V", "video/mp4"),
        ("a.mts", "video/mp2t"),
        ("a.wmv", "video/x-ms-wmv"),
        ("a.3gp", "video/3gpp"),
    ],
)
def test_file_has_its_content_type_and_nosniff(review, card, name, content_type):
    response, body = get(review, put(card, name, b"<html>any bytes"))

    assert (response.status_code, response["Content-Type"], body) == (200, content_type, b"<html>any bytes")
    assert response["X-Content-Type-Options"] == "nosniff"
    assert response["Content-Disposition"] == f'inline; filename="{name}"'
    assert response["Cache-Control"] == "private, no-cache"


def test_range_and_conditional_requests(review, card):
    file = put(card, "a.mp4", bytes(range(100)))

    response, body = get(review, file, HTTP_RANGE="bytes=10-19")
    assert (response.status_code, response["Content-Range"], body) == (206, "bytes 10-19/100", bytes(range(10, 20)))
    assert get(review, file, HTTP_IF_NONE_MATCH=response["ETag"])[0].status_code == 304
    beyond, _ = get(review, file, HTTP_RANGE="bytes=100-")
    assert (beyond.status_code, beyond["Content-Range"], set(beyond.json())) == (416, "bytes */100", {"error"})
    head = review.head(URL, {"path": str(file)})
    assert (head.status_code, head["Content-Length"], head["Accept-Ranges"], head.content) == (200, "100", "bytes", b"")


def test_url_with_the_mtime_is_immutable(review, card):
    file = card / "DCIM/100MEDIA/IMG_0001.JPG"
    mtime_ns = file.stat().st_mtime_ns

    for version, is_immutable in ((iso_timestamp(mtime_ns), True), (str(mtime_ns), True), (str(mtime_ns - 1), False)):
        response = review.get(URL, {"path": str(file), "v": version})
        assert ("immutable" in response["Cache-Control"]) is is_immutable


def test_download_parameter_sends_an_attachment(review, card):
    response = review.get(URL, {"path": str(card / "DCIM/100MEDIA/IMG_0001.JPG"), "download": "1"})

    assert response["Content-Disposition"] == 'attachment; filename="IMG_0001.JPG"'


def test_playable_video_is_its_own_playback_version(review, card):
    file = make_video(card / "a.mp4", seconds=0.5)

    response = review.get(URL, {"path": str(file), "playable": "1"})

    assert (response.status_code, response["Content-Type"]) == (200, "video/mp4")
    assert b"".join(response.streaming_content) == file.read_bytes()


def test_other_video_is_202_until_a_worker_has_transcoded_it(review, card):
    file = make_video(card / "a.avi", seconds=0.5, codec=("-c:v", "mjpeg"))
    query = {"path": str(file), "playable": "1"}

    first = review.get(URL, query)
    assert (first.status_code, first.json(), first["Retry-After"]) == (
        202,
        {"state": "waiting", "path": str(file)},
        "2",
    )
    transcoder.make_playable(Transcode.objects.get().pk)
    response = review.get(URL, query)

    assert (response.status_code, response["Content-Type"]) == (200, "video/mp4")
    assert response["Content-Disposition"] == 'inline; filename="a.mp4"'
    assert b"".join(response.streaming_content)[4:8] == b"ftyp"


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ({}, 400),
        ({"path": ""}, 400),
        ({"path": "{card}/missing.jpg"}, 400),
        ({"path": "{card}/missing.txt"}, 400),
        ({"path": "{card}/DCIM"}, 400),
        ({"path": "{card}/.hidden/a.jpg"}, 400),
        ({"path": "{card}/DCIM/100MEDIA/notes.txt"}, 403),
        ({"path": "/etc/passwd"}, 403),
        ({"path": "/nowhere/a.jpg"}, 403),
        ({"path": "{card}/../outside.jpg"}, 403),
        ({"path": "{card}/out.jpg"}, 403),
        ({"path": "{card}/linked/outside.jpg"}, 403),
        ({"path": "{card}/pipe.jpg"}, 400),
        ({"path": "{picture}", "playable": "1"}, 400),
        ({"path": "{picture}", "playable": "yes"}, 400),
        ({"path": "{picture}", "download": "0"}, 400),
    ],
)
def test_media_file_rejects_invalid_queries(review, card, tmp_path, query, status):
    (card / "out.jpg").symlink_to(put(tmp_path, "outside.jpg", jpeg()))
    (card / "linked").symlink_to(tmp_path)
    put(card / ".hidden", "a.jpg", jpeg())
    os.mkfifo(card / "pipe.jpg")
    values = {"card": card, "picture": card / "DCIM/100MEDIA/IMG_0001.JPG"}

    response = review.get(URL, {name: value.format(**values) for name, value in query.items()})

    assert (response.status_code, set(response.json())) == (status, {"error"})


def test_inside_link_and_unusual_name_are_served(review, card):
    (card / "in.jpg").symlink_to(card / "DCIM/100MEDIA/IMG_0001.JPG")
    Path(os.fsdecode(os.fsencode(card) + b"/br\xf6k\n.jpg")).write_bytes(b"x")

    assert get(review, card / "in.jpg")[0].status_code == 200
    response = review.get(f"{URL}?path={card}/br%F6k%0A.jpg")
    assert (response.status_code, response["Content-Length"]) == (200, "1")


def test_folder_replaced_with_a_link_while_serving_is_403(review, card, tmp_path, monkeypatch):
    from reviewer.api import media

    file = card / "DCIM/100MEDIA/IMG_0001.JPG"
    put(tmp_path, "IMG_0001.JPG", b"secret")
    resolve_media = media.resolve_media

    def swap_folder(user, path):
        resolved = resolve_media(user, path)
        file.parent.rename(card / "moved")
        file.parent.symlink_to(tmp_path)
        return resolved

    monkeypatch.setattr(media, "resolve_media", swap_folder)
    for url in (URL, "/api/media-thumbnail"):
        response = review.get(url, {"path": str(file)})
        assert (response.status_code, set(response.json())) == (403, {"error"})
        file.parent.unlink()
        (card / "moved").rename(file.parent)


def test_users_without_access_get_no_file(card, known, group):
    for user, status in (
        (None, 401),
        (make_user("guest", groups=(group,)), 403),
        (make_user("outsider", "reviewer.review"), 403),
    ):
        client = APIClient()
        client.force_authenticate(user)
        for method in (client.get, client.head):
            response = method(URL, {"path": str(card / "DCIM/100MEDIA/IMG_0001.JPG")}, HTTP_RANGE="bytes=0-0")
            assert response.status_code == status
