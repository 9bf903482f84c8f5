"""The disk of the data directory is really full: files can still be reviewed, and the trash emptied."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.db import OperationalError, connection
from rest_framework.test import APIClient

from nvr.media.files.companions import apply_action
from reviewer import disk_reserve
from reviewer.catalog import store
from reviewer.models import ReviewPath, TrashRun
from tests.disks import fill, small_disk
from tests.factories import jpeg, put
from tests.reviewer.emptying import emptied, of_type
from tests.reviewer.test_listings import ALL, FILES, SUMMARY, names, streamed

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def reset_memory_indexes() -> Iterator[None]:
    yield
    store._memory_indexes.__init__()  # type: ignore[misc]


@pytest.fixture
def disk(tmp_path: Path, settings: Any, known: ReviewPath) -> Iterator[Path]:
    with small_disk(tmp_path / "data", megabytes=2) as folder:
        settings.NVR_DATA_DIR = folder
        yield folder
        store._local.__dict__.pop("opened", None)


def all_listings(client: APIClient, card: Path, folder: Path) -> tuple[list[str], int, int]:
    files = client.get(FILES, {"path": str(folder)}).json()["count"]
    return names(streamed(client, card)), client.get(SUMMARY, {"path": str(card)}).json()["counts"]["all"], files


@pytest.mark.parametrize("is_indexed", [False, True])
def test_listings_stay_correct_without_disk_space(review, card, folder, disk, is_indexed):
    if is_indexed:
        assert all_listings(review, card, folder) == (ALL, 4, 3)
    fill(disk)

    assert all_listings(review, card, folder) == (ALL, 4, 3)
    for order in ("folder", "time"):
        assert len(streamed(review, card, order=order)) == 4

    put(folder, "IMG_0009.JPG", jpeg())
    (card / "DCIM/101MEDIA/IMG_0001.JPG").unlink()
    response = review.post(
        "/api/media-actions", {"path": str(folder / "IMG_0002.JPG"), "action": "trash"}, format="json"
    )

    assert response.status_code == 200
    assert all_listings(review, card, folder)[0] == [name for name in ALL if "101" not in name] + [
        "100MEDIA/IMG_0009.JPG"
    ]
    assert names(streamed(review, card, statusFilter="trashed")) == ["100MEDIA/IMG_0002.JPG"]


def test_index_on_disk_is_used_again_after_space_is_freed(review, card, folder, disk, monkeypatch):
    monkeypatch.setattr(store, "DISK_RETRY_S", 0.0)
    filler = fill(disk)
    assert all_listings(review, card, folder) == (ALL, 4, 3)
    assert store._memory_indexes.opened

    filler.unlink()

    assert all_listings(review, card, folder) == (ALL, 4, 3)
    assert not store._memory_indexes.opened
    assert store.index_file(str(card)).stat().st_size > 0


def test_frequent_requests_do_not_delay_the_next_disk_retry(review, card, folder, disk):
    fill(disk)
    all_listings(review, card, folder)
    next_try = dict(store._memory_indexes.retry_disk_at)

    assert all_listings(review, card, folder) == (ALL, 4, 3)

    assert next_try
    assert store._memory_indexes.retry_disk_at == next_try


@pytest.mark.django_db(transaction=True)
def test_trash_can_be_emptied_without_disk_space(review, card, folder, disk, worker):
    fill(disk)
    for name in ("IMG_0001.JPG", "IMG_0002.JPG"):
        apply_action(folder / name, "trash")

    assert len(of_type(emptied(review, query="?dry_run=1"), "would_delete")) == 2
    assert emptied(review)[-1] == {"type": "done", "deleted": 2, "errors": 0}
    assert review.get(SUMMARY, {"path": str(card)}).json()["counts"]["all"] == 2


# Recording a run


def disk_full_error() -> OperationalError:
    """Return the error that Django raises for SQLite's error."""
    error = OperationalError("database or disk is full")
    error.__cause__ = sqlite3.OperationalError("database or disk is full")
    error.__cause__.sqlite_errorcode = sqlite3.SQLITE_FULL
    return error


@pytest.fixture
def full_database(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """No run can be created while the reserve exists. The paths of failed attempts."""
    rejected: list[str] = []
    create = TrashRun.objects.create

    def create_or_fail(**values: Any) -> TrashRun:
        if disk_reserve.reserve_file().exists() or not rejected:
            rejected.append(values["path"])
            raise disk_full_error()
        return create(**values)

    monkeypatch.setattr(TrashRun.objects, "create", create_or_fail)
    return rejected


@pytest.mark.skipif(connection.vendor != "sqlite", reason="a server's database is on another disk")
def test_run_without_disk_space_uses_the_reserve(review, sent, known, full_database, monkeypatch):
    disk_reserve.allocate_reserve()
    assert disk_reserve.reserve_file().stat().st_blocks * 512 >= disk_reserve.RESERVE_BYTES
    monkeypatch.setattr("reviewer.api.trash.wait_for_worker", lambda run, is_gone: None)

    response = review.post("/api/empty-trash")

    assert response.status_code == 200
    assert TrashRun.objects.count() == len(sent) == 1
    assert not disk_reserve.reserve_file().exists()


def test_run_without_disk_space_and_reserve_is_507(review, sent, known, full_database):
    disk_reserve.release_reserve()

    assert review.post("/api/empty-trash").status_code == 507
    assert not TrashRun.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_events_that_cannot_be_stored_are_reported_later(review, card, folder, known, worker, monkeypatch):
    from reviewer.trash.worker import TrashRunAttempt

    for name in ("IMG_0001.JPG", "IMG_0002.JPG"):
        apply_action(folder / name, "trash")
    disk_reserve.release_reserve()
    rejected: list[int] = []
    write = TrashRunAttempt.write_events

    def fail_at_first(self: TrashRunAttempt, own_run: Any, events: Any) -> None:
        if len(rejected) < 5:
            rejected.append(len(events))
            raise disk_full_error()
        write(self, own_run, events)

    monkeypatch.setattr(TrashRunAttempt, "write_events", fail_at_first)

    lines = emptied(review)

    assert len(of_type(lines, "deleted")) == 2
    assert lines[-1] == {"type": "done", "deleted": 2, "errors": 0}


def test_reserve_is_not_allocated_without_enough_free_space(disk):
    disk_reserve.allocate_reserve()
    assert not disk_reserve.reserve_file().exists()
