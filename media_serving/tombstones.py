"""Removing files: a tombstone is written in the transaction that deletes the row, and processed after its commit.

A beat task retries failed removals until they succeed.
"""

from __future__ import annotations

import errno
import logging
from collections.abc import Iterable, Sequence
from pathlib import Path

from django.db import transaction
from django.db.models import F

from media_serving.models import Tombstone

logger = logging.getLogger(__name__)

BATCH = 500


def schedule_deletion(paths: Iterable[Path]) -> None:
    """Remove the files at `paths` after the current transaction commits.

    The first batch is removed right after the commit, so that deleting one clip takes effect at once. The rest,
    such as a camera's hundred thousand thumbnails, is left to the task, so that no request waits for it.
    """
    tombstones = Tombstone.objects.bulk_create([Tombstone(path=str(path)) for path in paths], batch_size=BATCH)
    first = [tombstone.pk for tombstone in tombstones[:BATCH]]
    if first:
        transaction.on_commit(lambda: process_tombstones(Tombstone.objects.filter(pk__in=first)), robust=True)


def process_pending_tombstones() -> int:
    """Try every tombstone once; return the number of removed files."""
    removed, last = 0, None
    # By primary key, so that files that cannot be removed are tried once and do not block the others.
    while batch := _next_batch(last):
        removed += process_tombstones(batch)
        last = batch[-1]
    return removed


def process_tombstones(tombstones: Iterable[Tombstone]) -> int:
    """Remove the files, then their rows; return the number of removed files. A failed file keeps its row."""
    outcome = {tombstone.pk: _remove(Path(tombstone.path)) for tombstone in tombstones}
    done = [pk for pk, removed in outcome.items() if removed]
    failed = [pk for pk, removed in outcome.items() if not removed]
    Tombstone.objects.filter(pk__in=done).delete()
    Tombstone.objects.filter(pk__in=failed).update(attempts=F("attempts") + 1)
    return len(done)


def _next_batch(last: Tombstone | None) -> Sequence[Tombstone]:
    rows = Tombstone.objects.order_by("pk")
    return list(rows.filter(pk__gt=last.pk if last else 0)[:BATCH])


def _remove(path: Path) -> bool:
    """Return whether the file is gone."""
    try:
        path.unlink()
    except OSError as error:
        if _is_gone(path, error):
            return True
        logger.warning("file not removed path=%s reason=%s", path, error.strerror)
        return False
    return True


def _is_gone(path: Path, error: OSError) -> bool:
    """Return whether the file was already gone. A missing folder means an unmounted volume, not a removed file."""
    try:
        return error.errno == errno.ENOENT and path.parent.is_dir()
    except OSError:
        return False
