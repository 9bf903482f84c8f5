"""What the reviewer's API says when it refuses: one key, and a sentence with its full stop."""

from __future__ import annotations

import pytest
from rest_framework.test import APIClient

from reviewer.path_resolution import Missing, NotMedia, OutsideReview
from reviewer.policy import HiddenPath
from reviewer.thumbnails.rendering import NoThumbnail

FILE = "/api/media-file"


@pytest.mark.parametrize(
    ("method", "url", "values", "headers", "status"),
    [
        ("get", FILE, {"path": "/etc/passwd"}, {}, 403),
        ("get", FILE, {"path": "{folder}/gone.jpg"}, {}, 400),
        ("get", FILE, {"path": "{folder}/notes.txt"}, {}, 403),
        ("get", FILE, {"path": "{folder}/IMG_0001.JPG"}, {"HTTP_RANGE": "bytes=999999-"}, 416),
        ("get", FILE, {"path": "{folder}/IMG_0001.JPG"}, {"HTTP_IF_MATCH": '"other"'}, 412),
        ("get", FILE, {}, {}, 400),
        ("get", "/api/media-thumbnail", {"path": "{folder}/notes.txt"}, {}, 400),
        ("get", "/api/trash-runs/999", {}, {}, 404),
        ("get", "/api/media-items/nothing", {}, {}, 404),
        ("put", "/api/media-actions", {}, {}, 405),
        ("post", "/api/review-paths", {"path": "/proc"}, {}, 403),
    ],
)
def test_each_refusal_is_a_sentence(review, folder, method, url, values, headers, status):
    body = {name: value.format(folder=folder) for name, value in values.items()}

    answer = getattr(review, method)(url, body, **({} if method == "get" else {"format": "json"}), **headers)

    assert (answer.status_code, set(answer.json())) == (status, {"error"})
    assert answer.json()["error"].endswith(".") and not answer.json()["error"].endswith("..")


def test_so_is_what_a_stranger_is_told(db):
    answer = APIClient().get(FILE)

    assert answer.status_code == 401
    assert answer.json()["error"].endswith(".")


@pytest.mark.parametrize("error", [Missing, NotMedia, OutsideReview, HiddenPath, NoThumbnail])
def test_and_what_pages_and_batches_tell(error):
    assert error().detail.endswith(".")
