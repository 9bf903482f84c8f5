"""Which folders may be reviewed at all: never those of the system, of keys, or of this application itself."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from django.conf import settings

from cameras.folders.ownership import Folders, current_folders
from cameras.models import Camera
from nvr.errors import Forbidden
from nvr.media.files.paths import is_inside

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser, AnonymousUser, User


REMOVABLE: Final = "/run/media"  # where desktops mount cards: in /run, and not the system's


class HiddenPath(Forbidden):
    title = "This folder is hidden from review."


def hidden_paths() -> list[str]:
    """Absolute, as the operator set them."""
    return list(dict.fromkeys(str(path) for path in settings.NVR_REVIEW_HIDDEN_PATHS))


def with_places(paths: Iterable[str]) -> frozenset[str]:
    """The paths, and where they really lie."""
    given = [*paths]
    return frozenset((*given, *map(os.path.realpath, given)))


class Policy:
    """What is hidden from review, as it is set now: for everybody, or for `user`, who may not look everywhere.

    What lies in a folder of `reviewed` stays to be seen, although a folder that holds it has been hidden since.
    """

    def __init__(
        self, user: User | AbstractBaseUser | AnonymousUser | None = None, *, reviewed: Iterable[str] = ()
    ) -> None:
        self.reviewed = frozenset(reviewed)
        self.data = os.path.realpath(settings.NVR_DATA_DIR)
        self.cameras = os.path.realpath(settings.NVR_CAMERA_ROOT)
        self.own = {self.data, os.path.realpath(settings.BASE_DIR)}
        self.hidden = with_places(hidden_paths()) | self.own
        self.shown = with_places((str(settings.NVR_CAMERA_ROOT), REMOVABLE)) - {self.data}
        is_free = user is None or getattr(user, "is_superuser", False)
        self.roots = None if is_free else with_places(map(str, settings.NVR_REVIEW_ROOTS))

    def hiding(self, path: str) -> str:
        """The folder that hides it: the deepest that holds it decides; empty if none does."""
        hidden, shown, reviewed = (deepest(folders, path) for folders in (self.hidden, self.shown, self.reviewed))
        if reviewed and len(reviewed) >= len(hidden):
            return ""
        return hidden if len(hidden) > len(shown) or hidden == shown else ""

    def check(self, path: str) -> None:
        """Raises `HiddenPath` for what lies in a hidden folder, and for what holds one: that would show it."""
        hiding = self.hiding(path)
        if hiding in self.own:
            raise HiddenPath("This folder holds this application's own data. Choose another folder.")
        if hiding:
            raise HiddenPath(f"{hiding} is hidden from review. Choose another folder.")
        if any(is_inside(own, path) for own in self.own):
            raise HiddenPath(f"{path} holds this application's own data: choose a folder below it.")
        for hidden in self.hidden:
            if is_inside(hidden, path):
                raise HiddenPath(f"{path} holds {hidden}, which is hidden from review: choose a folder below it.")

    def check_reach(self, path: str) -> None:
        """Raises `Forbidden` for what `user` may not add, whether or not it is there."""
        if not self.reaches(path):
            raise self.out_of_reach()

    def out_of_reach(self) -> Forbidden:
        return Forbidden(f"Only a superuser may add this folder; you may add those in {self.reach}.")

    @property
    def reach(self) -> str:
        return ", ".join(map(str, settings.NVR_REVIEW_ROOTS)) or "none"

    def reaches(self, path: str) -> bool:
        return self.roots is None or any(is_inside(path, root) for root in self.roots)

    def hides(self, path: str) -> bool:
        """Whether a picker of folders leaves it out. It may walk through what leads to where the cameras upload."""
        if not self.hiding(path) or path == self.data:
            return False
        return not is_inside(self.cameras, path)

    def leads_on(self, path: str) -> bool:
        """Whether a picker may walk there: within the user's reach, or on the way to it."""
        return self.reaches(path) or any(is_inside(root, path) for root in self.roots or ())


def deepest(folders: Iterable[str], path: str) -> str:
    return max((folder for folder in folders if is_inside(path, folder)), key=len, default="")


def cameras_at(path: str, folders: Folders | None = None) -> frozenset[int]:
    """The cameras, trashed ones too, whose folder lies in `path` or holds it."""
    resolved = (folders or current_folders()).resolved
    return frozenset(pk for pk, folder in resolved.items() if is_inside(folder, path) or is_inside(path, folder))


def unseen_cameras(user: User | AbstractBaseUser | AnonymousUser, cameras: frozenset[int]) -> frozenset[int]:
    """Those of them that `user` may not see; one that is trashed only superusers see."""
    if not cameras or getattr(user, "is_superuser", False):
        return frozenset()
    return cameras.difference(Camera.objects.visible_to(user).filter(pk__in=cameras).values_list("pk", flat=True))
