"""From a path that a client gave to the review path and the file that it names, for one who may."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cameras.folders.ownership import Folders, current_folders
from nvr.errors import BadRequest, Forbidden
from nvr.media.files.paths import error_for, is_inside, resolve_with_mode
from nvr.media.files.system_folders import has_hidden_folder
from reviewer.catalog.media_types import has_unambiguous_name, holds_video, media_type_of
from reviewer.catalog.scanner import PathUnavailable, path_unavailable_reason
from reviewer.models import ReviewPath
from reviewer.non_utf8_names import REPLACED, as_on_disk
from reviewer.registry import checked, known_path, known_paths

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser, AnonymousUser, User

    Actor = User | AbstractBaseUser | AnonymousUser


class OutsideReview(Forbidden):
    title = "The path is not under a known review path."


class Missing(BadRequest):
    title = "The file does not exist."


class NotMedia(BadRequest):
    title = "The file is neither a picture nor a video."


@dataclass(frozen=True)
class Place:
    """`path`, in a folder without links, and the deepest known review path that holds it; `holding` are all that do."""

    path: Path
    root: ReviewPath
    holding: tuple[ReviewPath, ...] = field(default=(), kw_only=True)


@dataclass(frozen=True)
class Media(Place):
    """A picture or video as it is listed, and what the disk said of it when it was found.

    Its bytes are those of `file`, without links: another than `path` for a link, which has marks of its own. Each
    path of `holding` holds both.
    """

    facts: os.stat_result
    file: Path = field(kw_only=True)


def exactly(user: Actor, given: Any) -> ReviewPath:
    """The known path that `given` is; raises `OutsideReview`, and `BadRequest` for what is no path."""
    root = known_path(user, given)
    if root is None:
        raise OutsideReview
    return root


def inside(user: Actor, given: Any, known: list[ReviewPath] | None = None) -> Place:
    """What `given` names; it need not be there. `known` are the user's paths, if they have been read already.

    Raises `OutsideReview` wherever a link leads out, and `Missing` below the review path for hidden names: nobody
    enters there.
    """
    roots = known_paths(user) if known is None else known
    return below(without_links(named(given, roots)), roots)


def named(given: Any, roots: Iterable[ReviewPath]) -> str:
    """The path that `given` is, as the disk has it."""
    path = checked(given)
    if REPLACED in path:
        return next((as_on_disk(path, root.path) for root in roots if is_inside(path, root.path)), path)
    return path


def below(place: str, roots: Iterable[ReviewPath]) -> Place:
    """Raises `OutsideReview` if none of the roots holds it, and `Missing` for hidden names and system folders."""
    holding = tuple(root for root in roots if is_inside(place, root.path))
    if not holding:
        raise OutsideReview
    root = max(holding, key=lambda root: len(root.path))
    if has_hidden_folder(place[len(root.path) :]):
        raise Missing
    return Place(Path(place), root, holding=holding)


def without_links(path: str) -> str:
    """Whether or not it is there; the kernel is asked first, which knows at once what `realpath` finds step by step."""
    try:
        return resolve_with_mode(path)[0]
    except OSError:
        return os.path.realpath(path)


def media_at(user: Actor, given: Any, known: list[ReviewPath] | None = None) -> Media:
    """The picture or video that `given` names; `known` as for `inside`.

    Raises `OutsideReview`, `Missing`, `NotMedia`, or `PathUnavailable` (not `Missing`) while the volume is missing.
    """
    roots = known_paths(user) if known is None else known
    path = named(given, roots)
    target = below(without_links(path), roots)
    place = target if path == str(target.path) else listed_at(path, target)
    facts = facts_of(target)
    if not stat.S_ISREG(facts.st_mode):
        raise Missing
    kind = media_type_of(place.path.name)
    if kind is None or (place is not target and kind != media_type_of(target.path.name)):
        raise NotMedia
    name = os.fsencode(target.path)
    if not has_unambiguous_name(name) and not holds_video(name, facts):
        raise NotMedia
    return Media(place.path, place.root, facts, file=target.path, holding=place.holding)


def listed_at(path: str, target: Place) -> Place:
    """Where `path`, which leads to `target`, is listed: a link under its own name, if a review path holds both."""
    folder, _, name = path.rpartition("/")
    try:
        return below(f"{without_links(folder or '/').rstrip('/')}/{name}", target.holding)
    except OutsideReview:
        return target


def facts_of(place: Place) -> os.stat_result:
    """Raises `Missing`, `PathUnavailable` and `StorageFault`."""
    try:
        return os.stat(place.path)  # noqa: PTH116 - with every picture
    except FileNotFoundError:
        raise missing(place.root) from None
    except OSError as fault:
        error = error_for(fault)
        if error.status == HTTPStatus.NOT_FOUND:
            raise missing(place.root) from fault
        raise error from fault


def missing(root: ReviewPath) -> Missing | PathUnavailable:
    """Of a card that is pulled out nothing is there; that says nothing of its files."""
    reason = path_unavailable_reason(root)
    return PathUnavailable(reason) if reason else Missing()


def camera_of(place: Place, folders: Folders | None = None) -> int | None:
    """The camera whose file it is, by `folders` if they have been read already."""
    owners = (folders or current_folders()).owners_of(place.path)
    return min(owners, default=None)
