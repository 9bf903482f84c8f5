"""What was found out about files, by path, mtime and size; in an SQLite file that may be deleted at any time."""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NamedTuple

from django.conf import settings

from reviewer.catalog.mtime import mtime_ns_of

ASKED_PER_QUERY: Final = 500
MAX_BYTES: Final = 1 << 30


class Facts(NamedTuple):
    """In pixels and seconds; what cannot be known is None."""

    width: int | None = None
    height: int | None = None
    duration_s: float | None = None


NOTHING: Final = Facts()


_local = threading.local()


def database() -> sqlite3.Connection:
    """This thread's; the file is safe to delete."""
    file: Path = settings.NVR_DATA_DIR / "review-index" / "probes.sqlite3"
    opened_as, connection = _local.__dict__.get("probes", (None, None))
    if connection is None or opened_as != identity_of(file):
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if opened_as is None and size_of(file) > MAX_BYTES:  # once in a process: rather anew than without end
            file.unlink(missing_ok=True)
        connection = sqlite3.connect(file, timeout=10, isolation_level=None)
        for statement in (
            "PRAGMA journal_mode=WAL",
            "PRAGMA synchronous=OFF",
            "CREATE TABLE IF NOT EXISTS probe (path BLOB PRIMARY KEY, mtime_ns INTEGER, size INTEGER, width INTEGER, "
            "height INTEGER, duration_s REAL) WITHOUT ROWID",
        ):
            connection.execute(statement)
        _local.probes = (identity_of(file), connection)
    found: sqlite3.Connection = connection
    return found


def size_of(file: Path) -> int:
    try:
        return file.stat().st_size
    except OSError:
        return 0


def identity_of(file: Path) -> tuple[str, int]:
    try:
        return str(file), file.stat().st_ino
    except OSError:
        return str(file), 0


@contextmanager
def forgiving() -> Iterator[None]:
    """A damaged file is thrown away; one that cannot be written leaves things to be looked into again."""
    try:
        yield
    except sqlite3.OperationalError:
        return
    except sqlite3.DatabaseError:
        _local.__dict__.pop("probes", None)
        for ending in ("", "-wal", "-shm"):
            Path(f"{settings.NVR_DATA_DIR / 'review-index' / 'probes.sqlite3'}{ending}").unlink(missing_ok=True)
    except OSError:
        return


def remembered(files: dict[bytes, os.stat_result]) -> dict[bytes, Facts]:
    """What is known of the files as they are now."""
    found: dict[bytes, Facts] = {}
    paths = list(files)
    with forgiving():
        for start in range(0, len(paths), ASKED_PER_QUERY):
            part = paths[start : start + ASKED_PER_QUERY]
            places = ",".join("?" * len(part))
            rows = database().execute(f"SELECT * FROM probe WHERE path IN ({places})", part)  # noqa: S608 - only marks
            for path, mtime_ns, size, *values in rows:
                now = files[path]
                if mtime_ns == mtime_ns_of(now) and size == now.st_size:
                    found[path] = Facts._make(values)
    return found


def remember(files: dict[bytes, os.stat_result], facts: dict[bytes, Facts]) -> None:
    rows = [
        (path, mtime_ns_of(files[path]), files[path].st_size, known.width, known.height, known.duration_s)
        for path, known in facts.items()
    ]
    if rows:
        with forgiving():
            store(rows)


def store(rows: list[tuple[bytes, int, int, int | None, int | None, float | None]]) -> None:
    connection = database()
    connection.execute("BEGIN IMMEDIATE")
    try:
        connection.executemany("INSERT OR REPLACE INTO probe VALUES (?, ?, ?, ?, ?, ?)", rows)
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")
