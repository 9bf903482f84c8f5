"""The folders in a folder, for a picker that opens them one by one."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cameras.folders.ownership import current_folders
from nvr.errors import BadRequest, Forbidden
from nvr.media.files.paths import is_inside
from nvr.media.files.system_folders import is_hidden_folder
from reviewer.non_utf8_names import text
from reviewer.policy import HiddenPath, Policy, unseen_cameras
from reviewer.registry import NO_FOLDER, checked, known_paths

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser, AnonymousUser, User

    Actor = User | AbstractBaseUser | AnonymousUser


def children_of(user: Actor, given: str) -> dict[str, Any]:
    """The contract's answer; hidden folders, links, and the folders of cameras that one may not see are left out.

    Raises `HiddenPath`, `Forbidden` outside of what is reviewed for whoever does not manage paths, `BadRequest`.
    """
    reviewed = [root.path for root in known_paths(user)]
    path, policy = checked(given), Policy(user, reviewed=reviewed)
    place = os.path.realpath(path)
    if policy.hides(path) or policy.hides(place):
        raise HiddenPath
    known = any(is_inside(place, root) for root in reviewed)
    if not known and not user.has_perm("reviewer.change_reviewpath"):  # type: ignore[union-attr]
        raise Forbidden("The path is not under a known review path.")
    if not known and not policy.leads_on(place):
        raise Forbidden(f"Only a superuser may look there; you may look at what lies in {policy.reach}.")
    shown = Shown(policy, unseen_places(user), everything=known)
    try:
        names = sorted(inner_folders(os.fsencode(place))) if not shown.is_a_cameras(place) else None
    except OSError:
        names = None
    if names is None:  # of a camera that one may not see, nobody can tell that its folder is there
        raise BadRequest(NO_FOLDER)
    folders = [str(Path(place, os.fsdecode(name))) for name in names]
    return {
        "path": text(os.fsencode(place)),
        "folders": [row(folder, shown) for folder in folders if shown.takes(folder)],
    }


@dataclass(frozen=True)
class Shown:
    """What a picker shows: nothing hidden, nor beyond the user's reach, nor of cameras that they may not see."""

    policy: Policy
    cameras: frozenset[str]
    everything: bool

    def takes(self, folder: str) -> bool:
        is_near = self.everything or self.policy.leads_on(folder)
        return is_near and not self.policy.hides(folder) and not self.is_a_cameras(folder)

    def is_a_cameras(self, folder: str) -> bool:
        return any(is_inside(folder, camera) for camera in self.cameras)


def unseen_places(user: Actor) -> frozenset[str]:
    """The folders of cameras that `user` may not see, trashed ones too."""
    resolved = current_folders().resolved
    return frozenset(resolved[pk] for pk in unseen_cameras(user, frozenset(resolved)))


def row(folder: str, shown: Shown) -> dict[str, Any]:
    name = os.fsencode(Path(folder).name)
    return {"path": text(os.fsencode(folder)), "name": text(name), "has_children": has_children(folder, shown)}


def has_children(folder: str, shown: Shown) -> bool:
    try:
        return any(shown.takes(f"{folder}/{os.fsdecode(name)}") for name in inner_folders(os.fsencode(folder)))
    except OSError:
        return False


def inner_folders(place: bytes) -> Iterator[bytes]:
    """Raises OSError."""
    with os.scandir(place) as entries:
        for entry in entries:
            if not is_hidden_folder(entry.name) and entry.is_dir(follow_symlinks=False):
                yield entry.name
