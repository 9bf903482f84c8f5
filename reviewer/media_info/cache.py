"""Caches the media information of files by path, mtime and size, in an SQLite file that can be deleted at any time."""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NamedTuple

from django.conf import settings

from nvr.media.files.mtime import stored_mtime_ns

PATHS_PER_QUERY: Final = 500
MAX_BYTES: Final = 1 << 30


class MediaInfo(NamedTuple):
    """Dimensions in pixels and duration in seconds; None if unknown."""

    width: int | None = None
    height: int | None = None
    duration_s: float | None = None


UNKNOWN: Final = MediaInfo()


_local = threading.local()


def cache_file() -> Path:
    folder: Path = settings.NVR_DATA_DIR / "review-index"
    return folder / "probes.sqlite3"


def database() -> sqlite3.Connection:
    """Return this thread's connection. It is opened again if the file was deleted or replaced."""
    file = cache_file()
    opened_as, connection = _local.__dict__.get("probes", (None, None))
    if connection is None or opened_as != identity_of(file):
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        # Rows of deleted files are never removed. Instead the cache is rebuilt when it has grown too large.
        if opened_as is None and size_of(file) > MAX_BYTES:
            file.unlink(missing_ok=True)
        connection = sqlite3.connect(file, timeout=10, isolation_level=None)
        for statement in (
            "PRAGMA journal_mode=WAL",
            "PRAGMA synchronous=OFF",  # a power failure may damage the file, which is then rebuilt
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
def ignore_errors() -> Iterator[None]:
    """Delete a damaged cache, and do without one that cannot be used: the files are then probed again."""
    try:
        yield
    except sqlite3.OperationalError:  # locked, or the disk is full: the file is not damaged
        return
    except sqlite3.DatabaseError:
        _local.__dict__.pop("probes", None)
        for suffix in ("", "-wal", "-shm"):
            Path(f"{cache_file()}{suffix}").unlink(missing_ok=True)
    except OSError:
        return


def load(files: dict[bytes, os.stat_result]) -> dict[bytes, MediaInfo]:
    """Return the cached information of the files that have not changed since."""
    found: dict[bytes, MediaInfo] = {}
    paths = list(files)
    with ignore_errors():
        for start in range(0, len(paths), PATHS_PER_QUERY):
            batch = paths[start : start + PATHS_PER_QUERY]
            placeholders = ",".join("?" * len(batch))
            rows = database().execute(
                f"SELECT * FROM probe WHERE path IN ({placeholders})",  # noqa: S608 - only question marks
                batch,
            )
            for path, mtime_ns, size, *values in rows:
                file_stat = files[path]
                if mtime_ns == stored_mtime_ns(file_stat.st_mtime_ns) and size == file_stat.st_size:
                    found[path] = MediaInfo._make(values)
    return found


def save(files: dict[bytes, os.stat_result], infos: dict[bytes, MediaInfo]) -> None:
    rows = [
        (path, stored_mtime_ns(files[path].st_mtime_ns), files[path].st_size, info.width, info.height, info.duration_s)
        for path, info in infos.items()
    ]
    if not rows:
        return
    with ignore_errors():
        connection = database()
        connection.execute("BEGIN IMMEDIATE")
        try:
            connection.executemany("INSERT OR REPLACE INTO probe VALUES (?, ?, ?, ?, ?, ?)", rows)
        except BaseException:
            connection.execute("ROLLBACK")
            raise
        connection.execute("COMMIT")
