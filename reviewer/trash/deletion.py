"""Deletes one trashed file: checks it again right before deletion, deletes the media file, then its companions.

A link is deleted itself, never its target.

All checks use an open directory, so that replacing a folder of the path with a link has no effect.
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
from nvr.media.files.identity import FileIdentity
from nvr.media.files.paths import descriptor_path, error_for

logger = logging.getLogger(__name__)

FOLDER_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class NotDeletedError(Exception):
    """The file must not be deleted. The text is the reason, as a message to users."""


class LockedError(Exception):
    """The file is trashed and locked: locked files are not deleted."""


class ChangedError(Exception):
    """The file is newer than its trash mark: another file has replaced the trashed one."""


@dataclass(frozen=True, slots=True)
class TrashCandidate:
    """A trashed file as it was listed. If `stat` failed, `identity` is None and `reason` has the error."""

    path: bytes
    identity: FileIdentity | None
    device: int = 0
    reason: str = ""
    freed_bytes: int = 0


def inspect_candidate(path: bytes) -> TrashCandidate:
    try:
        facts = os.lstat(path)
    except OSError as error:
        return TrashCandidate(path, None, reason=error_message(error))
    return TrashCandidate(path, FileIdentity.of(facts), facts.st_dev, freed_bytes=freed_bytes_of(facts))


def freed_bytes_of(facts: os.stat_result) -> int:
    """Return the bytes that deletion frees: 0 for links and for files with other hard links."""
    return 0 if stat.S_ISLNK(facts.st_mode) or facts.st_nlink > 1 else facts.st_size


def delete(file: TrashCandidate) -> int:
    """Delete the file and its companions. Return the freed bytes. Raises OSError and as `check_deletable`."""
    with open_folder(file.path) as (folder, name):
        freed = check_deletable(folder, name, file)
        os.unlink(name, dir_fd=folder)
        try:
            remove_companions(folder, name)
        except OSError as error:  # the file is gone all the same
            logger.warning("companions left behind file=%r error=%s", file.path, error.strerror)
    return freed


def would_delete(file: TrashCandidate) -> int:
    """Return what `delete` would free, or raise what it would raise, without deleting."""
    with open_folder(file.path) as (folder, name):
        return check_deletable(folder, name, file)


@contextmanager
def open_folder(path: bytes) -> Iterator[tuple[int, str]]:
    """Open the file's directory; yield its descriptor and the file name.

    Raises `NotDeletedError` if a link leads there.
    """
    folder_path, _, name = os.fsdecode(path).rpartition("/")
    descriptor = os.open(folder_path or "/", FOLDER_FLAGS)
    try:
        if descriptor_path(descriptor) != folder_path:
            raise NotDeletedError("Its folder has moved since it was listed. Reload the page, then review it there.")
        yield descriptor, name
    finally:
        os.close(descriptor)


def check_deletable(folder: int, name: str, file: TrashCandidate) -> int:
    """Return the bytes that deletion frees. Raises `NotDeletedError`, `LockedError` or `ChangedError`."""
    if file.identity is None:
        raise NotDeletedError(file.reason)
    facts = os.stat(name, dir_fd=folder, follow_symlinks=False)
    if not (stat.S_ISLNK(facts.st_mode) or stat.S_ISREG(facts.st_mode)):
        raise NotDeletedError("It is not a regular file.")
    if (facts.st_dev, FileIdentity.of(facts)) != (file.device, file.identity):
        raise NotDeletedError("It has changed since it was listed. Review it again.")
    if exists(folder, name + LOCK):
        raise LockedError
    if not exists(folder, name + TRASH):
        raise NotDeletedError("It is no longer marked as trash.")
    if is_outdated(folder, name, name + TRASH):
        raise ChangedError
    return freed_bytes_of(facts)


def remove_companions(folder: int, name: str) -> None:
    """Remove `.seen` first: while `.trash` exists, an interrupted deletion can be recognized."""
    for suffix in (SEEN, TRASH):
        remove(folder, name + suffix)


def finish_deletion(path: bytes) -> bool:
    """Finish an interrupted deletion: if the file is gone, remove its companions.

    Return whether the file is gone. Raises OSError and `NotDeletedError`.
    """
    with open_folder(path) as (folder, name):
        if exists(folder, name):
            return False
        remove_companions(folder, name)
        return True


def error_message(error: OSError) -> str:
    """Return the message of an error line. Storage errors and missing files have different messages."""
    if isinstance(error, FileNotFoundError):
        return "It no longer exists."
    if error.errno == errno.EROFS:
        return ReadOnly.title
    if error_for(error).status == HTTPStatus.NOT_FOUND:
        return f"{error.strerror or error}."
    return error_for(error).detail
