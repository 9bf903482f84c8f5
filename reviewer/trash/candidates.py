"""What there is to delete, in blocks; and the same as a dry run that deletes nothing."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Final

from cameras.folder_ownership import current_folders
from reviewer.catalog.scanner import path_unavailable_reason
from reviewer.catalog.store import trashed_rows
from reviewer.models import ReviewPath
from reviewer.trash.deletion import ChangedError, KeptError, Listed, LockedError, listed, reason_of, would_delete
from reviewer.trash.messages import ERROR, SKIPPED, WOULD_DELETE, TrashEvent, done_line

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser, AnonymousUser, User

    Person = User | AbstractBaseUser | AnonymousUser

FIRST_BLOCK: Final = 16  # files: the first lines come soon
BLOCK: Final = 256
LOCKED: Final = "locked"
CHANGED: Final = "changed"  # another picture than the one that was trashed
CAMERAS_FILE: Final = "The file is a camera's: to delete it takes the right to change cameras."


def block_after(root: ReviewPath, after: bytes | None) -> list[Listed]:
    """The next trashed files, looked at now; `after` is the last one of the block before. Raises `PathAway`."""
    base = os.fsencode(root.path) + b"/"
    below = after.removeprefix(base) if after is not None else None
    rows = trashed_rows(root, after=below, limit=BLOCK if after else FIRST_BLOCK)
    return [listed(base + row.path) for row in rows]


def may_delete(user: Person) -> Callable[[bytes], bool]:
    """Whether `user` may delete a file, as the cameras stand now."""
    if user.has_perm("cameras.change_camera"):  # type: ignore[union-attr]
        return lambda path: True
    folders = current_folders()
    return lambda path: not folders.owners_of(os.fsdecode(path))


def tried(user: Person, roots: Iterable[ReviewPath]) -> Iterator[bytes]:
    """The lines of a dry run, a block at a time."""
    deleted = errors = freed = 0
    for root in roots:
        after: bytes | None = None
        if reason := path_unavailable_reason(root):
            errors += 1
            yield TrashEvent(ERROR, os.fsencode(root.path), reason).line()
            continue
        while files := block_after(root, after):
            after, allowed = files[-1].path, may_delete(user)
            block = [
                trial(file) if allowed(file.path) else TrashEvent(ERROR, file.path, CAMERAS_FILE) for file in files
            ]
            deleted += sum(told.type == WOULD_DELETE for told in block)
            errors += sum(told.type == ERROR for told in block)
            freed += sum(told.freed_bytes for told in block)
            yield b"".join(told.line() for told in block)
    yield done_line(deleted=deleted, errors=errors, bytes=freed)


def trial(file: Listed) -> TrashEvent:
    try:
        return TrashEvent(WOULD_DELETE, file.path, freed_bytes=would_delete(file))
    except LockedError:
        return TrashEvent(SKIPPED, file.path, LOCKED)
    except ChangedError:
        return TrashEvent(SKIPPED, file.path, CHANGED)
    except KeptError as kept:
        return TrashEvent(ERROR, file.path, str(kept))
    except OSError as fault:
        return TrashEvent(ERROR, file.path, reason_of(fault))
