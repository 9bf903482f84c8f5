"""From a path that a client gave to the review path and the file that it names, for one who may."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cameras.ownership import current_folders
from nvr.errors import BadRequest, Forbidden
from nvr.media.mounts import absence
from nvr.media.paths import error_for, is_inside
from reviewer.broken_names import REPLACED, as_on_disk
from reviewer.kinds import kind_of
from reviewer.models import ReviewPath
from reviewer.registry import checked, known_paths
from reviewer.scanner import PathAway

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser, AnonymousUser, User

    Person = User | AbstractBaseUser | AnonymousUser


class OutsideReview(Forbidden):
    title = "The path is not under a known review path"


class Missing(BadRequest):
    title = "The file does not exist"


class NotMedia(BadRequest):
    title = "The file is neither a picture nor a video"


@dataclass(frozen=True)
class Place:
    """`path` without links, and the deepest known review path that holds it."""

    path: Path
    root: ReviewPath


def exactly(user: Person, given: Any) -> ReviewPath:
    """The known path that `given` is; raises `OutsideReview`, and `BadRequest` for what is no path."""
    path = checked(given)
    for root in known_paths(user):
        if root.path == path:
            return root
    place = os.path.realpath(path)
    for root in known_paths(user):
        if root.path == place:
            return root
    raise OutsideReview


def inside(user: Person, given: Any) -> Place:
    """What `given` names; it need not be there.

    Raises `OutsideReview` wherever a link leads out, or a hidden folder is on the way.
    """
    path = checked(given)
    roots = known_paths(user)
    if REPLACED in path:
        path = next((as_on_disk(path, root.path) for root in roots if is_inside(path, root.path)), path)
    if not any(is_inside(path, root.path) or is_inside(os.path.realpath(path), root.path) for root in roots):
        raise OutsideReview
    place = os.path.realpath(path)
    holding = [root for root in roots if is_inside(place, root.path)]
    if not holding:
        raise OutsideReview
    root = max(holding, key=lambda root: len(root.path))
    return Place(Path(place), root)


def media_at(user: Person, given: Any) -> Place:
    """A picture or video that is there.

    Raises `OutsideReview`, `Missing`, `NotMedia`, and `PathAway` instead of `Missing` while its volume is away.
    """
    place = inside(user, given)
    relative = place.path.relative_to(place.root.path)
    if any(part.startswith(".") for part in relative.parts):
        raise Missing
    try:
        mode = place.path.stat().st_mode
    except FileNotFoundError:
        raise missing(place.root) from None
    except OSError as fault:
        error = error_for(fault)
        if error.status == HTTPStatus.NOT_FOUND:
            raise missing(place.root) from fault
        raise error from fault
    if not stat.S_ISREG(mode):
        raise Missing
    if kind_of(place.path.name) is None:
        raise NotMedia("The file is neither a picture nor a video.")
    return place


def missing(root: ReviewPath) -> Missing | PathAway:
    """Of a card that is pulled out nothing is there; that says nothing of its files."""
    reason = absence(Path(root.path), root.remembered_mount)
    return PathAway(reason) if reason else Missing()


def camera_of(place: Place) -> int | None:
    """The camera whose file it is."""
    owners = current_folders().owners_of(place.path)
    return min(owners, default=None)
