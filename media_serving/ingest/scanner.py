"""Scan a camera's folder incrementally.

A directory is listed again if its modification time changed or is too recent to be reliable; then only new names are
checked. A full scan from time to time checks all names: overwriting a file does not change its directory.
"""

from __future__ import annotations

import os
import stat
import time
from array import array
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from media_serving.ingest.names import is_upload
from nvr.media.files import directory_cache
from nvr.media.files.mtime import MTIME_GRANULARITY_NS
from nvr.media.files.system_folders import is_hidden_folder

MAX_DEPTH: Final = 16
MAX_NAMES: Final = 2_000_000  # remembered per camera, in 16 MB; further names are checked again each time
BATCH_SIZE: Final = 200  # files or folders per batch


@dataclass(frozen=True, slots=True)
class ScannedFile:
    """A file's stat result. `raw` is its name below the camera's folder; times are in ns since 1970.

    `is_regular` is false for links, FIFOs and devices.
    """

    raw: bytes
    size_bytes: int
    mtime_ns: int
    ctime_ns: int
    is_regular: bool
    inode: int = 0


@dataclass(slots=True)
class DirectoryState:
    """A directory at its last listing: inode, times, hashes of its file names, and its subfolders."""

    inode: int = -1
    mtime_ns: int = -1
    ctime_ns: int = -1
    listed_ns: int = 0
    names: array[int] = field(default_factory=lambda: array("q"))
    folders: tuple[bytes, ...] = ()

    def is_current(self, file_stat: os.stat_result) -> bool:
        is_same = (file_stat.st_ino, file_stat.st_ctime_ns) == (self.inode, self.ctime_ns)
        return is_same and directory_cache.is_current(
            file_stat.st_mtime_ns, listed_mtime_ns=self.mtime_ns, listed_ns=self.listed_ns
        )

    def was_replaced(self, before: DirectoryState) -> bool:
        """Whether another folder is at this path now, or it was renamed and back, which changes only `ctime_ns`."""
        was_renamed = self.ctime_ns != before.ctime_ns and self.mtime_ns == before.mtime_ns
        return self.inode != before.inode or was_renamed


@dataclass(frozen=True, slots=True)
class ClockReading:
    """The wall clock, and its lead over the monotonic clock: the lead changes when the clock is set."""

    wall_ns: int
    ahead_ns: int

    @classmethod
    def now(cls) -> ClockReading:
        wall_ns = time.time_ns()
        return cls(wall_ns, wall_ns - time.monotonic_ns())

    def is_comparable(self, other: ClockReading) -> bool:
        return abs(self.ahead_ns - other.ahead_ns) < MTIME_GRANULARITY_NS / 2


@dataclass
class Scanner:
    """Scans one camera's folder `root` (without links); the `excluded` folders belong to nested cameras."""

    root: bytes
    excluded: frozenset[bytes] = frozenset()
    _known: dict[bytes, DirectoryState] = field(default_factory=dict)
    _names: int = 0
    _last_full_scan: ClockReading | None = None

    @property
    def folder_count(self) -> int:
        """The folders of the last scan, or of the running scan so far."""
        return len(self._known)

    def scan(self, *, full: bool = False) -> Iterator[ScannedFile]:
        """Yield all files of `batches`."""
        for batch in self.batches(full=full):
            yield from batch

    def batches(self, *, full: bool = False, trust_mtimes: bool = True) -> Iterator[list[ScannedFile]]:
        """Yield files with new names in batches, which may be empty. Raises OSError if the folder cannot be read.

        With `full`, all names are checked, and known files are included if they changed since the last full scan.
        Without `trust_mtimes`, all directories are listed and all checked files are included.
        """
        started = ClockReading.now()
        since_ns = self._since(started) if full and trust_mtimes else 0
        before, self._known, self._names = self._known, {}, 0
        waiting = [(b"", 0)]
        while waiting:
            below, depth = waiting.pop()
            known = before.get(below, DirectoryState())
            listed = self._list_directory(below, known, may_skip=trust_mtimes and not full)
            if listed is None:
                continue
            now, names = listed
            if trust_mtimes and now.was_replaced(known):
                known = DirectoryState()
            self._known[below] = now
            self._names += len(now.names)
            if names:
                yield from self._scan_names(below, names, set(known.names), full, since_ns)
            elif len(self._known) % BATCH_SIZE == 0:
                yield []
            if now.folders and depth < MAX_DEPTH:
                inner = (join_path(below, name) for name in now.folders)
                waiting += [(path, depth + 1) for path in inner if self.root + b"/" + path not in self.excluded]
        if full:
            self._last_full_scan = started

    def _since(self, now: ClockReading) -> int:
        """The time in ns since which changed files are new; 0 if times cannot be compared."""
        if self._last_full_scan is None or not now.is_comparable(self._last_full_scan):
            return 0
        return self._last_full_scan.wall_ns - MTIME_GRANULARITY_NS

    def _list_directory(
        self, below: bytes, known: DirectoryState, *, may_skip: bool
    ) -> tuple[DirectoryState, list[bytes]] | None:
        """The directory's current state, and its file names if it was listed; None if it no longer exists."""
        place = join_path(self.root, below)
        try:
            file_stat = os.lstat(place)
            if not stat.S_ISDIR(file_stat.st_mode):
                return None
            if may_skip and known.is_current(file_stat):
                return known, []
            listed_ns = time.time_ns()
            names, folders = list_names(place)
        except OSError:
            if not below:
                raise
            return None
        # Hashes instead of names: a folder with a million files takes 8 MB, not 100.
        hashes = array("q", map(hash, names)) if self._names + len(names) <= MAX_NAMES else array("q")
        times = file_stat.st_mtime_ns, file_stat.st_ctime_ns, listed_ns
        return DirectoryState(file_stat.st_ino, *times, hashes, tuple(folders)), names

    def _scan_names(
        self, below: bytes, names: list[bytes], before: set[int], full: bool, since_ns: int
    ) -> Iterator[list[ScannedFile]]:
        """Yield the new and changed files of a directory in batches."""
        to_check = names if full else [name for name in names if hash(name) not in before]
        for start in range(0, len(to_check), BATCH_SIZE):
            some = to_check[start : start + BATCH_SIZE]
            found = [
                (name, scanned_file) for name in some if (scanned_file := stat_file(self.root, join_path(below, name)))
            ]
            yield [file for name, file in found if file.ctime_ns >= since_ns or hash(name) not in before]


def list_names(place: bytes) -> tuple[list[bytes], list[bytes]]:
    """Names of files that are uploads, and of folders to scan. Raises OSError."""
    names, folders = [], []
    with os.scandir(place) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                if not is_hidden_folder(entry.name):
                    folders.append(entry.name)
            elif is_upload(entry.name):
                names.append(entry.name)
    return names, folders


def stat_file(root: bytes, raw: bytes) -> ScannedFile | None:
    """Stat the file; None if it does not exist or is a directory."""
    try:
        file_stat = os.lstat(join_path(root, raw))
    except (OSError, ValueError):
        return None
    if stat.S_ISDIR(file_stat.st_mode):
        return None
    is_regular = stat.S_ISREG(file_stat.st_mode)
    return ScannedFile(
        raw, file_stat.st_size, file_stat.st_mtime_ns, file_stat.st_ctime_ns, is_regular, file_stat.st_ino
    )


def join_path(folder: bytes, name: bytes) -> bytes:
    return folder + b"/" + name if folder and name else folder or name
