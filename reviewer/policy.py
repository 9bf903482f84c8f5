"""Which folders may be reviewed at all: never those of the system, of keys, or of this application itself."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from django.conf import settings

from cameras.models import Camera
from cameras.ownership import Folders, current_folders
from nvr.errors import Forbidden
from nvr.media.paths import is_inside

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser, AnonymousUser, User


class HiddenPath(Forbidden):
    title = "This folder is hidden from review."


def hidden_paths() -> list[str]:
    """Absolute, as the operator set them."""
    return list(dict.fromkeys(str(path) for path in settings.NVR_REVIEW_HIDDEN_PATHS))


def hidden_places() -> tuple[str, ...]:
    """The same, and where they really lie."""
    return (*hidden_paths(), *map(os.path.realpath, hidden_paths()))


def check_hidden(path: str) -> None:
    """Raises `HiddenPath` for what lies in a hidden folder, and for what holds one: that would show it."""
    for hidden in hidden_places():
        if is_inside(path, hidden):
            raise HiddenPath(f"{hidden} is hidden from review.")
        if is_inside(hidden, path):
            raise HiddenPath(f"{path} holds {hidden}, which is hidden from review: choose a folder below it.")
    check_own(path)


def check_own(path: str) -> None:
    """The data directory is ours; only the cameras' uploads in it may be looked at."""
    data, uploads = own_places()
    if is_inside(data, path):
        raise HiddenPath(f"{path} holds this application's own data: choose a folder below it.")
    if is_inside(path, data) and not is_inside(path, uploads):
        raise HiddenPath("This folder holds this application's own data.")


def own_places() -> tuple[str, str]:
    """The data directory, and the part of it that holds the cameras' uploads: a name that nothing has, if none does."""
    data, cameras = (os.path.realpath(folder) for folder in (settings.NVR_DATA_DIR, settings.NVR_CAMERA_ROOT))
    return data, cameras if cameras != data and is_inside(cameras, data) else "\0"


class Picker:
    """What a picker of folders leaves out, as it was when it was made; it may walk through what holds a hidden one."""

    def __init__(self) -> None:
        self.hidden = hidden_places()
        self.data, self.uploads = own_places()

    def hides(self, path: str) -> bool:
        return any(is_inside(path, hidden) for hidden in self.hidden) or self.is_own(path)

    def is_own(self, path: str) -> bool:
        if path == self.data or not is_inside(path, self.data):
            return False
        return not is_inside(path, self.uploads) and not is_inside(self.uploads, path)


def cameras_at(path: str, folders: Folders | None = None) -> frozenset[int]:
    """The cameras, trashed ones too, whose folder lies in `path` or holds it."""
    resolved = (folders or current_folders()).resolved
    return frozenset(pk for pk, folder in resolved.items() if is_inside(folder, path) or is_inside(path, folder))


def unseen_cameras(user: User | AbstractBaseUser | AnonymousUser, cameras: frozenset[int]) -> frozenset[int]:
    """Those of them that `user` may not see; one that is trashed only superusers see."""
    if not cameras or getattr(user, "is_superuser", False):
        return frozenset()
    return cameras.difference(Camera.objects.visible_to(user).filter(pk__in=cameras).values_list("pk", flat=True))
