"""Copies of the SQLite file, made before a migration so that it can be restored."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from datetime import UTC, datetime
from pathlib import Path

from nvr.errors import StorageFull
from nvr.sqlite3.files import address

KEPT_COPIES = 3


def copy_aside(database: Path, folder: Path, *, keep: int = KEPT_COPIES) -> Path | None:
    """Copy `database` into `folder`, named for the current time (UTC), and keep the newest `keep` copies.

    Uses SQLite's backup API, so the copy is consistent while others write. Returns None if there is nothing to copy.
    Raises `StorageFull`.
    """
    if not database.is_file() or database.stat().st_size == 0:
        return None
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    target = folder / f"{database.stem}-{datetime.now(UTC):%Y%m%dT%H%M%S.%fZ}.sqlite3"
    part = target.with_name(target.name + ".part")
    try:
        _back_up(database, part)
        part.replace(target)
    except (OSError, sqlite3.Error) as error:
        raise StorageFull(
            f"The database could not be copied to {folder} ({error}): free disk space there first."
        ) from error
    finally:
        part.unlink(missing_ok=True)
    _delete_older(database.stem, folder, keep)
    return target


def _back_up(database: Path, target: Path) -> None:
    # Created first, with its mode: the copy contains secrets.
    os.close(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    with (
        contextlib.closing(sqlite3.connect(address(database), timeout=10, uri=True)) as source,
        contextlib.closing(sqlite3.connect(target)) as copy,
    ):
        source.backup(copy)
    # The copy must be on the disk before the migration changes the original.
    with target.open("rb") as stream:
        os.fsync(stream.fileno())


def _delete_older(stem: str, folder: Path, keep: int) -> None:
    copies = sorted(folder.glob(f"{stem}-*.sqlite3"))
    for old in copies[: max(0, len(copies) - keep)]:
        old.unlink(missing_ok=True)
