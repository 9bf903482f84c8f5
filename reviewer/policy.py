"""Which folders may be reviewed at all: never those of the system, of keys, or of this application itself."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from django.conf import settings

from cameras.models import Camera
from cameras.ownership import current_folders
from nvr.errors import Forbidden
from nvr.media.paths import is_inside

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser, AnonymousUser, User


class HiddenPath(Forbidden):
    title = "This folder is hidden from review"


def hidden_paths() -> list[str]:
    """Absolute, as the operator set them, and where they really lie."""
    return list(dict.fromkeys(str(path) for path in settings.NVR_REVIEW_HIDDEN_PATHS))


def check_hidden(path: str) -> None:
    """Raises `HiddenPath` for what lies in a hidden folder, and for what holds one: that would show it."""
    for hidden in (*hidden_paths(), *map(os.path.realpath, hidden_paths())):
        if is_inside(path, hidden):
            raise HiddenPath(f"{hidden} is hidden from review.")
        if is_inside(hidden, path):
            raise HiddenPath(f"{path} holds {hidden}, which is hidden from review: choose a folder below it.")
    check_own(path)


def check_own(path: str) -> None:
    """The data directory is ours; only the cameras' uploads in it may be looked at."""
    data, cameras = (os.path.realpath(folder) for folder in (settings.NVR_DATA_DIR, settings.NVR_CAMERA_ROOT))
    if is_inside(data, path):
        raise HiddenPath(f"{path} holds this application's own data: choose a folder below it.")
    if is_inside(path, data) and not is_inside(path, cameras):
        raise HiddenPath("This folder holds this application's own data.")


def is_hidden(path: str) -> bool:
    """For the picker, which may walk through what holds a hidden folder."""
    inside = any(is_inside(path, hidden) for hidden in hidden_paths())
    data, cameras = (os.path.realpath(folder) for folder in (settings.NVR_DATA_DIR, settings.NVR_CAMERA_ROOT))
    own = is_inside(path, data) and path != data and not is_inside(path, cameras) and not is_inside(cameras, path)
    return inside or own


def cameras_at(path: str) -> frozenset[int]:
    """The cameras, trashed ones too, whose folder lies in `path` or holds it."""
    folders = current_folders()
    return frozenset(
        pk for pk, folder in folders.resolved.items() if is_inside(folder, path) or is_inside(path, folder)
    )


def sees_cameras(user: User | AbstractBaseUser | AnonymousUser, cameras: frozenset[int]) -> bool:
    """Whether `user` may see all of them."""
    if not cameras or getattr(user, "is_superuser", False):
        return True
    visible: int = Camera.objects.visible_to(user).filter(pk__in=cameras).count()
    return visible == len(cameras)
