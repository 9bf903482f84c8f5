"""The folders in a folder, for a picker that opens them one by one."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cameras.ownership import current_folders
from nvr.errors import BadRequest, Forbidden
from nvr.media.paths import is_inside
from nvr.media.system_folders import is_hidden_folder
from reviewer.items import text
from reviewer.policy import HiddenPath, Picker, unseen_cameras
from reviewer.registry import checked, known_paths

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser, AnonymousUser, User

    Person = User | AbstractBaseUser | AnonymousUser


def children_of(user: Person, given: str) -> dict[str, Any]:
    """The contract's answer; hidden folders and links are left out.

    Raises `HiddenPath`, `Forbidden` outside of what is reviewed for whoever does not manage paths, `BadRequest`.
    """
    path, picker = checked(given), Picker()
    place = os.path.realpath(path)
    if picker.hides(path) or picker.hides(place):
        raise HiddenPath
    known = any(is_inside(place, root.path) for root in known_paths(user))
    if not known and not user.has_perm("reviewer.change_reviewpath"):  # type: ignore[union-attr]
        raise Forbidden("The path is not under a known review path.")
    if not known and unseen_cameras(user, cameras_holding(place)):
        raise HiddenPath
    try:
        names = sorted(inner_folders(os.fsencode(place)))
    except OSError:
        raise BadRequest("The path is not an existing folder.") from None
    folders = [str(Path(place, os.fsdecode(name))) for name in names]
    return {
        "path": text(os.fsencode(place)),
        "folders": [row(folder) for folder in folders if not picker.hides(folder)],
    }


def cameras_holding(place: str) -> frozenset[int]:
    """The cameras in whose folder it lies; one that merely holds a camera's folder may be walked through."""
    return frozenset(pk for pk, folder in current_folders().resolved.items() if is_inside(place, folder))


def row(folder: str) -> dict[str, Any]:
    name = os.fsencode(Path(folder).name)
    return {"path": text(os.fsencode(folder)), "name": text(name), "has_children": has_children(folder)}


def has_children(folder: str) -> bool:
    try:
        return any(inner_folders(os.fsencode(folder)))
    except OSError:
        return False


def inner_folders(place: bytes) -> Iterator[bytes]:
    """Raises OSError."""
    with os.scandir(place) as entries:
        for entry in entries:
            if not is_hidden_folder(entry.name) and entry.is_dir(follow_symlinks=False):
                yield entry.name
