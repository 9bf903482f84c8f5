"""Finds the newest files of a camera's folder without a full scan each time.

A directory is listed again only if its mtime has changed (or is too recent to be reliable); then only new names are
checked. The newest files are checked each time, so that a picture overwritten in place appears at once. A full scan
runs at most once a minute, for cameras that reuse old names. The index is kept in memory, per process, and may be
dropped at any time.
"""

from __future__ import annotations

import errno
import os
import stat
import threading
import time
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from heapq import nlargest
from pathlib import Path

from nvr.errors import NotFound, Unavailable
from nvr.media.files import directory_cache
from nvr.media.files.content_types import is_image, is_video
from nvr.media.files.identity import FileIdentity
from nvr.media.files.mtime import MAX_CLOCK_DIFFERENCE
from nvr.media.files.system_folders import is_system_folder

NEWEST = 64
FULL_SCAN_INTERVAL_S = 60.0
TIMEOUT_S = 10.0  # longer than the first scan of 100 000 files takes
# More than there are cameras: the live view uses all of them in turn, and each dropped index would be rebuilt.
MAX_INDEXES = 1000
MAX_DEPTH = 16
MAX_FIRST_SEEN = 10_000  # files whose time is in the future


class FolderMissing(NotFound):
    """The camera's folder does not exist."""


class FolderIsFile(FolderMissing):
    """The path exists but is not a folder."""


class FolderUnreadable(Unavailable):
    """The folder exists but cannot be read: permissions or a storage fault. It does not count as empty."""


