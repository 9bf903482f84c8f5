"""Files in system folders of NAS devices and operating systems are not listed, served, marked or deleted."""

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
def system_files(card: Path, known: ReviewPath) -> list[Path]:
    return [*put_system_files(card), *put_system_files(card / "DCIM/100MEDIA")]


def test_system_folders_are_not_listed(review, card, system_files):
    assert names(streamed(review, card)) == ALL
    assert review.get("/api/media-items/summary", {"path": str(card)}).json()["counts"]["all"] == len(ALL)
    assert review.get("/api/folders/files", {"path": str(card / "#recycle")}).status_code == 400


def test_files_in_system_folders_are_neither_served_nor_marked(review, card, system_files):
    for file in system_files:
        assert review.get("/api/media-file", {"path": str(file)}).status_code == 400
        assert review.get("/api/media-thumbnail", {"path": str(file)}).status_code == 400
        marked = review.post("/api/media-actions", {"path": str(file), "action": "trash"}, format="json")
        assert marked.status_code == 400
        assert not Path(f"{file}.trash").exists()


@pytest.mark.django_db(transaction=True)
def test_marked_files_in_system_folders_are_not_deleted(review, card, system_files, worker):
    for file in system_files:
        Path(f"{file}.trash").touch()

    assert of_type(emptied(review, query="?dry_run=1"), "would_delete") == []
    assert of_type(emptied(review), "deleted") == []
    assert all(file.exists() for file in system_files)


def test_picker_omits_system_folders(manage, card, system_files):
    response = manage.get("/api/folders", {"path": str(card)}).json()

    assert [folder["name"] for folder in response["folders"]] == ["DCIM"]


def test_system_folder_can_be_added_as_a_review_path(card, system_files):
    client = APIClient()
    client.force_authenticate(make_user("chief", is_superuser=True))
    folder = card / "#recycle"

    assert client.post("/api/review-paths", {"path": str(folder)}, format="json").status_code == 201

    assert names(streamed(client, folder)) == ["#recycle/old.jpg"]


def test_link_into_a_system_folder_is_not_listed(review, card, system_files):
    put(card, "#recycle/link_target.jpg", jpeg())
    (card / "DCIM/100MEDIA/Z_LINK.jpg").symlink_to(card / "#recycle/link_target.jpg")

    assert names(streamed(review, card)) == ALL
