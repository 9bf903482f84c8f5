"""Decides which folders may be reviewed: not those of the system, of keys, or of NVR itself."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Final

from django.conf import settings

from cameras.folders.ownership import Folders, current_folders
from cameras.models import Camera
from nvr.audit.actor import Actor
from nvr.errors import Forbidden
from nvr.media.files.paths import is_inside

# Desktops mount memory cards here. It is reviewable although /run is hidden.
REMOVABLE_MEDIA: Final = "/run/media"


class HiddenPath(Forbidden):
    title = "This folder is hidden from review."


def hidden_paths() -> list[str]:
    """Return the absolute paths of NVR_REVIEW_HIDDEN_PATHS, without duplicates."""
    return list(dict.fromkeys(str(path) for path in settings.NVR_REVIEW_HIDDEN_PATHS))


def with_real_paths(paths: Iterable[str]) -> frozenset[str]:
    """Return the paths as written and with their links resolved."""
    written = [*paths]
    return frozenset((*written, *map(os.path.realpath, written)))


class Policy:
    """The rules for review paths by the current settings.

    Without `user` only the hidden folders apply; with a user who is not a superuser also NVR_REVIEW_ROOTS. Folders
    below `review_paths` stay visible even if a folder above them was hidden later.
    """

    def __init__(self, user: Actor | None = None, *, review_paths: Iterable[str] = ()) -> None:
        self.review_paths = frozenset(review_paths)
        self.data_dir = os.path.realpath(settings.NVR_DATA_DIR)
        self.camera_root = os.path.realpath(settings.NVR_CAMERA_ROOT)
        self.app_folders = {self.data_dir, os.path.realpath(settings.BASE_DIR)}
        self.hidden = with_real_paths(hidden_paths()) | self.app_folders
        # By default the camera root is inside the data directory, which is hidden.
        self.exceptions = with_real_paths((str(settings.NVR_CAMERA_ROOT), REMOVABLE_MEDIA)) - {self.data_dir}
        is_unrestricted = user is None or user.is_superuser
        self.allowed_roots = None if is_unrestricted else with_real_paths(map(str, settings.NVR_REVIEW_ROOTS))

    def hidden_by(self, path: str) -> str:
        """Return the folder that hides `path`, or an empty string. The deepest rule above the path applies."""
        hidden, exception, review_path = (
            deepest(folders, path) for folders in (self.hidden, self.exceptions, self.review_paths)
        )
        if review_path and len(review_path) >= len(hidden):
            return ""
        return hidden if len(hidden) > len(exception) or hidden == exception else ""

    def check(self, path: str) -> None:
        """Raises `HiddenPath` if the path is hidden, or contains a hidden folder: a review would show that as well."""
        hidden_by = self.hidden_by(path)
        if hidden_by in self.app_folders:
            raise HiddenPath("This folder holds this application's own data. Choose another folder.")
        if hidden_by:
            raise HiddenPath(f"{hidden_by} is hidden from review. Choose another folder.")
        if any(is_inside(folder, path) for folder in self.app_folders):
            raise HiddenPath(f"{path} holds this application's own data: choose a folder below it.")
        for hidden in self.hidden:
            if is_inside(hidden, path):
                raise HiddenPath(f"{path} holds {hidden}, which is hidden from review: choose a folder below it.")

    def check_allowed(self, path: str) -> None:
        """Raises `Forbidden` if the user must not add the path, whether or not it exists."""
        if not self.is_allowed(path):
            raise self.not_allowed_error()

    def is_allowed(self, path: str) -> bool:
        return self.allowed_roots is None or any(is_inside(path, root) for root in self.allowed_roots)

    def not_allowed_error(self) -> Forbidden:
        return Forbidden(f"Only a superuser may add this folder; you may add those in {self.allowed_roots_text}.")

    @property
    def allowed_roots_text(self) -> str:
        return ", ".join(map(str, settings.NVR_REVIEW_ROOTS)) or "none"

    def is_hidden_in_picker(self, path: str) -> bool:
        # The picker shows hidden folders that lead to the camera root, so that users can reach it.
        if not self.hidden_by(path) or path == self.data_dir:
            return False
        return not is_inside(self.camera_root, path)

    def is_browsable(self, path: str) -> bool:
        """Return whether the folder picker may open the path: an allowed folder, or one above it."""
        return self.is_allowed(path) or any(is_inside(root, path) for root in self.allowed_roots or ())


def deepest(folders: Iterable[str], path: str) -> str:
    """Return the deepest of the folders that contains the path, or an empty string."""
    return max((folder for folder in folders if is_inside(path, folder)), key=len, default="")


def cameras_at(path: str, folders: Folders | None = None) -> frozenset[int]:
    """Return the cameras, including trashed ones, whose folder is inside `path` or contains it."""
    resolved = (folders or current_folders()).resolved
    return frozenset(pk for pk, folder in resolved.items() if is_inside(folder, path) or is_inside(path, folder))


def invisible_cameras(user: Actor, cameras: frozenset[int]) -> frozenset[int]:
    """Return those of the cameras that are not visible to `user`. Trashed cameras are visible to superusers only."""
    if not cameras or user.is_superuser:
        return frozenset()
    return cameras.difference(Camera.objects.visible_to(user).filter(pk__in=cameras).values_list("pk", flat=True))
