"""Adds and removes review paths. The API, the admin, the command and the page all call these functions."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

from django.contrib.auth.models import Group
from django.db import transaction

from cameras.folders.ownership import current_folders
from nvr.audit.actor import Actor
from nvr.audit.record import record
from nvr.errors import BadRequest, Forbidden, NotFound
from nvr.media.files.mounts import record_mount
from nvr.media.files.paths import is_inside
from reviewer.models import ReviewPath
from reviewer.policy import Policy, cameras_at, invisible_cameras

MAX_PATH_BYTES: Final = 2000  # PostgreSQL limits indexed values to 2704 bytes
FOLDER_NOT_FOUND: Final = "The path is not an existing folder. Check its spelling, and that its disk is connected."


def known_paths(user: Actor) -> list[ReviewPath]:
    """Return the paths that `user` may review, by path. Excludes those that overlap a camera invisible to the user."""
    review_paths = ReviewPath.objects.listed_for(user)
    if not review_paths or user.is_superuser:
        return review_paths
    folders = current_folders()
    cameras = {review_path.pk: cameras_at(review_path.path, folders) for review_path in review_paths}
    invisible = invisible_cameras(user, frozenset().union(*cameras.values()))
    return [review_path for review_path in review_paths if not cameras[review_path.pk] & invisible]


def add_path(user: Actor, value: Any, *, groups: Iterable[Group] = ()) -> tuple[ReviewPath, bool]:
    """Return the review path, and whether it is new. An existing one keeps its groups. Raises as `check_path`."""
    with transaction.atomic():
        review_path, is_new = save_path(user, check_path(user, value))
        if is_new:
            change_groups(user, review_path, groups)
    return review_path, is_new


def check_path(user: Actor, value: Any) -> str:
    """Return the path with its links resolved if `user` may add it. A path that was added earlier is always accepted.

    Raises `BadRequest` if it is not a folder, `HiddenPath`, and, unless `user` is a superuser, `Forbidden` outside
    NVR_REVIEW_ROOTS and in a camera's folder.
    """
    path = normalize_path(value)
    real_path = os.path.realpath(path)
    if any(review_path.path == real_path for review_path in known_paths(user)):
        return real_path
    policy = Policy(user)
    # Neither a link to a hidden folder nor a link inside one may be added.
    policy.check(path)
    policy.check(real_path)
    policy.check_allowed(real_path)  # before `isdir`, so that it does not reveal whether the folder exists
    if not os.path.isdir(real_path):  # noqa: PTH112 - Path's raises for a name that is too long
        raise BadRequest(FOLDER_NOT_FOUND)
    check_cameras(user, real_path, policy)
    if len(os.fsencode(real_path)) > MAX_PATH_BYTES:
        raise BadRequest(f"The folder's path is too long: at most {MAX_PATH_BYTES} bytes.")
    try:
        real_path.encode()
    except UnicodeEncodeError:  # PostgreSQL cannot store it; names below the review path need not be UTF-8
        raise BadRequest("The folder's name, or that of a folder above it, is not UTF-8: rename it.") from None
    return real_path


def check_cameras(user: Actor, real_path: str, policy: Policy) -> None:
    """Raises `Forbidden` or `BadRequest` if the path overlaps a camera's folder and `user` is not a superuser.

    Does not reveal cameras that are invisible to the user: a path inside such a folder gets the error of a missing
    folder, and a path that contains one the error of a path that is not allowed.
    """
    if user.is_superuser:
        return
    folders = current_folders()
    overlapping = cameras_at(real_path, folders)
    invisible = invisible_cameras(user, overlapping)
    if not overlapping:
        return
    if overlapping - invisible:
        raise Forbidden(
            "The folder overlaps that of a camera: only a superuser may make it a review path. Choose another folder."
        )
    if any(is_inside(real_path, folders.resolved[pk]) for pk in invisible):
        raise BadRequest(FOLDER_NOT_FOUND)
    raise policy.not_allowed_error()


def camera_folder_conflict(folder: str) -> str:
    """Return why only a superuser may give the folder to a camera, or an empty string.

    A camera there would hide the review path from users who cannot see the camera. The text does not name the review
    path, which may be invisible to the user.
    """
    review_paths = ReviewPath.objects.all()
    if any(is_inside(other.path, folder) or is_inside(folder, other.path) for other in review_paths):
        return "it overlaps a folder that is reviewed"
    return ""


def save_path(user: Actor, real_path: str) -> tuple[ReviewPath, bool]:
    """Store a checked path with its current volume. Return the review path, and whether it is new."""
    with transaction.atomic():
        review_path, is_new = ReviewPath.objects.get_or_create(
            path=real_path, defaults={"mount": record_mount(Path(real_path)).as_dict()}
        )
        if is_new:
            record(user, "review_path_added", review_path, {"path": (None, real_path)})
    return review_path, is_new


def change_groups(user: Actor, review_path: ReviewPath, groups: Iterable[Group]) -> None:
    """Set the groups whose members may review the path. Recorded in the audit log if that changes anything."""
    with transaction.atomic():
        before, after = ({group.name for group in some} for some in (review_path.groups.all(), groups))
        if before != after:
            review_path.groups.set(Group.objects.filter(name__in=after))
            record(user, "review_path_updated", review_path, {"groups": (sorted(before), sorted(after))})


def remove_path(user: Actor, value: Any) -> str:
    """Delete the review path and return it; its files stay. Raises `BadRequest` and `NotFound`."""
    with transaction.atomic():
        review_path = known_path(user, value)
        if review_path is None:
            raise NotFound("The path is not a known review path. Reload the list of folders.")
        record(user, "review_path_removed", review_path, {"path": (review_path.path, None)})
        review_path.delete()
    return review_path.path


def known_path(user: Actor, value: Any) -> ReviewPath | None:
    """Return the review path of this name, or else the one that the name's links lead to."""
    path = normalize_path(value)
    known = {review_path.path: review_path for review_path in known_paths(user)}
    return known.get(path) or known.get(os.path.realpath(path))


def normalize_path(value: Any) -> str:
    """Return an absolute path without `.`, `..` and doubled slashes. Raises `BadRequest`."""
    if not isinstance(value, str) or not value:
        raise BadRequest("path is required: an absolute folder.")
    if "\0" in value or len(value) > 4096:
        raise BadRequest("The path is not valid. Enter a full path starting with /.")
    try:
        os.fsencode(value)
    except UnicodeEncodeError:
        raise BadRequest("The path is not valid Unicode.") from None
    if not value.startswith("/"):
        raise BadRequest("Enter a full path starting with /.")
    return "/" + os.path.normpath(value).lstrip("/")
