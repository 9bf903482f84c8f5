"""The indexes of all review paths: their files, and the queries on them.

Each thread has its own connections. All processes share the index files, and thereby their updates.
"""

from __future__ import annotations

import hashlib
import logging
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeVar

from django.conf import settings

from nvr.errors import FULL, NvrError, StorageFull, Unavailable
from nvr.media.files.mounts import is_network_or_fuse, mount_of
from nvr.media.files.mtime import MTIME_GRANULARITY_NS, stored_mtime_ns
from reviewer import disk_reserve
from reviewer.catalog import orders
from reviewer.catalog.blocks import DELETION_CANDIDATES
from reviewer.catalog.index import Index, Row
from reviewer.catalog.media_types import Mark
from reviewer.catalog.orders import View
from reviewer.catalog.progress import ScanProgress, ScanReporter
from reviewer.catalog.scanner import LOCK_TIMEOUT_S, ScanInProgress, Scanner
from reviewer.models import ReviewPath

logger = logging.getLogger(__name__)

ResultT = TypeVar("ResultT")
# File systems where the mtime of a directory does not change with its content, or has steps of seconds.
COARSE_MTIME_FILESYSTEMS: Final = {"vfat", "msdos", "exfat", "ntfs", "ntfs3", "hfs", "hfsplus", "iso9660", "udf"}
OPEN_PER_THREAD: Final = 8  # indexes; more are closed, the oldest first
DISK_RETRY_S: Final = 10.0
SIDE_FILE_ERRORS: Final = {sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_IOERR_SHMSIZE, sqlite3.SQLITE_IOERR_SHMOPEN}
MAX_PAGE_RECHECKS: Final = 4  # for a page with files that were overwritten

_local = threading.local()


def index_dir() -> Path:
    folder: Path = settings.NVR_DATA_DIR / "review-index"
    return folder


def index_file(path: str) -> Path:
    return index_dir() / f"{hashlib.sha256(os.fsencode(path)).hexdigest()[:32]}.sqlite3"


class CachedScanner(NamedTuple):
    """A scanner and the key that it was created for."""

    cache_key: tuple[Any, ...]
    scanner: Scanner


def scanner_of(root: ReviewPath) -> Scanner:
    """Return this thread's scanner of `root`. Raises OSError and `sqlite3.Error` for errors of the index file."""
    opened: dict[str, CachedScanner] = _local.__dict__.setdefault("opened", {})
    file = index_file(root.path)
    found = opened.get(root.path)
    if found is not None and found.cache_key == cache_key_of(root, file):
        return found.scanner
    close(root)
    while len(opened) >= OPEN_PER_THREAD:
        opened.pop(next(iter(opened))).scanner.index.close()
    scanner = new_scanner(root, file)
    opened[root.path] = CachedScanner(cache_key_of(root, file), scanner)
    return scanner


def cache_key_of(root: ReviewPath, file: Path) -> tuple[Any, ...]:
    """Return a key that changes if the index is deleted, the path is added again, or another card is inserted."""
    return identity_of(file), identity_of(root.path)[0], root.mount


def close(root: ReviewPath) -> None:
    found: CachedScanner | None = _local.__dict__.get("opened", {}).pop(root.path, None)
    if found is not None:
        found.scanner.index.close()


def new_scanner(root: ReviewPath, file: Path, *, in_memory: bool = False) -> Scanner:
    index = Index(file, in_memory=True) if in_memory else open_index(root, file)
    return Scanner(
        Path(root.path),
        index,
        None if in_memory else file.with_suffix(".lock"),
        mount=root.remembered_mount,
        mtime_reliable=is_mtime_reliable(root.path),
        report=ScanReporter(root.path),
    )


def open_index(root: ReviewPath, file: Path) -> Index:
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        index = Index(file)
    except sqlite3.DatabaseError as error:
        if isinstance(error, sqlite3.OperationalError):  # locked, or the disk is full: the index is not damaged
            raise
        delete_index(root)
        index = Index(file)
    return index


def is_mtime_reliable(path: str) -> bool:
    """Return whether every change in a directory changes its mtime on this file system."""
    file_system = mount_of(Path(path)).type
    return file_system not in COARSE_MTIME_FILESYSTEMS and not is_network_or_fuse(file_system)


def identity_of(place: str | Path) -> tuple[int, int]:
    """Return device and inode, or zeros if the file is missing."""
    try:
        file_stat = os.stat(place)  # noqa: PTH116 - runs twice per page
    except OSError:
        return 0, 0
    return file_stat.st_dev, file_stat.st_ino


