"""Lists the subfolders of a folder, for a folder picker that opens them one by one."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cameras.folders.ownership import current_folders
from nvr.audit.actor import Actor
from nvr.errors import BadRequest, Forbidden
from nvr.media.files.paths import is_inside
from nvr.media.files.system_folders import is_hidden_folder
from reviewer.non_utf8_names import text
from reviewer.policy import HiddenPath, Policy, invisible_cameras
from reviewer.registry import FOLDER_NOT_FOUND, known_paths, normalize_path


@dataclass(frozen=True)
class PickerFilter:
    """Which folders the picker shows: none that is hidden, not allowed, or of a camera invisible to the user."""

    policy: Policy
    camera_folders: frozenset[str]
    is_known: bool

    def includes(self, folder: str) -> bool:
        is_open = self.is_known or self.policy.is_browsable(folder)
        return is_open and not self.policy.is_hidden_in_picker(folder) and not self.is_camera_folder(folder)

    def is_camera_folder(self, folder: str) -> bool:
        return any(is_inside(folder, camera_folder) for camera_folder in self.camera_folders)


def list_subfolders(user: Actor, value: str) -> dict[str, Any]:
    """Return the response of `/api/folders`, without hidden folders and links.

    Raises `HiddenPath`, `BadRequest`, and `Forbidden` for folders that are not reviewed if `user` does not manage the
    paths.
    """
    review_paths = [root.path for root in known_paths(user)]
    path, policy = normalize_path(value), Policy(user, review_paths=review_paths)
    real_path = os.path.realpath(path)
    if policy.is_hidden_in_picker(path) or policy.is_hidden_in_picker(real_path):
        raise HiddenPath
    is_known = any(is_inside(real_path, review_path) for review_path in review_paths)
    if not is_known and not user.has_perm("reviewer.change_reviewpath"):
        raise Forbidden("The path is not under a known review path.")
    if not is_known and not policy.is_browsable(real_path):
        raise Forbidden(f"Only a superuser may open this folder; you may open those in {policy.allowed_roots_text}.")
    picker_filter = PickerFilter(policy, invisible_camera_folders(user), is_known)
    # An invisible camera's folder gets the same response as a missing one, which does not reveal that it exists.
    if picker_filter.is_camera_folder(real_path):
        raise BadRequest(FOLDER_NOT_FOUND)
    try:
        names = sorted(subfolder_names(os.fsencode(real_path)))
    except OSError:
        raise BadRequest(FOLDER_NOT_FOUND) from None
    folders = [str(Path(real_path, os.fsdecode(name))) for name in names]
    return {
        "path": text(os.fsencode(real_path)),
        "folders": [folder_json(folder, picker_filter) for folder in folders if picker_filter.includes(folder)],
    }


def invisible_camera_folders(user: Actor) -> frozenset[str]:
    """Return the folders of cameras, including trashed ones, that are not visible to `user`."""
    resolved = current_folders().resolved
    return frozenset(resolved[pk] for pk in invisible_cameras(user, frozenset(resolved)))


def folder_json(folder: str, picker_filter: PickerFilter) -> dict[str, Any]:
    name = os.fsencode(Path(folder).name)
    return {"path": text(os.fsencode(folder)), "name": text(name), "has_children": has_children(folder, picker_filter)}


def has_children(folder: str, picker_filter: PickerFilter) -> bool:
    try:
        return any(
            picker_filter.includes(f"{folder}/{os.fsdecode(name)}") for name in subfolder_names(os.fsencode(folder))
        )
    except OSError:
        return False


def subfolder_names(folder: bytes) -> Iterator[bytes]:
    """Yield the names of the subfolders, except hidden ones and links. Raises OSError."""
    with os.scandir(folder) as entries:
        for entry in entries:
            if not is_hidden_folder(entry.name) and entry.is_dir(follow_symlinks=False):
                yield entry.name
