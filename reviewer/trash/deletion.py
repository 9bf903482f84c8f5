"""Deleting one trashed file: looked at again in the moment of deletion, the media file first, its companions after.

A link is deleted itself, never what it leads to.

What is decided here is decided on an open directory, so that nobody can exchange a folder on the way for a link.
"""

from __future__ import annotations

import errno
import logging
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus

from nvr.media.files.companions import LOCK, SEEN, TRASH, ReadOnly, exists, is_outdated, remove
from nvr.media.files.paths import descriptor_path, error_for

logger = logging.getLogger(__name__)

FOLDER_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class KeptError(Exception):
    """The file stays where it is; the text is the reason, for people."""


class LockedError(Exception):
    """The file is trashed, and locked: locked wins."""


class ChangedError(Exception):
    """Another picture, which came after the mark, lies under the name of the one that was trashed."""


@dataclass(frozen=True, slots=True)
class Identity:
    """By which a file that was replaced or written to since it was listed is told from the one that was."""

    device: int
    inode: int
    mtime_ns: int
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Listed:
    """A trashed file as it was listed; `identity` is None if it could not be looked at, for `reason`."""

    path: bytes
    identity: Identity | None
    reason: str = ""
    frees_bytes: int = 0


def listed(path: bytes) -> Listed:
    try:
        facts = os.lstat(path)
    except OSError as fault:
        return Listed(path, None, reason_of(fault))
    return Listed(path, identity_of(facts), frees_bytes=freed_by(facts))


def identity_of(facts: os.stat_result) -> Identity:
    return Identity(facts.st_dev, facts.st_ino, facts.st_mtime_ns, facts.st_size)


def freed_by(facts: os.stat_result) -> int:
    """The bytes that go with the name: none of a link, nor while the file has other names."""
    return 0 if stat.S_ISLNK(facts.st_mode) or facts.st_nlink > 1 else facts.st_size


def delete(file: Listed) -> int:
    """Remove it with its companions; how many bytes that frees. Raises OSError and what `check` raises."""
    with folder_of(file.path) as (folder, name):
        freed = check(folder, name, file)
        os.unlink(name, dir_fd=folder)
        try:
            remove_companions(folder, name)
        except OSError as fault:  # the file is gone all the same
            logger.warning("companions left behind file=%r error=%s", file.path, fault.strerror)
    return freed


def would_delete(file: Listed) -> int:
    """What `delete` would free, or raise; nothing is touched."""
    with folder_of(file.path) as (folder, name):
        return check(folder, name, file)


@contextmanager
def folder_of(path: bytes) -> Iterator[tuple[int, str]]:
    """The file's directory, opened, and the file's name. Raises `KeptError` if a link leads there."""
    place, _, name = os.fsdecode(path).rpartition("/")
    descriptor = os.open(place or "/", FOLDER_FLAGS)
    try:
        if descriptor_path(descriptor) != place:
            raise KeptError("Its folder has moved since it was listed. Reload the page, then review it there.")
        yield descriptor, name
    finally:
        os.close(descriptor)


def check(folder: int, name: str, file: Listed) -> int:
    """The bytes that its deletion frees. Raises what keeps it."""
    if file.identity is None:
        raise KeptError(file.reason)
    facts = os.stat(name, dir_fd=folder, follow_symlinks=False)
    if not (stat.S_ISLNK(facts.st_mode) or stat.S_ISREG(facts.st_mode)):
        raise KeptError("It is not a regular file.")
    if identity_of(facts) != file.identity:
        raise KeptError("It has changed since it was listed. Review it again.")
    if exists(folder, name + LOCK):
        raise LockedError
    if not exists(folder, name + TRASH):
        raise KeptError("It is no longer marked as trash.")
    if is_outdated(folder, name, name + TRASH):
        raise ChangedError
    return freed_by(facts)


def remove_companions(folder: int, name: str) -> None:
    """`.seen` first: as long as `.trash` is there, the leftover can be told for what it is."""
    for ending in (SEEN, TRASH):
        remove(folder, name + ending)


def tidied(path: bytes) -> bool:
    """Whether the file of an interrupted deletion is gone; its companions then are, too. Raises OSError."""
    with folder_of(path) as (folder, name):
        if exists(folder, name):
            return False
        remove_companions(folder, name)
        return True


def reason_of(fault: OSError) -> str:
    """An error line's message: the storage that does not answer is told apart from a file that is not there."""
    if isinstance(fault, FileNotFoundError):
        return "It no longer exists."
    if fault.errno == errno.EROFS:
        return ReadOnly.title
    if error_for(fault).status == HTTPStatus.NOT_FOUND:
        return f"{fault.strerror or fault}."
    return error_for(fault).detail