def delete_index(root: ReviewPath) -> None:
    """Delete the index. The next query rebuilds it."""
    close(root)
    for suffix in ("", "-wal", "-shm"):
        with suppress(FileNotFoundError):
            Path(f"{index_file(root.path)}{suffix}").unlink()


def run_query(root: ReviewPath, query: Callable[[Scanner], ResultT]) -> ResultT:
    """Run `query` with the scanner of `root`; rebuild a damaged index and run it again.

    Raises `StorageFull` and `Unavailable` if the index cannot be used, and the exceptions of `query`.
    """
    if time.monotonic() < _memory_indexes.retry_disk_at.get(root.path, 0):
        return run_in_memory(root, query)
    try:
        result = run_on_disk(root, query)
    except (sqlite3.Error, OSError) as error:
        error_to_raise = index_error(error)
        logger.error("index cannot be used path=%s error=%s", root.pk, error)
        if isinstance(error_to_raise, StorageFull):
            _memory_indexes.retry_disk_at[root.path] = time.monotonic() + DISK_RETRY_S
            return run_in_memory(root, query)
        raise error_to_raise from error
    _memory_indexes.forget(root.path)
    return result


class MemoryIndexes:
    """In-memory indexes of this process, for review paths whose index did not fit on the disk."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.opened: dict[str, CachedScanner] = {}
        self.retry_disk_at: dict[str, float] = {}  # monotonic seconds: the next retry of the index on disk

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Raises `ScanInProgress`."""
        if not self.lock.acquire(timeout=LOCK_TIMEOUT_S):
            raise ScanInProgress
        try:
            yield
        finally:
            self.lock.release()

    def forget(self, path: str) -> None:
        if path in self.retry_disk_at:
            with self.lock:
                self.retry_disk_at.pop(path, None)
                self.opened.pop(path, None)


_memory_indexes = MemoryIndexes()


def run_in_memory(root: ReviewPath, query: Callable[[Scanner], ResultT]) -> ResultT:
    """Run `query` with an index in memory, so that a full disk does not block the trash run that would free space.

    All threads share the index, so queries run one at a time. Raises `StorageFull` if that fails too, and
    `ScanInProgress`.
    """
    with _memory_indexes.locked():
        # The first part identifies the index file, which is not used here.
        cache_key = cache_key_of(root, index_dir())
        cached = _memory_indexes.opened.get(root.path)
        try:
            if cached is None or cached.cache_key[1:] != cache_key[1:]:
                cached = CachedScanner(cache_key, new_scanner(root, index_file(root.path), in_memory=True))
                _memory_indexes.opened[root.path] = cached
            return query(cached.scanner)
        except (sqlite3.Error, OSError) as error:
            _memory_indexes.opened.pop(root.path, None)
            raise index_error(error) from error


def run_on_disk(root: ReviewPath, query: Callable[[Scanner], ResultT]) -> ResultT:
    try:
        return query(scanner_of(root))
    except sqlite3.OperationalError:
        raise
    except sqlite3.DatabaseError:
        delete_index(root)
        return query(scanner_of(root))


def index_error(error: sqlite3.Error | OSError) -> NvrError:
    """Return the error to raise: the disk of the data directory fails, or another process locks the index too long."""
    code = getattr(error, "sqlite_errorcode", None)
    # If there is no space for its -wal or -shm file, SQLite reports other errors than SQLITE_FULL.
    full = code == sqlite3.SQLITE_FULL or (code in SIDE_FILE_ERRORS and disk_reserve.is_full())
    if full or (isinstance(error, OSError) and error.errno in FULL):
        return StorageFull("The disk of the data directory is full. Free some space on it.")
    why = error.strerror if isinstance(error, OSError) else error
    return Unavailable(f"The index of the files cannot be used ({why}). Check the data directory and its disk.")


def page_of(
    root: ReviewPath,
    filter_name: str,
    *,
    offset: int = 0,
    after: bytes | None = None,
    limit: int,
    force: bool = False,
    order: str = orders.NAME,
) -> list[Row]:
    """Return the rows of a page after updating the index. Raises `PathUnavailable` and `orders.FileGone`."""
    view = View(filter_name, order)

    def rows(scanner: Scanner) -> list[Row]:
        update_index(scanner, view, force=force)
        found = read_page(scanner, view, offset, after, limit)
        if scanner.refresh_folders({row.path.rpartition(b"/")[0] for row in found}):
            found = read_page(scanner, view, offset, after, limit)
        for _ in range(MAX_PAGE_RECHECKS):
            if not (scanner.recheck(found) or (order == orders.TIME and scanner.update_changed_times(found))):
                break
            found = read_page(scanner, view, offset, after, limit)
        return found

    return run_query(root, rows)


