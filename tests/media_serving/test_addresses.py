"""Addresses below /api/media/: what is built is parsed again, and nothing else names a row."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from media_serving.addresses import (
    MAX_PATH,
    PREFIX,
    InvalidCameraIdentifier,
    MediaPath,
    clip_url,
    parse,
    thumbnail_url,
)
from nvr.errors import NvrError, UriTooLong
from nvr.media.files.paths import NulInPath, PathTraversal

IDS = st.integers(0, 10**18 - 1)
SEGMENTS = st.sampled_from(("", ".", "..", "cameras", "clips", "yard", "a.jpg", "\0", "7")) | st.text(max_size=5)
PATHS = st.lists(SEGMENTS, max_size=5).map("/".join)


@given(row_id=IDS)
def test_an_address_that_is_built_is_parsed_to_the_same_row(row_id: int) -> None:
    thumbnail = parse(thumbnail_url(row_id).removeprefix(PREFIX))
    clip = parse(clip_url(row_id).removeprefix(PREFIX))

    assert (thumbnail.kind, thumbnail.id) == ("thumbnails", row_id)
    assert (clip.kind, clip.id) == ("clips", row_id)


@pytest.mark.parametrize("path", ["detections/7", "uploads/7", "thumbnails/detection_7.jpg", "clips/7_clip.mp4"])
def test_a_path_names_one_row(path: str) -> None:
    assert parse(path).id == 7


@pytest.mark.parametrize(
    "path",
    [
        "detections/",
        "detections/7/",
        "detections/-7",
        "detections/7\n",
        "detections/\u0667",  # a digit of another script
        "detections/1234567890123456789",
        "uploads/7.jpg",
        "thumbnails/7.jpg",
        "clips/detection_7.jpg",
        "cameras/7",
        "other/7",
        "7",
    ],
)
def test_another_path_names_no_row(path: str) -> None:
    assert parse(path).id is None


def test_a_path_of_a_camera_has_its_id_and_the_name_of_a_file() -> None:
    path = parse("cameras/yard/2026-01-31/a.jpg")

    assert (path.kind, path.camera_id, path.filename) == ("cameras", "yard", "2026-01-31/a.jpg")


@pytest.mark.parametrize(
    ("path", "error"),
    [
        ("cameras/../a.jpg", InvalidCameraIdentifier),
        ("cameras//a.jpg", InvalidCameraIdentifier),
        ("cameras/yard//etc/passwd", PathTraversal),
        ("cameras/yard/../a.jpg", PathTraversal),
        ("clips/..", PathTraversal),
        ("clips//etc/passwd", PathTraversal),
        ("/etc/passwd", PathTraversal),
        ("..", PathTraversal),
        ("cameras/yard/a\0.jpg", NulInPath),
        ("a" * (MAX_PATH + 1), UriTooLong),
    ],
)
def test_a_path_of_an_invalid_form_is_refused(path: str, error: type[NvrError]) -> None:
    with pytest.raises(error):
        parse(path)


@given(path=PATHS)
@example(path="cameras/yard/..a")
@example(path="a" * MAX_PATH)
def test_a_path_that_is_accepted_is_kept_and_leads_neither_up_nor_to_the_root(path: str) -> None:
    try:
        parsed = parse(path)
    except NvrError:
        assert "\0" in path or ".." in path.split("/") or path.startswith("/") or "//" in path
        return

    kind, _, rest = path.partition("/")
    assert parsed == MediaPath(kind, rest)
    assert "\0" not in path and ".." not in path.split("/")
    assert not (path.startswith("/") or rest.startswith("/"))
    assert not (kind == "cameras" and parsed.filename.startswith("/"))
