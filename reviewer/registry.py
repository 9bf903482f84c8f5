"""Adding and removing the folders that are reviewed; one place for API, admin, command and page."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from django.contrib.auth.models import Group
from django.db import transaction

from cameras.folders.ownership import current_folders
from nvr.audit.record import record
from nvr.errors import BadRequest, Forbidden, NotFound
from nvr.media.files.mounts import record_mount
from nvr.media.files.paths import is_inside
from reviewer.models import ReviewPath
from reviewer.policy import Policy, cameras_at, unseen_cameras

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser, AnonymousUser, User

    Actor = User | AbstractBaseUser | AnonymousUser

LONGEST_BYTES: Final = 2000  # what stands in an index of PostgreSQL ends at 2 704
NO_FOLDER: Final = "The path is not an existing folder. Check its spelling, and that its disk is connected."


def known_paths(user: Actor) -> list[ReviewPath]:
    """What `user` may review, in the order of their names; not where a camera keeps its files that they may not see."""
    rows = ReviewPath.objects.listed_for(user)
    if not rows or getattr(user, "is_superuser", False):
        return rows
    folders = current_folders()
    overlaps = {row.pk: cameras_at(row.path, folders) for row in rows}
    unseen = unseen_cameras(user, frozenset().union(*overlaps.values()))
    return [row for row in rows if not overlaps[row.pk] & unseen]


def add_path(user: Actor, given: Any, *, groups: Iterable[Group] = ()) -> tuple[ReviewPath, bool]:
    """The review path at `given`, and whether it is new; raises what `check_path` raises."""
    with transaction.atomic():
        row, is_new = put_path(user, check_path(user, given))
        if is_new:
            change_groups(user, row, groups)
    return row, is_new


def check_path(user: Actor, given: Any) -> str:
    """Where `given` really lies, if it may be reviewed; what is reviewed already stays so.

    Raises `BadRequest` for what is no folder, `HiddenPath`, and, unless `user` is a superuser, `Forbidden` for what
    lies beyond NVR_REVIEW_ROOTS and for a camera's folder. Cameras that `user` may not see are not revealed: what lies
    in the folder of one does not exist, and what holds one is answered as if it lay beyond their reach.
    """
    path = checked(given)
    place = os.path.realpath(path)
    if any(row.path == place for row in known_paths(user)):
        return place
    policy = Policy(user)
    policy.check(path)
    policy.check(place)
    policy.check_reach(place)
    if not os.path.isdir(place):  # noqa: PTH112 - Path's raises for a name that is too long
        raise BadRequest(NO_FOLDER)
    check_cameras(user, place, policy)
    if len(os.fsencode(place)) > LONGEST_BYTES:
        raise BadRequest(f"The folder's path is too long: at most {LONGEST_BYTES} bytes.")
    if not is_utf8(place):
        raise BadRequest("The folder's name, or that of a folder above it, is not UTF-8: rename it.")
    return place


def check_cameras(user: Actor, place: str, policy: Policy) -> None:
    """Raises `Forbidden` or `BadRequest` where a camera keeps its files, unless `user` is a superuser."""
    if getattr(user, "is_superuser", False):
        return
    folders = current_folders()
    overlaps = cameras_at(place, folders)
    unseen = unseen_cameras(user, overlaps)
    if not overlaps:
        return
    if overlaps - unseen:
        raise Forbidden(
            "A camera keeps its files there: only a superuser may make it a review path. Choose another folder."
        )
    if any(is_inside(place, folders.resolved[pk]) for pk in unseen):
        raise BadRequest(NO_FOLDER)
    raise policy.out_of_reach()


def reason_against_camera(place: str) -> str:
    """Why a camera's folder at `place` takes a superuser: a review path there would be only for who sees the camera.

    None is named: who asks may not see them.
    """
    if not any(is_inside(row.path, place) or is_inside(place, row.path) for row in ReviewPath.objects.all()):
        return ""
    return "it holds, or lies in, a folder that is reviewed"


def is_utf8(path: str) -> bool:
    """Else no database can keep it; links and names below a path may be what they like."""
    try:
        path.encode()
    except UnicodeEncodeError:
        return False
    return True


def put_path(user: Actor, place: str) -> tuple[ReviewPath, bool]:
    """Keep a checked path, with the volume that it lies on now; whether it is new."""
    with transaction.atomic():
        row, is_new = ReviewPath.objects.get_or_create(
            path=place, defaults={"mount": record_mount(Path(place)).as_dict()}
        )
        if is_new:
            record(user, "review_path_added", row, {"path": (None, place)})
    return row, is_new


def change_groups(user: Actor, row: ReviewPath, groups: Iterable[Group]) -> None:
    """Whose members may review it; on record if that changes anything."""
    with transaction.atomic():
        before, after = ({group.name for group in some} for some in (row.groups.all(), groups))
        if before != after:
            row.groups.set(Group.objects.filter(name__in=after))
            record(user, "review_path_updated", row, {"groups": (sorted(before), sorted(after))})


def remove_path(user: Actor, given: Any) -> str:
    """Forget the path, and say which it was; nothing on disk is touched. Raises `BadRequest` and `NotFound`."""
    with transaction.atomic():
        row = known_path(user, given)
        if row is None:
            raise NotFound("The path is not a known review path. Reload the list of folders.")
        record(user, "review_path_removed", row, {"path": (row.path, None)})
        row.delete()
    return row.path


def known_path(user: Actor, given: Any) -> ReviewPath | None:
    """The one of `known_paths` that `given` is, as it is written or else when links are resolved."""
    path = checked(given)
    known = {row.path: row for row in known_paths(user)}
    return known.get(path) or known.get(os.path.realpath(path))


def checked(given: Any) -> str:
    """An absolute path as text, without `.`, `..` and doubled slashes; raises `BadRequest`."""
    if not isinstance(given, str) or not given:
        raise BadRequest("path is required: an absolute folder.")
    if "\0" in given or len(given) > 4096:
        raise BadRequest("The path is not valid. Enter a full path starting with /.")
    try:
        os.fsencode(given)
    except UnicodeEncodeError:
        raise BadRequest("The path is not valid Unicode.") from None
    if not given.startswith("/"):
        raise BadRequest("Enter a full path starting with /.")
    return "/" + os.path.normpath(given).lstrip("/")
