"""Files that can be made again: each is made once, is whole or absent, and the least recently used go first."""

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

TIMEOUT_S = 15.0  # longer than the making of any of these files may take
POLL_INTERVAL_S = 0.01
ATIME_PRECISION_S = 3600
MAX_PART_AGE_S = 3600


def cache_folder(name: str) -> Path:
    """The folder `name` of the cache, without symlinks."""
    folder: Path = settings.CACHE_DIR
    return folder.resolve() / name


def cache_path(folder: str, identity: str) -> Path:
    """Where what is made from `identity` lies, without its suffix; 256 folders, so that none grows large."""
    digest = hashlib.sha256(identity.encode("utf-8", "surrogateescape")).hexdigest()
    return cache_folder(folder) / digest[:2] / digest


def get_or_create(candidates: Sequence[Path], make: Callable[[], Path]) -> Path:
    """The first of `candidates` that is there, else what `make` puts in the place of one of them.

    One thread of one process makes it while the others wait. `make` must put it there in one step; what it raises
    goes through, except that a full disk becomes `StorageFull`. Raises `Unavailable` after 15 s of waiting.
    """
    made = first_existing(candidates)
    if made is None:
        with exclusive_lock(candidates[0].stem):
            made = first_existing(candidates) or create(make)
    return made


def first_existing(candidates: Sequence[Path]) -> Path | None:
    return next((path for path in candidates if exists_and_touch(path)), None)


def exists_and_touch(path: Path) -> bool:
    """Whether it is there; being asked for counts as use, noted at most once an hour. Its mtime stays."""
    try:
        facts = path.stat()
    except OSError:
        return False
    if time.time() - facts.st_atime > ATIME_PRECISION_S:
        with suppress(OSError):  # what is there can be served from a disk that takes no writes, too
            os.utime(path, ns=(time.time_ns(), facts.st_mtime_ns))
    return True


def create(make: Callable[[], Path]) -> Path:
    try:
        return make()
    except OSError as fault:
        if fault.errno in FULL:
            raise StorageFull("The disk is full: make room below the data folder.") from fault
        raise error_for(fault) from fault


@contextmanager
def exclusive_lock(name: str, *, timeout_s: float | None = None) -> Iterator[None]:
    """Only one thread of all processes is inside for the same `name` (or, rarely, for two that begin alike).

    Raises `Unavailable` after `timeout_s` (15 s) of waiting.
    """
    folder = cache_folder("locks")
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = (folder / name[:3]).open("ab")
    except OSError as fault:
        reason = os.strerror(fault.errno or 0)
        raise Unavailable(f"The cache folder cannot be written ({reason}): see its owner and disk.") from fault
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
    """Remove what was used longest ago until `limit_bytes` are left; the number of bytes removed.

    Also removes what a killed process left half-made.
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
        logger.info("cache swept folder=%s bytes=%s", folder, removed)
    return removed


def cache_entries(folder: Path) -> Iterator[tuple[float, int, Path]]:
    """When it was last used (s since 1970), size in bytes, path."""
    for directory, _, names in os.walk(folder):
        for name in names:
            path = Path(directory, name)
            with suppress(OSError):
                facts = path.lstat()
                yield facts.st_atime, facts.st_size, path
