"""The file itself: whole, in part, as an attachment, or as browsers play it."""

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


def ask(client: APIClient, file: Path | str, **headers: str):
    answer = client.get(URL, {"path": str(file)}, **headers)
    return answer, b"".join(answer.streaming_content) if answer.streaming else answer.content  # type: ignore[attr-defined]


def test_every_kind_that_is_reviewed_has_a_type():
    assert {f".{ending}" for ending in MEDIA_TYPES} == CONTENT_TYPES.keys()


@pytest.mark.parametrize(
    ("name", "kind"),
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
def test_the_bytes_come_with_their_type_and_are_not_guessed_at(review, card, name, kind):
    answer, body = ask(review, put(card, name, b"<html>any bytes"))

    assert (answer.status_code, answer["Content-Type"], body) == (200, kind, b"<html>any bytes")
    assert answer["X-Content-Type-Options"] == "nosniff"
    assert answer["Content-Disposition"] == f'inline; filename="{name}"'
    assert answer["Cache-Control"] == "private, no-cache"


def test_ranges_and_conditions(review, card):
    file = put(card, "a.mp4", bytes(range(100)))

    answer, body = ask(review, file, HTTP_RANGE="bytes=10-19")
    assert (answer.status_code, answer["Content-Range"], body) == (206, "bytes 10-19/100", bytes(range(10, 20)))
    assert ask(review, file, HTTP_IF_NONE_MATCH=answer["ETag"])[0].status_code == 304
    beyond, _ = ask(review, file, HTTP_RANGE="bytes=100-")
    assert (beyond.status_code, beyond["Content-Range"], set(beyond.json())) == (416, "bytes */100", {"error"})
    head = review.head(URL, {"path": str(file)})
    assert (head.status_code, head["Content-Length"], head["Accept-Ranges"], head.content) == (200, "100", "bytes", b"")


def test_an_address_with_the_files_time_may_be_kept_for_ever(review, card):
    file = card / "DCIM/100MEDIA/IMG_0001.JPG"
    mtime_ns = file.stat().st_mtime_ns

    for version, is_kept in ((iso_timestamp(mtime_ns), True), (str(mtime_ns), True), (str(mtime_ns - 1), False)):
        answer = review.get(URL, {"path": str(file), "v": version})
        assert ("immutable" in answer["Cache-Control"]) is is_kept


def test_it_can_be_saved(review, card):
    answer = review.get(URL, {"path": str(card / "DCIM/100MEDIA/IMG_0001.JPG"), "download": "1"})

    assert answer["Content-Disposition"] == 'attachment; filename="IMG_0001.JPG"'


def test_a_video_that_browsers_play_is_its_own_playable_form(review, card):
    file = make_video(card / "a.mp4", seconds=0.5)

    answer = review.get(URL, {"path": str(file), "playable": "1"})

    assert (answer.status_code, answer["Content-Type"]) == (200, "video/mp4")
    assert b"".join(answer.streaming_content) == file.read_bytes()


def test_another_is_made_by_a_worker_and_asked_for_again(review, card):
    file = make_video(card / "a.avi", seconds=0.5, codec=("-c:v", "mjpeg"))
    query = {"path": str(file), "playable": "1"}

    first = review.get(URL, query)
    assert (first.status_code, first.json(), first["Retry-After"]) == (
        202,
        {"state": "waiting", "path": str(file)},
        "2",
    )
    transcoder.make_playable(Transcode.objects.get().pk)
    answer = review.get(URL, query)

    assert (answer.status_code, answer["Content-Type"]) == (200, "video/mp4")
    assert answer["Content-Disposition"] == 'inline; filename="a.mp4"'
    assert b"".join(answer.streaming_content)[4:8] == b"ftyp"


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
        ({"path": "{card}/way/outside.jpg"}, 403),
        ({"path": "{card}/pipe.jpg"}, 400),
        ({"path": "{picture}", "playable": "1"}, 400),
        ({"path": "{picture}", "playable": "yes"}, 400),
        ({"path": "{picture}", "download": "0"}, 400),
    ],
)
def test_refusals(review, card, tmp_path, query, status):
    (card / "out.jpg").symlink_to(put(tmp_path, "outside.jpg", jpeg()))
    (card / "way").symlink_to(tmp_path)
    put(card / ".hidden", "a.jpg", jpeg())
    os.mkfifo(card / "pipe.jpg")
    values = {"card": card, "picture": card / "DCIM/100MEDIA/IMG_0001.JPG"}

    answer = review.get(URL, {name: value.format(**values) for name, value in query.items()})

    assert (answer.status_code, set(answer.json())) == (status, {"error"})


def test_a_link_within_the_path_and_a_strange_name_are_served(review, card):
    (card / "in.jpg").symlink_to(card / "DCIM/100MEDIA/IMG_0001.JPG")
    Path(os.fsdecode(os.fsencode(card) + b"/br\xf6k\n.jpg")).write_bytes(b"x")

    assert ask(review, card / "in.jpg")[0].status_code == 200
    answer = review.get(f"{URL}?path={card}/br%F6k%0A.jpg")
    assert (answer.status_code, answer["Content-Length"]) == (200, "1")


def test_a_folder_that_becomes_a_link_while_it_is_served_lets_nothing_out(review, card, tmp_path, monkeypatch):
    from reviewer.api import media

    file = card / "DCIM/100MEDIA/IMG_0001.JPG"
    put(tmp_path, "IMG_0001.JPG", b"secret")
    found = media.resolve_media

    def swapped(user, given):
        place = found(user, given)
        file.parent.rename(card / "moved")
        file.parent.symlink_to(tmp_path)
        return place

    monkeypatch.setattr(media, "resolve_media", swapped)
    for address in (URL, "/api/media-thumbnail"):
        answer = review.get(address, {"path": str(file)})
        assert (answer.status_code, set(answer.json())) == (403, {"error"})
        file.parent.unlink()
        (card / "moved").rename(file.parent)


def test_who_may_not_review_gets_none(card, known, group):
    for user, status in (
        (None, 401),
        (make_user("guest", groups=(group,)), 403),
        (make_user("else", "reviewer.review"), 403),
    ):
        client = APIClient()
        client.force_authenticate(user)
        for method in (client.get, client.head):
            answer = method(URL, {"path": str(card / "DCIM/100MEDIA/IMG_0001.JPG")}, HTTP_RANGE="bytes=0-0")
            assert answer.status_code == status
