"""The marks that a media file carries: empty files beside it, named after it, which travel with the card.

They are the truth: whoever finds `a.jpg.trash` beside `a.jpg` knows that it is trashed. Never truncated, never followed
when they are links.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from nvr.errors import FULL, Conflict
from nvr.media.paths import NoSuchFile, error_for, place_of

LOCK: Final = ".lock"
TRASH: Final = ".trash"
SEEN: Final = ".seen"
ENDINGS: Final = (LOCK, TRASH, SEEN)
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
    locked: bool
    trashed: bool
    seen: bool


@contextmanager
def directory_of(file: Path) -> Iterator[int]:
    """The directory that holds `file` (its path without links), opened: what is done there stays there.

    Raises `NoSuchFile` if somebody has put a link in the place of a folder on the way.
    """
    descriptor = os.open(file.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        if place_of(descriptor) != str(file.parent):
            raise NoSuchFile
        yield descriptor
    finally:
        os.close(descriptor)


def status_of(file: Path) -> Status:
    """Raises `NoSuchFile` and `StorageFault` for its folder."""
    try:
        with directory_of(file) as directory:
            return status_in(directory, file.name)
    except OSError as fault:
        raise error_for(fault) from fault


def status_in(directory: int, name: str) -> Status:
    return Status(*(exists(directory, name + ending) for ending in (LOCK, TRASH, SEEN)))


def exists(directory: int, name: str) -> bool:
    try:
        os.stat(name, dir_fd=directory, follow_symlinks=False)
    except FileNotFoundError:
        return False
    except OSError as fault:
        if fault.errno == errno.ENAMETOOLONG:
            return False
        raise
    return True


def act(file: Path, action: str) -> Status:
    """Mark `file` (which is there, in a folder without links) and say how it stands now; again changes nothing.

    A link has marks of its own, beside itself.

    Raises `Locked` for trashing what is locked, `ReadOnly`, `NameTooLong`, `NoSuchFile`, and `StorageFault`.
    """
    made, removed = ACTIONS[action]
    try:
        with directory_of(file) as directory:
            check(directory, file.name, action, made)
            make_all(directory, [file.name + ending for ending in made])
            for ending in removed:
                remove(directory, file.name + ending)
            return status_in(directory, file.name)
    except OSError as fault:
        raise refusal_for(fault) from fault


def check(directory: int, name: str, action: str, made: tuple[str, ...]) -> None:
    if not exists(directory, name):
        raise NoSuchFile
    if made and len(os.fsencode(name)) + max(map(len, made)) > longest_name(directory):
        raise NameTooLong
    if action == "trash" and exists(directory, name + LOCK):
        raise Locked


def longest_name(directory: int) -> int:
    return os.fpathconf(directory, "PC_NAME_MAX")


def make_all(directory: int, names: list[str]) -> None:
    """All of them or, as on a full medium, none that was not there before."""
    ours: list[str] = []
    try:
        for name in names:
            if make(directory, name):
                ours.append(name)
    except OSError:
        for name in ours:
            remove(directory, name)
        raise


def make(directory: int, name: str) -> bool:
    """There afterwards; whether it is new. Whoever comes first makes it; it is never opened when it is there."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        os.close(os.open(name, flags, 0o666, dir_fd=directory))
    except FileExistsError:
        return False
    return True


def remove(directory: int, name: str) -> None:
    try:
        os.unlink(name, dir_fd=directory)
    except FileNotFoundError:
        return
    except OSError as fault:
        if fault.errno != errno.ENAMETOOLONG:
            raise


def refusal_for(fault: OSError) -> Exception:
    if fault.errno == errno.EROFS:
        return ReadOnly()
    if fault.errno == errno.ENAMETOOLONG:
        return NameTooLong()
    if fault.errno in {errno.EACCES, errno.EPERM}:
        return Conflict("The folder may not be written to: give the application's user access.")
    if fault.errno in FULL:
        return Conflict("The medium is full, so that nothing can be marked: empty some of its trash.")
    return error_for(fault)