@dataclass(frozen=True, order=True)
class MediaFile:
    """A regular media file as last checked; times in ns since the epoch. Ordered by age.

    `at_ns` is its modification time, but not later than its arrival, so that a clock that is ahead does not make a
    picture newer than those that arrived after it.
    """

    at_ns: int
    path: str
    size: int = field(compare=False)
    inode: int = field(compare=False)
    mtime_ns: int = field(compare=False)

    @property
    def is_image(self) -> bool:
        return is_image(self.path)

    @property
    def at(self) -> datetime:
        return datetime.fromtimestamp(self.at_ns / 1e9, UTC)

    @property
    def ahead(self) -> timedelta:
        """How far the clock that set the file's time is ahead of ours; zero for a small difference."""
        ahead = timedelta(microseconds=(self.mtime_ns - self.at_ns) // 1000)
        return ahead if ahead > MAX_CLOCK_DIFFERENCE else timedelta(0)

    @property
    def identity(self) -> FileIdentity:
        return FileIdentity(self.inode, self.size, self.mtime_ns)


@dataclass
class Directory:
    """The cached state of a directory: all its names, its subdirectories and its newest files of each kind."""

    mtime_ns: int = -1
    listed_ns: int = 0
    names: set[str] = field(default_factory=set)
    folders: tuple[str, ...] = ()
    images: list[MediaFile] = field(default_factory=list)
    videos: list[MediaFile] = field(default_factory=list)

    def is_current(self, mtime_ns: int) -> bool:
        return directory_cache.is_current(mtime_ns, listed_mtime_ns=self.mtime_ns, listed_ns=self.listed_ns)

    def newest(self) -> list[MediaFile]:
        return self.images + self.videos

    def has_lost_newest(self) -> bool:
        """Whether one of the newest files is gone; older ones are not cached, so all files must be checked again."""
        return any(Path(file.path).name not in self.names for file in self.newest())


class FolderIndex:
    """The index of one folder tree. It never enters hidden, system or `excluded` folders, or symlinks."""

    def __init__(self, root: str) -> None:
        self.root = root
        self._directories: dict[str, Directory] = {}
        self._last_full_scan = 0.0
        self._lock = threading.Lock()

    def newest(self, *, images: bool, videos: bool, excluded: frozenset[str] = frozenset()) -> list[MediaFile]:
        """Up to 64 files of the requested kinds, newest first. Raises `FolderMissing` or `FolderUnreadable`."""
        with self._scan_lock():
            everything = time.monotonic() - self._last_full_scan > FULL_SCAN_INTERVAL_S
            self._refresh(excluded, everything=everything)
            if everything:
                self._last_full_scan = time.monotonic()
            return self._restat_newest(images=images, videos=videos)

    @contextmanager
    def _scan_lock(self) -> Iterator[None]:
        """Allows one scan at a time. Raises `FolderUnreadable` after `TIMEOUT_S` if another scan hangs on its disk."""
        if not self._lock.acquire(timeout=TIMEOUT_S):
            raise FolderUnreadable(f"The folder {self.root} does not respond: check its disk or mount.")
        try:
            yield
        finally:
            self._lock.release()

    def _refresh(self, excluded: frozenset[str], *, everything: bool) -> None:
        known, self._directories = self._directories, {}
        pending = [(self.root, 0)]
        while pending:
            path, depth = pending.pop()
            directory = refreshed(path, known.get(path), everything=everything, is_root=depth == 0)
            if directory is None:
                continue
            self._directories[path] = directory
            inner = (f"{path}/{name}" for name in directory.folders)
            if depth < MAX_DEPTH:
                pending.extend((folder, depth + 1) for folder in inner if folder not in excluded)

    def _restat_newest(self, *, images: bool, videos: bool) -> list[MediaFile]:
        candidates = [
            file
            for directory in self._directories.values()
            for file in (directory.images if images else []) + (directory.videos if videos else [])
        ]
        # An overwritten file has a new time and size, but its directory does not change.
        rechecked = (stat_media_file(file.path) for file in nlargest(NEWEST, candidates))
        return sorted((file for file in rechecked if file is not None), reverse=True)


def refreshed(path: str, known: Directory | None, *, everything: bool, is_root: bool) -> Directory | None:
    """The current state of the directory; None for one below the root that is gone or may not be read."""
    try:
        file_stat = Path(path).stat(follow_symlinks=is_root)
        if not stat.S_ISDIR(file_stat.st_mode):
            if is_root:
                raise FolderIsFile("Camera folder is not a folder")
            return None  # replaced by a symlink since it was listed
        mtime_ns = file_stat.st_mtime_ns
        if known is not None and not everything and known.is_current(mtime_ns):
            return known
        # Before the listing: a file that arrives during it must make this state outdated.
        listed_ns = time.time_ns()
        names = os.listdir(path)  # noqa: PTH208  # 100 000 Path objects would cost more than the listing
    except OSError as error:
        if is_root:
            raise folder_error(path, error) from error
        return None
    return updated_directory(path, known if not everything else None, names, mtime_ns, listed_ns)


def updated_directory(path: str, known: Directory | None, names: list[str], mtime_ns: int, listed_ns: int) -> Directory:
    """`known`, updated from the listing `names`; only new names are checked."""
    known = known or Directory()
    added = [name for name in names if name not in known.names]
    if len(known.names) + len(added) > len(names):  # names were removed
        known.names.intersection_update(names)
        if known.has_lost_newest():
            known, added = Directory(), names
    known.names.update(added)
    files, folders = scan_names(path, added)
    newest = [*known.newest(), *files]
    return Directory(
        mtime_ns=mtime_ns,
        listed_ns=listed_ns,
        names=known.names,
        folders=(*(name for name in known.folders if name in known.names), *folders),
        images=nlargest(NEWEST, (file for file in newest if file.is_image)),
        videos=nlargest(NEWEST, (file for file in newest if not file.is_image)),
    )


def scan_names(path: str, names: Iterable[str]) -> tuple[list[MediaFile], list[str]]:
    files, folders = [], []
    for name in names:
        if name.startswith("."):
            continue
        if is_image(name) or is_video(name):
            file = stat_media_file(f"{path}/{name}")
            if file is not None:
                files.append(file)
        elif not is_system_folder(name) and is_folder(f"{path}/{name}"):
            folders.append(name)
    return files, folders


def stat_media_file(path: str) -> MediaFile | None:
    """The current state of the file; None if it is gone or not a regular file. Symlinks are not followed."""
    try:
        file_stat = os.lstat(path)
    except (OSError, ValueError):
        return None
    if not stat.S_ISREG(file_stat.st_mode):
        return None
    return MediaFile(arrival_of(path, file_stat), path, file_stat.st_size, file_stat.st_ino, file_stat.st_mtime_ns)


def arrival_of(path: str, file_stat: os.stat_result) -> int:
    """The earlier of the file's modification time and its change time, which no client can set, in ns.

    If both are in the future (a memory card whose camera sets both, or our clock was set back), the time at which this
    process first found the file.
    """
    written, now = min(file_stat.st_mtime_ns, file_stat.st_ctime_ns), time.time_ns()
    if written <= now:
        return written
    key = (path, FileIdentity.of(file_stat))
    with _first_seen_lock:
        first = _first_seen.setdefault(key, now)
        while len(_first_seen) > MAX_FIRST_SEEN:
            _first_seen.popitem(last=False)
    return min(first, now)


def is_folder(path: str) -> bool:
    try:
        return stat.S_ISDIR(os.lstat(path).st_mode)
    except (OSError, ValueError):
        return False


def folder_error(path: str, error: OSError) -> FolderMissing | FolderUnreadable:
    if error.errno in {errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG}:
        return FolderMissing("Camera folder does not exist")
    if error.errno == errno.EACCES:
        return FolderUnreadable(f"The folder {path} may not be read: give the application's user access.")
    return FolderUnreadable(
        f"The folder {path} does not respond ({os.strerror(error.errno or 0)}): check its disk or mount."
    )


_first_seen: OrderedDict[tuple[str, FileIdentity], int] = OrderedDict()
_first_seen_lock = threading.Lock()
_indexes: OrderedDict[str, FolderIndex] = OrderedDict()
_indexes_lock = threading.Lock()


def index_of(root: str) -> FolderIndex:
    """This process's index of `root`; the least recently used index is dropped if there are too many."""
    with _indexes_lock:
        index = _indexes.pop(root, None) or FolderIndex(root)
        _indexes[root] = index
        while len(_indexes) > MAX_INDEXES:
            _indexes.popitem(last=False)
        return index
