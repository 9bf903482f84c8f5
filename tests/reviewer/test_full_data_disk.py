"""The disk of NVR's own data is full, really: what is to be reviewed can be read and emptied all the same."""

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
def no_spares() -> Iterator[None]:
    yield
    store._memory_indexes.__init__()  # type: ignore[misc]


@pytest.fixture
def disk(tmp_path: Path, settings: Any, known: ReviewPath) -> Iterator[Path]:
    with small_disk(tmp_path / "data", megabytes=2) as folder:
        settings.NVR_DATA_DIR = folder
        yield folder
        store._local.__dict__.pop("opened", None)


def everything(client: APIClient, card: Path, folder: Path) -> tuple[list[str], int, int]:
    files = client.get(FILES, {"path": str(folder)}).json()["count"]
    return names(streamed(client, card)), client.get(SUMMARY, {"path": str(card)}).json()["counts"]["all"], files


@pytest.mark.parametrize("is_read_before", [False, True])
def test_listings_are_answered_and_true(review, card, folder, disk, is_read_before):
    if is_read_before:
        assert everything(review, card, folder) == (ALL, 4, 3)
    fill(disk)

    assert everything(review, card, folder) == (ALL, 4, 3)
    for order in ("folder", "time"):
        assert len(streamed(review, card, order=order)) == 4

    put(folder, "IMG_0009.JPG", jpeg())
    (card / "DCIM/101MEDIA/IMG_0001.JPG").unlink()
    answer = review.post("/api/media-actions", {"path": str(folder / "IMG_0002.JPG"), "action": "trash"}, format="json")

    assert answer.status_code == 200
    assert everything(review, card, folder)[0] == [name for name in ALL if "101" not in name] + [
        "100MEDIA/IMG_0009.JPG"
    ]
    assert names(streamed(review, card, statusFilter="trashed")) == ["100MEDIA/IMG_0002.JPG"]


def test_the_index_on_disk_is_used_again_when_there_is_room(review, card, folder, disk, monkeypatch):
    monkeypatch.setattr(store, "DISK_RETRY_S", 0.0)
    rubbish = fill(disk)
    assert everything(review, card, folder) == (ALL, 4, 3)
    assert store._memory_indexes.opened

    rubbish.unlink()

    assert everything(review, card, folder) == (ALL, 4, 3)
    assert not store._memory_indexes.opened
    assert store.index_file(str(card)).stat().st_size > 0


def test_who_goes_on_asking_does_not_put_off_the_next_try_of_the_disk(review, card, folder, disk):
    fill(disk)
    everything(review, card, folder)
    next_try = dict(store._memory_indexes.retry_disk_at)

    assert everything(review, card, folder) == (ALL, 4, 3)

    assert next_try
    assert store._memory_indexes.retry_disk_at == next_try


@pytest.mark.django_db(transaction=True)
def test_the_trash_is_emptied(review, card, folder, disk, worker):
    fill(disk)
    for name in ("IMG_0001.JPG", "IMG_0002.JPG"):
        apply_action(folder / name, "trash")

    assert len(of_type(emptied(review, query="?dry_run=1"), "would_delete")) == 2
    assert emptied(review)[-1] == {"type": "done", "deleted": 2, "errors": 0}
    assert review.get(SUMMARY, {"path": str(card)}).json()["counts"]["all"] == 2


# The record of a run


def no_room() -> OperationalError:
    """As Django raises what SQLite says."""
    error = OperationalError("database or disk is full")
    error.__cause__ = sqlite3.OperationalError("database or disk is full")
    error.__cause__.sqlite_errorcode = sqlite3.SQLITE_FULL
    return error


@pytest.fixture
def full_database(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """No run can be made as long as the reserve is there."""
    refused: list[str] = []
    create = TrashRun.objects.create

    def made(**values: Any) -> TrashRun:
        if disk_reserve.reserve_file().exists() or not refused:
            refused.append(values["path"])
            raise no_room()
        return create(**values)

    monkeypatch.setattr(TrashRun.objects, "create", made)
    return refused


@pytest.mark.skipif(connection.vendor != "sqlite", reason="a server's database lies on a disk of its own")
def test_a_run_for_which_there_is_no_room_is_made_in_the_reserve(review, sent, known, full_database, monkeypatch):
    disk_reserve.allocate_reserve()
    assert disk_reserve.reserve_file().stat().st_blocks * 512 >= disk_reserve.RESERVE_BYTES
    monkeypatch.setattr("reviewer.api.trash.wait_for_worker", lambda run, is_gone: None)

    answer = review.post("/api/empty-trash")

    assert answer.status_code == 200
    assert TrashRun.objects.count() == len(sent) == 1
    assert not disk_reserve.reserve_file().exists()


def test_without_a_reserve_it_is_507(review, sent, known, full_database):
    disk_reserve.release_reserve()

    assert review.post("/api/empty-trash").status_code == 507
    assert not TrashRun.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_what_cannot_be_written_down_is_deleted_all_the_same_and_told_later(
    review, card, folder, known, worker, monkeypatch
):
    from reviewer.trash.worker import TrashRunAttempt

    for name in ("IMG_0001.JPG", "IMG_0002.JPG"):
        apply_action(folder / name, "trash")
    disk_reserve.release_reserve()
    refused: list[int] = []
    write = TrashRunAttempt.write_events

    def soon(self: TrashRunAttempt, own_run: Any, events: Any) -> None:
        if len(refused) < 5:
            refused.append(len(events))
            raise no_room()
        write(self, own_run, events)

    monkeypatch.setattr(TrashRunAttempt, "write_events", soon)

    lines = emptied(review)

    assert len(of_type(lines, "deleted")) == 2
    assert lines[-1] == {"type": "done", "deleted": 2, "errors": 0}


def test_the_reserve_is_taken_when_there_is_plenty_and_only_then(disk):
    disk_reserve.allocate_reserve()
    assert not disk_reserve.reserve_file().exists()
