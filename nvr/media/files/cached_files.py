"""A cache of files that can be regenerated: each is created once, atomically; the least recently used are evicted."""

from __future__ import annotations

import fcntl
import hashlib
import logging
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from django.conf import settings

from nvr.errors import FULL, StorageFull, Unavailable
from nvr.media.files.atomic_write import PART_SUFFIX
from nvr.media.files.paths import error_for

logger = logging.getLogger(__name__)

TIMEOUT_S = 15.0  # longer than creating any of these files may take
POLL_INTERVAL_S = 0.01
ATIME_PRECISION_S = 3600
MAX_PART_AGE_S = 3600


def cache_folder(name: str) -> Path:
    """Return the folder `name` in the cache directory, with symlinks resolved."""
    folder: Path = settings.CACHE_DIR
    return folder.resolve() / name


def cache_path(folder: str, identity: str) -> Path:
    """Return the cache path for `identity`, without suffix. Spread over 256 folders, so that none grows large."""
    digest = hashlib.sha256(identity.encode("utf-8", "surrogateescape")).hexdigest()
    return cache_folder(folder) / digest[:2] / digest


def get_or_create(candidates: Sequence[Path], make: Callable[[], Path]) -> Path:
    """Return the first of `candidates` that exists, else the file that `make` creates at one of these paths.

    One thread of one process creates it while the others wait. `make` must write it atomically. Exceptions of `make`
    are passed on, except OSError: a full disk becomes `StorageFull`. Raises `Unavailable` after waiting for 15 s.
    """
    made = first_existing(candidates)
    if made is None:
        with exclusive_lock(candidates[0].stem):
            made = first_existing(candidates) or create(make)
    return made


def first_existing(candidates: Sequence[Path]) -> Path | None:
    return next((path for path in candidates if exists_and_touch(path)), None)


def exists_and_touch(path: Path) -> bool:
    """Whether `path` exists; records the use in its atime, at most once an hour. The mtime is not changed."""
    try:
        stat_result = path.stat()
    except OSError:
        return False
    if time.time() - stat_result.st_atime > ATIME_PRECISION_S:
        with suppress(OSError):  # existing files can be served from a read-only disk, too
            os.utime(path, ns=(time.time_ns(), stat_result.st_mtime_ns))
    return True


def create(make: Callable[[], Path]) -> Path:
    try:
        return make()
    except OSError as fault:
        if fault.errno in FULL:
            raise StorageFull("The disk is full: free space in the data folder.") from fault
        raise error_for(fault) from fault


@contextmanager
def exclusive_lock(name: str, *, timeout_s: float | None = None) -> Iterator[None]:
    """Hold a lock for `name` across threads and processes (shared by names with the same first three letters).

    Raises `Unavailable` after waiting for `timeout_s` (15 s).
    """
    folder = cache_folder("locks")
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = (folder / name[:3]).open("ab")
    except OSError as fault:
        reason = os.strerror(fault.errno or 0)
        raise Unavailable(f"The cache folder cannot be written ({reason}): check its owner and disk.") from fault
    with lock:
        acquire_lock(lock, TIMEOUT_S if timeout_s is None else timeout_s)
        yield


def acquire_lock(lock: BinaryIO, timeout_s: float) -> None:
    deadline = time.monotonic() + timeout_s
    while True:
        with suppress(BlockingIOError):
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        if time.monotonic() > deadline:
            raise Unavailable("Too much is being prepared at once: try again.", retry_after=5)
        time.sleep(POLL_INTERVAL_S)


def evict(folder: str, *, limit_bytes: int) -> int:
    """Remove the least recently used files until `limit_bytes` remain; return the number of bytes removed.

    Also removes incomplete files of killed processes.
    """
    files = sorted(cache_entries(cache_folder(folder)))
    excess = sum(size for _, size, _ in files) - limit_bytes
    removed = 0
    for used_at, size, path in files:
        abandoned = path.suffix == PART_SUFFIX and time.time() - used_at > MAX_PART_AGE_S
        if removed < excess or abandoned:
            path.unlink(missing_ok=True)
            removed += size
    if removed:
        logger.info("cache entries evicted folder=%s bytes=%s", folder, removed)
    return removed


def cache_entries(folder: Path) -> Iterator[tuple[float, int, Path]]:
    """Yield the time of last use (s since 1970), size in bytes and path of each file."""
    for directory, _, names in os.walk(folder):
        for name in names:
            path = Path(directory, name)
            with suppress(OSError):
                stat_result = path.lstat()
                yield stat_result.st_atime, stat_result.st_size, path
