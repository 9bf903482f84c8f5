"""Marks pictures and videos: one, or a batch."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from cameras.folders.ownership import Folders, current_folders
from nvr.audit.actor import Actor
from nvr.audit.record import record
from nvr.errors import BadRequest, Forbidden, NvrError
from nvr.media.files import companions
from nvr.media.files.companions import ACTIONS, Status
from nvr.media.files.mtime import stored_mtime_ns
from nvr.media.files.paths import NoSuchFile
from reviewer.catalog.media_types import COMPANIONS, OUTDATED, Mark
from reviewer.catalog.store import record_marks
from reviewer.models import ReviewPath
from reviewer.path_resolution import Missing, ResolvedPath, camera_of, resolve_media
from reviewer.registry import known_paths

MAX_PATHS = 500


def checked_action(value: Any) -> str:
    if not isinstance(value, str) or value not in ACTIONS:
        raise BadRequest(f"action must be one of {', '.join(ACTIONS)}.")
    return value


def act(
    user: Actor, path: Any, action: str, *, known: list[ReviewPath] | None = None, folders: Folders | None = None
) -> tuple[ResolvedPath, Status]:
    """Mark the file. Return its path and its new status.

    A batch reads the user's review paths (`known`) and the camera folders (`folders`) once. Raises as `resolve_media`
    and `companions.apply_action`, and `Forbidden` for a camera's file that the user must not change.
    """
    file = resolve_media(user, path, known)
    if camera_of(file, folders) is not None and not user.has_perm("cameras.change_camera"):
        raise Forbidden("The file belongs to a camera: marking it requires the permission to change cameras.")
    # Read before marking: if it is still the mtime in the index, the index needs no scan afterwards.
    mtime_ns = folder_mtime(file.path)
    try:
        status = companions.apply_action(file.path, action)
    except NoSuchFile:
        raise Missing from None
    for root in file.roots:  # nested review paths have separate indexes
        record_marks(root, file.path, marks_of(status), mtime_ns=mtime_ns)
    return file, status


def folder_mtime(file: Path) -> int:
    try:
        return stored_mtime_ns(file.parent.stat().st_mtime_ns)
    except OSError:
        return 0


def marks_of(status: Status) -> Mark:
    marks = Mark.NONE
    for mark, is_set in ((Mark.LOCKED, status.locked), (Mark.TRASHED, status.trashed), (Mark.SEEN, status.seen)):
        marks |= mark if is_set else Mark.NONE
    for suffix in status.outdated:
        marks |= OUTDATED[COMPANIONS[suffix]]
    return marks


def act_on_many(user: Actor, paths: Any, action: Any) -> list[dict[str, Any]]:
    """Mark each file; one that fails does not stop the others. Return path, HTTP status and error for each.

    Raises `BadRequest` for an invalid list or action, before any file is marked.
    """
    action = checked_action(action)
    if not isinstance(paths, list) or not 1 <= len(paths) <= MAX_PATHS or not all(isinstance(p, str) for p in paths):
        raise BadRequest(f"paths must be a list of 1 to {MAX_PATHS} paths.")
    mark = partial(act, user, action=action, known=known_paths(user), folders=current_folders())
    done: Counter[ReviewPath] = Counter()
    try:
        return [result_for(mark, path, done) for path in paths]
    finally:  # even if an unexpected error ends the batch, the marked files are in the audit log
        audit(user, action, done)


def result_for(
    mark: Callable[[str], tuple[ResolvedPath, Status]], path: str, done: Counter[ReviewPath]
) -> dict[str, Any]:
    try:
        file, _ = mark(path)
    except NvrError as error:
        return {"path": path, "status": error.status, "error": error.detail}
    done[file.root] += 1
    return {"path": path, "status": 200, "error": None}


def audit(user: Actor, action: str, done: Counter[ReviewPath]) -> None:
    """Record one entry for each review path, with the number of its files."""
    for root, files in done.items():
        record(user, "media_marked", root, {"action": (None, action), "files": (None, files)})
