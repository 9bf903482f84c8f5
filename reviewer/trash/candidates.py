"""The files that a trash run deletes, in batches; and dry runs, which delete nothing."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from typing import Final

from cameras.folders.ownership import current_folders
from nvr.audit.actor import Actor
from reviewer.catalog.scanner import path_unavailable_reason
from reviewer.catalog.store import trashed_rows
from reviewer.models import ReviewPath
from reviewer.trash.deletion import (
    ChangedError,
    LockedError,
    NotDeletedError,
    TrashCandidate,
    error_message,
    inspect_candidate,
    would_delete,
)
from reviewer.trash.messages import ERROR, SKIPPED, WOULD_DELETE, TrashEvent, done_line

FIRST_BATCH_SIZE: Final = 16  # files; small, so that the first lines arrive soon
BATCH_SIZE: Final = 256
LOCKED: Final = "locked"
CHANGED: Final = "changed"  # the file is not the one that was trashed
CAMERA_FILE_MESSAGE: Final = "The file belongs to a camera: deleting it requires the permission to change cameras."


def next_batch(root: ReviewPath, after: bytes | None) -> list[TrashCandidate]:
    """Return the next trashed files with their current state; `after` is the last file of the previous batch.

    Raises `PathUnavailable`.
    """
    base = os.fsencode(root.path) + b"/"
    below = after.removeprefix(base) if after is not None else None
    rows = trashed_rows(root, after=below, limit=BATCH_SIZE if after else FIRST_BATCH_SIZE)
    return [inspect_candidate(base + row.path) for row in rows]


def may_delete(user: Actor) -> Callable[[bytes], bool]:
    """Return a function that tests whether `user` may delete a file, by the current camera folders."""
    if user.has_perm("cameras.change_camera"):
        return lambda path: True
    folders = current_folders()
    return lambda path: not folders.owners_of(os.fsdecode(path))


def dry_run_lines(user: Actor, roots: Iterable[ReviewPath]) -> Iterator[bytes]:
    """Yield the lines of a dry run, one batch at a time."""
    deleted = errors = freed_bytes = 0
    for root in roots:
        after: bytes | None = None
        if reason := path_unavailable_reason(root):
            errors += 1
            yield TrashEvent(ERROR, os.fsencode(root.path), reason).line()
            continue
        while batch := next_batch(root, after):
            after, allowed = batch[-1].path, may_delete(user)
            events = [
                dry_run_event(file) if allowed(file.path) else TrashEvent(ERROR, file.path, CAMERA_FILE_MESSAGE)
                for file in batch
            ]
            deleted += sum(event.type == WOULD_DELETE for event in events)
            errors += sum(event.type == ERROR for event in events)
            freed_bytes += sum(event.freed_bytes for event in events)
            yield b"".join(event.line() for event in events)
    yield done_line(deleted=deleted, errors=errors, bytes=freed_bytes)


def dry_run_event(file: TrashCandidate) -> TrashEvent:
    try:
        return TrashEvent(WOULD_DELETE, file.path, freed_bytes=would_delete(file))
    except LockedError:
        return TrashEvent(SKIPPED, file.path, LOCKED)
    except ChangedError:
        return TrashEvent(SKIPPED, file.path, CHANGED)
    except NotDeletedError as error:
        return TrashEvent(ERROR, file.path, str(error))
    except OSError as error:
        return TrashEvent(ERROR, file.path, error_message(error))
