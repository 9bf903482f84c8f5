"""Companion files: empty files next to a media file that store its marks, and stay with it on a memory card.

They are the source of truth: `a.jpg.trash` next to `a.jpg` means that it is trashed. They are never truncated, and
never followed if they are symlinks.

`.lock` applies to any file of that name. `.seen` and `.trash` apply only to the file that existed when they were
created: if a file's mtime and ctime are both later, it is a new file (a camera that counts from 0001 again), and the
mark is outdated. Therefore the file system's own clock sets the mtime of a mark, like that of the media file, and it is
never earlier than that of the media file. No tolerance is needed: where timestamps have steps of 2 s (FAT), both are
rounded down alike. A file written within the same step as the mark of its predecessor cannot be recognised as new.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from nvr.errors import FULL, Conflict
from nvr.media.files.mtime import MTIME_GRANULARITY_NS
from nvr.media.files.paths import NoSuchFile, descriptor_path, error_for

FILE_MODE: Final = 0o644  # the usual mode of media files

LOCK: Final = ".lock"
TRASH: Final = ".trash"
SEEN: Final = ".seen"
SUFFIXES: Final = (LOCK, TRASH, SEEN)
# Earlier timestamps are missing ones: FAT and some FUSE file systems store none, or count from 1980.
MIN_VALID_TIME_NS: Final = 10 * 366 * 86_400 * 1_000_000_000
# The companions that an action creates, in this order, and those it removes. The decisive one is created last: if an
# action fails halfway, nothing is locked or trashed.
ACTIONS: Final[dict[str, tuple[tuple[str, ...], tuple[str, ...]]]] = {
    "lock": ((SEEN, LOCK), ()),
    "unlock": ((), (LOCK,)),
    "trash": ((SEEN, TRASH), ()),
    "untrash": ((), (TRASH,)),
    "seen": ((SEEN,), ()),
    "unseen": ((), (SEEN,)),
}


class Locked(Conflict):
    title = "The item is locked. Unlock it first, then trash it."


class ReadOnly(Conflict):
    title = "The folder is on a read-only medium: slide the card's lock switch, or mount it writable."


class NameTooLong(Conflict):
    title = "The file's name is too long to be marked. Rename it."


@dataclass(frozen=True)
class Status:
    """`outdated` are the suffixes of existing companions that belong to an earlier file of this name."""

    locked: bool
    trashed: bool
    seen: bool
    outdated: tuple[str, ...] = ()

    def as_json(self) -> dict[str, bool]:
        return {"locked": self.locked, "trashed": self.trashed, "seen": self.seen}


def media_time_ns(name: str | bytes, directory: int | None = None) -> int:
    """Return since when the file has existed at least; earlier marks belong to another file. Raises OSError."""
    return earlier_time_ns(stat_media(name, directory))


def earlier_time_ns(stat_result: os.stat_result) -> int:
    """Return the earlier of mtime and ctime: copying sets one of them, a camera with a wrong clock the other."""
    times = (stat_result.st_mtime_ns, stat_result.st_ctime_ns)
    return min((time_ns for time_ns in times if time_ns > MIN_VALID_TIME_NS), default=min(times))


def stat_media(name: str | bytes, directory: int | None = None) -> os.stat_result:
    """Stat the media file, or the link itself if its target is missing. Raises OSError."""
    try:
        return os.stat(name, dir_fd=directory)
    except OSError:
        return os.stat(name, dir_fd=directory, follow_symlinks=False)


@contextmanager
def open_directory(file: Path) -> Iterator[int]:
    """Open the directory that contains `file` (a path without links), so that later operations stay inside it.

    Raises `NoSuchFile` if a folder of the path has been replaced by a link.
    """
    descriptor = os.open(file.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        if descriptor_path(descriptor) != str(file.parent):
            raise NoSuchFile
        yield descriptor
    finally:
        os.close(descriptor)


def read_status(directory: int, name: str) -> Status:
    stamps = {ending: companion_mtime_ns(directory, name + ending) for ending in SUFFIXES}
    outdated: tuple[str, ...] = ()
    if stamps[TRASH] is not None or stamps[SEEN] is not None:
        since = media_time_ns(name, directory)
        outdated = tuple(e for e in (TRASH, SEEN) if (stamp := stamps[e]) is not None and stamp < since)
    locked, trashed, seen = (stamps[ending] is not None and ending not in outdated for ending in SUFFIXES)
    return Status(locked, trashed, seen, outdated)


def exists(directory: int, name: str) -> bool:
    return companion_mtime_ns(directory, name) is not None


def companion_mtime_ns(directory: int, name: str) -> int | None:
    """Return the companion's mtime in ns; None if it does not exist."""
    try:
        return os.stat(name, dir_fd=directory, follow_symlinks=False).st_mtime_ns
    except FileNotFoundError:
        return None
    except OSError as fault:
        if fault.errno == errno.ENAMETOOLONG:
            return None
        raise


