"""The marks that a media file carries: empty files beside it, named after it, which travel with the card.

They are the truth: whoever finds `a.jpg.trash` beside `a.jpg` knows that it is trashed. Never truncated, never followed
when they are links.

Only `.lock` counts for whatever lies under the name. Seen and trashed was the picture that was there when the mark was
made: one whose mtime and ctime are both later came afterwards (a card that begins at 0001 again), and the mark is
outdated. Hence a mark is stamped by the file system's own clock, like the picture, and never earlier than the picture
itself. No tolerance is given: where times step by 2 s (FAT), both are rounded down alike. A picture written within the
step in which its predecessor was marked cannot be told from it.
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
from nvr.media.files.paths import NoSuchFile, descriptor_path, error_for

FILE_MODE: Final = 0o644  # it travels with its media, and is as open as that usually is

LOCK: Final = ".lock"
TRASH: Final = ".trash"
SEEN: Final = ".seen"
SUFFIXES: Final = (LOCK, TRASH, SEEN)
MAX_MTIME_STEP_NS: Final = 2_000_000_000  # the coarsest in which a file system stamps
# What is older has no time at all: FAT and some file systems of FUSE keep none, or begin to count at 1980.
MIN_VALID_TIME_NS: Final = 10 * 366 * 86_400 * 1_000_000_000
# What an action makes, in this order, and what it removes. The mark that matters is made last: what fails in between
# has locked and trashed nothing.
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
    """`outdated` are the endings of companions that are there, and a former picture's."""

    locked: bool
    trashed: bool
    seen: bool
    outdated: tuple[str, ...] = ()

    def as_json(self) -> dict[str, bool]:
        return {"locked": self.locked, "trashed": self.trashed, "seen": self.seen}


def media_time_ns(name: str | bytes, directory: int | None = None) -> int:
    """Since when the picture has lain there at least: a mark made before it was another's. Raises OSError."""
    return earlier_time_ns(stat_media(name, directory))


def earlier_time_ns(facts: os.stat_result) -> int:
    """The earlier of mtime and ctime: copying sets one of them, a camera whose clock is wrong the other."""
    times = (facts.st_mtime_ns, facts.st_ctime_ns)
    return min((time_ns for time_ns in times if time_ns > MIN_VALID_TIME_NS), default=min(times))


def stat_media(name: str | bytes, directory: int | None = None) -> os.stat_result:
    """Of the picture; of the link itself if it leads nowhere. Raises OSError."""
    try:
        return os.stat(name, dir_fd=directory)
    except OSError:
        return os.stat(name, dir_fd=directory, follow_symlinks=False)


@contextmanager
def open_directory(file: Path) -> Iterator[int]:
    """The directory that holds `file` (its path without links), opened: what is done there stays there.

    Raises `NoSuchFile` if somebody has put a link in the place of a folder on the way.
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
    """The companion's mtime in ns; None if it is not there."""
    try:
        return os.stat(name, dir_fd=directory, follow_symlinks=False).st_mtime_ns
    except FileNotFoundError:
        return None
    except OSError as fault:
        if fault.errno == errno.ENAMETOOLONG:
            return None
        raise


def apply_action(file: Path, action: str) -> Status:
    """Mark `file` (which is there, in a folder without links) and say how it stands now; again changes nothing.

    A link has marks of its own, beside itself.

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
    """All of them, new or renewed; or, as on a full medium, all as it was before."""
    before: dict[str, int | None] = {}
    facts = stat_media(name, directory)
    least_ns = max(facts.st_mtime_ns, facts.st_ctime_ns)
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
    """Stamp it now by the file system's own clock, which another computer may keep, and not before `least_ns`.

    One that is another user's, or on a read-only medium, is left as it is as long as it is not outdated.
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
    for later_ns in (least_ns, least_ns + MAX_MTIME_STEP_NS):  # a stamp may have been rounded down
        if (companion_mtime_ns(directory, companion) or 0) >= least_ns:
            return
        os.utime(companion, ns=(later_ns, later_ns), dir_fd=directory, follow_symlinks=False)


def is_outdated(directory: int, name: str, companion: str) -> bool:
    """Whether it is there, and a former picture's. Raises OSError."""
    stamp = companion_mtime_ns(directory, companion)
    return stamp is not None and stamp < media_time_ns(name, directory)


def create(directory: int, name: str) -> bool:
    """There afterwards; whether it is new. Whoever comes first makes it; it is never opened when it is there."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        descriptor = os.open(name, flags, FILE_MODE, dir_fd=directory)
    except FileExistsError:
        return False
    with suppress(PermissionError):  # a card's file system keeps no modes
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
