"""Marking pictures and videos: one, or many at once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cameras.folders.ownership import Folders, current_folders
from nvr.audit.record import record
from nvr.errors import BadRequest, Forbidden, NvrError
from nvr.media.files import companions
from nvr.media.files.companions import ACTIONS, Status
from nvr.media.files.paths import NoSuchFile
from reviewer.catalog.media_types import COMPANIONS, OUTDATED, Mark
from reviewer.catalog.mtime import mtime_ns_of
from reviewer.catalog.store import record_marks
from reviewer.models import ReviewPath
from reviewer.path_resolution import Missing, Place, camera_of, media_at
from reviewer.registry import known_paths

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser, AnonymousUser, User

    Actor = User | AbstractBaseUser | AnonymousUser

MAX_PATHS = 500


def checked_action(given: Any) -> str:
    if not isinstance(given, str) or given not in ACTIONS:
        raise BadRequest(f"action must be one of {', '.join(ACTIONS)}.")
    return given


def act(
    user: Actor, given: Any, action: str, *, known: list[ReviewPath] | None = None, folders: Folders | None = None
) -> tuple[Place, Status]:
    """Mark the file that `given` names; where it lies, and how it stands now.

    Who marks many reads once what the user may review (`known`) and whose files are where (`folders`). Raises what
    `media_at` and `companions.apply_action` raise, and `Forbidden` for a camera's file that one may not change.
    """
    place = media_at(user, given, known)
    check_camera(user, place, folders)
    mtime_ns = folder_mtime(place.path)
    try:
        status = companions.apply_action(place.path, action)
    except NoSuchFile:
        raise Missing from None
    for root in place.holding:
        record_marks(root, place.path, marks_of(status), mtime_ns=mtime_ns)
    return place, status


def check_camera(user: Actor, place: Place, folders: Folders | None = None) -> None:
    if camera_of(place, folders) is not None and not user.has_perm("cameras.change_camera"):  # type: ignore[union-attr]
        raise Forbidden("The file is a camera's: to mark it takes the right to change cameras.")


def folder_mtime(file: Path) -> int:
    try:
        return mtime_ns_of(file.parent.stat())
    except OSError:
        return 0


def marks_of(status: Status) -> Mark:
    marks = Mark.NONE
    for mark, there in ((Mark.LOCKED, status.locked), (Mark.TRASHED, status.trashed), (Mark.SEEN, status.seen)):
        marks |= mark if there else Mark.NONE
    for ending in status.outdated:
        marks |= OUTDATED[COMPANIONS[ending]]
    return marks


def act_on_many(user: Actor, paths: Any, given: Any) -> list[dict[str, Any]]:
    """Mark each, whatever becomes of the others: a row with path, HTTP status and error for each.

    Raises `BadRequest` for a bad list or action, before anything is marked.
    """
    action = checked_action(given)
    if not isinstance(paths, list) or not 1 <= len(paths) <= MAX_PATHS or not all(isinstance(p, str) for p in paths):
        raise BadRequest(f"paths must be a list of 1 to {MAX_PATHS} paths.")
    mark = partial(act, user, action=action, known=known_paths(user), folders=current_folders())
    done: Counter[ReviewPath] = Counter()
    try:
        return [row_for(mark, path, done) for path in paths]
    finally:  # what was marked is on record, whatever happens in the middle
        audit(user, action, done)


def row_for(mark: Callable[[str], tuple[Place, Status]], path: str, done: Counter[ReviewPath]) -> dict[str, Any]:
    try:
        place, _ = mark(path)
    except NvrError as error:
        return {"path": path, "status": error.status, "error": error.detail}
    done[place.root] += 1
    return {"path": path, "status": 200, "error": None}


def audit(user: Actor, action: str, done: Counter[ReviewPath]) -> None:
    """One entry for each review path that had a part in it, with the number of its files."""
    for root, files in done.items():
        record(user, "media_marked", root, {"action": (None, action), "files": (None, files)})