def apply_action(file: Path, action: str) -> Status:
    """Apply the action to `file` (which exists, in a path without links) and return its new status. Idempotent.

    A symlink has companions of its own, next to itself.

    Raises `Locked` for trashing what is locked, `ReadOnly`, `NameTooLong`, `NoSuchFile`, and `StorageFault`.
    """
    made, removed = ACTIONS[action]
    try:
        with open_directory(file) as directory:
            check_action(directory, file.name, action, made)
            create_all(directory, file.name, made)
            for ending in removed:
                remove(directory, file.name + ending)
            return read_status(directory, file.name)
    except OSError as fault:
        raise action_error(fault) from fault


def check_action(directory: int, name: str, action: str, made: tuple[str, ...]) -> None:
    if not exists(directory, name):
        raise NoSuchFile
    if made and len(os.fsencode(name)) + max(map(len, made)) > max_name_bytes(directory):
        raise NameTooLong
    if action == "trash" and exists(directory, name + LOCK):
        raise Locked


def max_name_bytes(directory: int) -> int:
    return os.fpathconf(directory, "PC_NAME_MAX")


def create_all(directory: int, name: str, endings: tuple[str, ...]) -> None:
    """Create or refresh all companions; on an error, such as a full medium, restore the previous state."""
    before: dict[str, int | None] = {}
    stat_result = stat_media(name, directory)
    least_ns = max(stat_result.st_mtime_ns, stat_result.st_ctime_ns)
    try:
        for companion in (name + ending for ending in endings):
            stamp = companion_mtime_ns(directory, companion)
            before[companion] = None if create(directory, companion) else stamp
            refresh(directory, name, companion, least_ns)
    except OSError:
        for companion, stamp in before.items():
            restore(directory, companion, stamp)
        raise


def restore(directory: int, companion: str, stamp: int | None) -> None:
    if stamp is None:
        remove(directory, companion)
        return
    with suppress(OSError):
        os.utime(companion, ns=(stamp, stamp), dir_fd=directory, follow_symlinks=False)


def refresh(directory: int, name: str, companion: str, least_ns: int) -> None:
    """Set its mtime by the file system's own clock, which may be that of another computer; at least `least_ns`.

    If that fails (another user's file, read-only medium), a companion that is not outdated is left unchanged.
    """
    try:
        touch(directory, companion, least_ns)
    except OSError as fault:
        if not is_outdated(directory, name, companion):
            return
        if fault.errno not in {errno.EACCES, errno.EPERM}:
            raise
        remove(directory, companion)
        create(directory, companion)
        touch(directory, companion, least_ns)


def touch(directory: int, companion: str, least_ns: int) -> None:
    os.utime(companion, dir_fd=directory, follow_symlinks=False)
    for later_ns in (least_ns, least_ns + MTIME_GRANULARITY_NS):  # the mtime may have been rounded down
        if (companion_mtime_ns(directory, companion) or 0) >= least_ns:
            return
        os.utime(companion, ns=(later_ns, later_ns), dir_fd=directory, follow_symlinks=False)


def is_outdated(directory: int, name: str, companion: str) -> bool:
    """Whether the companion exists and belongs to an earlier file of this name. Raises OSError."""
    stamp = companion_mtime_ns(directory, companion)
    return stamp is not None and stamp < media_time_ns(name, directory)


def create(directory: int, name: str) -> bool:
    """Create the file unless it exists; return whether it is new. An existing file is never opened."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        descriptor = os.open(name, flags, FILE_MODE, dir_fd=directory)
    except FileExistsError:
        return False
    with suppress(PermissionError):  # file systems of memory cards store no modes
        os.fchmod(descriptor, FILE_MODE)
    os.close(descriptor)
    return True


def remove(directory: int, name: str) -> None:
    try:
        os.unlink(name, dir_fd=directory)
    except FileNotFoundError:
        return
    except OSError as fault:
        if fault.errno != errno.ENAMETOOLONG:
            raise


def action_error(fault: OSError) -> Exception:
    if fault.errno == errno.EROFS:
        return ReadOnly()
    if fault.errno == errno.ENAMETOOLONG:
        return NameTooLong()
    if fault.errno in {errno.EACCES, errno.EPERM}:
        return Conflict("The folder may not be written to: give the application's user access.")
    if fault.errno in FULL:
        return Conflict("The medium is full, so that nothing can be marked: empty some of its trash.")
    return error_for(fault)
