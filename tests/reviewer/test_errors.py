"""Errors of the reviewer's API have one key, whose value is a sentence with a full stop."""

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
def test_each_error_is_a_sentence(review, folder, method, url, values, headers, status):
    body = {name: value.format(folder=folder) for name, value in values.items()}

    response = getattr(review, method)(url, body, **({} if method == "get" else {"format": "json"}), **headers)

    assert (response.status_code, set(response.json())) == (status, {"error"})
    assert response.json()["error"].endswith(".") and not response.json()["error"].endswith("..")


def test_error_for_anonymous_users_is_a_sentence(db):
    response = APIClient().get(FILE)

    assert response.status_code == 401
    assert response.json()["error"].endswith(".")


@pytest.mark.parametrize("error", [Missing, NotMedia, OutsideReview, HiddenPath, NoThumbnail])
def test_default_error_text_is_a_sentence(error):
    assert error().detail.endswith(".")
