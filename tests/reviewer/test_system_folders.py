"""What systems keep in a share for themselves is not reviewed: not listed, shown, marked or deleted."""

from __future__ import annotations

from pathlib import Path

import pytest
from rest_framework.test import APIClient

from reviewer.models import ReviewPath
from tests.factories import jpeg, make_user, put, put_system_files
from tests.reviewer.emptying import emptied, of_type
from tests.reviewer.test_listings import ALL, names, streamed

pytestmark = pytest.mark.django_db


@pytest.fixture
def kept(card: Path, known: ReviewPath) -> list[Path]:
    return [*put_system_files(card), *put_system_files(card / "DCIM/100MEDIA")]


def test_they_are_neither_listed_nor_counted(review, card, kept):
    assert names(streamed(review, card)) == ALL
    assert review.get("/api/media-items/summary", {"path": str(card)}).json()["counts"]["all"] == len(ALL)
    assert review.get("/api/folders/files", {"path": str(card / "#recycle")}).status_code == 400


def test_they_are_neither_shown_nor_marked(review, card, kept):
    for file in kept:
        assert review.get("/api/media-file", {"path": str(file)}).status_code == 400
        assert review.get("/api/media-thumbnail", {"path": str(file)}).status_code == 400
        marked = review.post("/api/media-actions", {"path": str(file), "action": "trash"}, format="json")
        assert marked.status_code == 400
        assert not Path(f"{file}.trash").exists()


@pytest.mark.django_db(transaction=True)
def test_they_are_not_deleted_whatever_marks_lie_beside_them(review, card, kept, worker):
    for file in kept:
        Path(f"{file}.trash").touch()

    assert of_type(emptied(review, query="?dry_run=1"), "would_delete") == []
    assert of_type(emptied(review), "deleted") == []
    assert all(file.exists() for file in kept)


def test_a_picker_does_not_show_them(manage, card, kept):
    answer = manage.get("/api/folders", {"path": str(card)}).json()

    assert [folder["name"] for folder in answer["folders"]] == ["DCIM"]


def test_who_adds_such_a_folder_itself_reviews_it(card, kept):
    client = APIClient()
    client.force_authenticate(make_user("chief", is_superuser=True))
    place = card / "#recycle"

    assert client.post("/api/review-paths", {"path": str(place)}, format="json").status_code == 201

    assert names(streamed(client, place)) == ["#recycle/old.jpg"]


def test_a_link_into_such_a_folder_is_not_listed(review, card, kept):
    put(card, "#recycle/link_target.jpg", jpeg())
    (card / "DCIM/100MEDIA/Z_LINK.jpg").symlink_to(card / "#recycle/link_target.jpg")

    assert names(streamed(review, card)) == ALL