def update_index(scanner: Scanner, view: View, *, force: bool = False) -> None:
    scanner.refresh(force=force)
    scanner.recheck_next()
    if view.order == orders.TIME:
        scanner.update_times(force=force)


def read_page(scanner: Scanner, view: View, offset: int, after: bytes | None, limit: int) -> list[Row]:
    if after is not None:
        return orders.after(scanner.index, view, after, limit=limit)
    return orders.page(scanner.index, view, offset=offset, limit=limit)


def position_of(root: ReviewPath, view: View, path: bytes) -> int:
    """Return the number of files of the view before `path`. Raises `PathUnavailable` and `orders.FileGone`."""

    def position(scanner: Scanner) -> int:
        update_index(scanner, view)
        return orders.position(scanner.index, view, path)

    return run_query(root, position)


def folder_page(
    root: ReviewPath, path: bytes, *, offset: int, limit: int, force: bool = False
) -> tuple[list[Row], int]:
    """Return the files directly in the folder `path` below `root`, by name, and the number of ignored files.

    Raises `PathUnavailable`.
    """

    def files(scanner: Scanner) -> tuple[list[Row], int]:
        folder = scanner.refresh_one(path, force=force)
        if folder is None:
            return [], 0
        found = scanner.index.folder_page(folder, offset=offset, limit=limit)
        if scanner.recheck(found):
            found = scanner.index.folder_page(folder, offset=offset, limit=limit)
        return found, folder.ignored

    return run_query(root, files)


def counts_of(root: ReviewPath) -> dict[str, int]:
    """Return how many files match each filter after updating the index. Raises `PathUnavailable`."""

    def counts(scanner: Scanner) -> dict[str, int]:
        scanner.refresh()
        scanner.recheck_next()
        return scanner.index.counts()

    return run_query(root, counts)


def indexed_size(root: ReviewPath) -> ScanProgress | None:
    """Return the size of the index without reading the disk, or None before the first scan."""
    if not index_file(root.path).exists():
        return None

    def size(scanner: Scanner) -> ScanProgress | None:
        folders = scanner.index.folder_count()
        return ScanProgress(folders, scanner.index.counts()["all"]) if folders else None

    return run_query(root, size)


def record_marks(root: ReviewPath, file: Path, marks: Mark, *, mtime_ns: int) -> None:
    """Update the index after NVR has marked `file`, so that it need not scan the directory again.

    `mtime_ns` is the directory's mtime before the change. The recheck after two seconds detects simultaneous changes
    by other programs. If the index cannot be written now, the directory's mtime triggers a scan later.
    """
    with suppress(sqlite3.Error, OSError):
        scanner = scanner_of(root)
        index, path = scanner.index, os.fsencode(file.relative_to(root.path))
        folder, _, name = path.rpartition(b"/")
        with index.write_transaction():
            known = index.folder(folder)
            if known is None:
                return
            index.change_files(known.id, folder, {name: marks})
            is_current = known.mtime_ns == mtime_ns
            new_mtime_ns = stored_mtime_ns(file.parent.stat().st_mtime_ns) if is_current else known.mtime_ns
            recheck_ns = known.recheck_ns or time.time_ns() + MTIME_GRANULARITY_NS
            index.put_folder(replace(known, mtime_ns=new_mtime_ns, recheck_ns=recheck_ns, revision=known.revision + 1))


def trashed_rows(root: ReviewPath, *, after: bytes | None, limit: int) -> list[Row]:
    """Return up to `limit` files with a trash mark, including outdated ones, after the path `after`.

    Only the first call (without `after`) updates the index, so that later calls stay cheap while files are being
    deleted. Raises `PathUnavailable`.
    """

    def rows(scanner: Scanner) -> list[Row]:
        if after is None:
            scanner.refresh(force=not scanner.mtime_reliable)
            return scanner.index.page(DELETION_CANDIDATES, limit=limit)
        return scanner.index.after(DELETION_CANDIDATES, after, limit)

    return run_query(root, rows)


def record_deletions(root: ReviewPath, paths: Iterable[bytes]) -> None:
    """Remove files (paths below the root) that NVR has deleted. Their folders stay due for a rescan."""
    folders: dict[bytes, list[bytes]] = {}
    for path in paths:
        folder, _, name = path.rpartition(b"/")
        folders.setdefault(folder, []).append(name)
    with suppress(sqlite3.Error, OSError):
        index = scanner_of(root).index
        with index.write_transaction():
            for folder, names in folders.items():
                known = index.folder(folder)
                if known is not None:
                    index.change_files(known.id, folder, dict.fromkeys(names))
                    index.put_folder(replace(known, revision=known.revision + 1))
