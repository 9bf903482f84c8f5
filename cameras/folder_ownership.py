"""Whose a file is: the camera's with the deepest folder that holds it, trashed cameras included.

Where the folders really lie is looked at in threads, so that one on a disk that hangs keeps nobody waiting but its
own readers; and those are refused while it does, so that they do not take up all of the server's threads.
"""

from __future__ import annotations

import os
import threading
import time
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from django.conf import settings
from django.db import connection

from cameras.concurrent_probe import ConcurrentProbe
from cameras.folder_index import FolderUnreadable
from cameras.models import Camera, ListVersion, sees_all
from nvr.media.files.paths import is_inside

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser, AnonymousUser, User


class FolderRedirected(FolderUnreadable):
    """The folder has become a link to another camera's: whoever sees this camera need not see that one."""

    status = 403
    title = "The camera's folder leads to another camera's"


# A change to a camera counts at once. A folder that becomes a link to elsewhere, without one, counts after this.
RESOLVED_FOR_S = 2.0
TIMEOUT_S = 1.0
NO_ANSWER = ""


@dataclass(frozen=True)
class Folders:
    """The folders of all cameras at `version` of the camera list.

    `configured` has the paths as configured, `resolved` those with symlinks resolved, by primary key; `base` is
    NVR_CAMERA_ROOT with symlinks resolved. `live` has the cameras that are not trashed, by slug: read-only, with few
    fields loaded. The folders of `unresponsive` cameras do not answer; their last known paths are used. The folders of
    `redirected` cameras have become links to another camera's files; they own no files.
    """

    version: int
    read_at: float
    base: str
    configured: dict[int, str]
    resolved: dict[int, str]
    live: dict[str, Camera]
    cameras_by_folder: dict[str, frozenset[int]]
    unresponsive: frozenset[int]
    redirected: frozenset[int] = frozenset()

    def is_current(self, version: int) -> bool:
        return version == self.version and time.monotonic() - self.read_at < RESOLVED_FOR_S

    def owners_of(self, file: Path | str) -> frozenset[int]:
        """Primary keys of the cameras whose folder is the deepest that holds `file`; one, unless two share a folder."""
        folder = str(file)
        while folder:
            folder = folder.rpartition("/")[0]
            if owners := self.cameras_by_folder.get(folder or "/"):
                return owners
        return frozenset()

    def resolved_folder(self, camera: Camera) -> str | None:
        """Where the camera's folder really lies; None if that is outside of the base path, or another camera's."""
        folder = self.resolved[camera.pk]
        return folder if is_inside(folder, self.base) and camera.pk not in self.redirected else None

    def inside(self, folder: Path) -> frozenset[str]:
        """Cameras' folders below `folder` (without symlinks): what lies in them is theirs alone."""
        return frozenset(other for other in self.cameras_by_folder if other.startswith(f"{folder}/"))


def live_camera(user: User | AbstractBaseUser | AnonymousUser, camera_id: str, folders: Folders) -> Camera | None:
    """The live camera with this slug or uuid, if `user` may see it; asked with every file, so made quick.

    It has its slug and folder, and nothing else may be loaded.
    """
    slug = unicodedata.normalize("NFC", camera_id)
    if user.is_active and sees_all(user) and slug in folders.live:
        return folders.live[slug]
    found: Camera | None = Camera.objects.visible_to(user).identified_by(camera_id).first()
    return found


_probe: ConcurrentProbe[str] = ConcurrentProbe(late=lambda camera: NO_ANSWER, timeout_s=TIMEOUT_S, name="folders")
_cached: Folders | None = None
_lock = threading.Lock()


def folders_for(camera: Camera, known: Folders | None = None) -> Folders:
    """All folders, with that of `camera` as it is configured there. Raises `FolderUnreadable` if it does not answer.

    Who asks for many cameras asks `current_folders` once, and gives what is `known`: then this costs no query.
    """
    folders = folders_including(camera, known)
    if camera.pk in folders.unresponsive:
        raise FolderUnreadable(f"The folder {camera.folder_path} does not answer: check its disk or mount.")
    check_not_redirected(camera, folders)
    return folders


def check_not_redirected(camera: Camera, folders: Folders) -> None:
    """Raises `FolderRedirected`."""
    if camera.pk in folders.redirected:
        raise FolderRedirected(
            f"The folder {camera.folder_path} has become a link to another camera's: remove the link."
        )


def real_path(folder_path: str) -> str:
    """Where it lies without symlinks; as it is configured if its disk does not answer."""
    asked = Camera(pk=0, folder_path=folder_path)
    return _probe.run([asked], lambda camera: os.path.realpath(camera.folder_path)).get(asked.pk) or folder_path


def location_to_store(folder_path: str) -> str:
    """Where a folder that is chosen now really lies, in the form of `Camera.chosen_place`."""
    return relative_to_base(real_path(folder_path), real_path(str(settings.NVR_CAMERA_ROOT)))


def relative_to_base(place: str, base: str) -> str:
    """A place below `base` by its path from there, which stays the same when the base path moves."""
    return os.path.relpath(place, base) if is_inside(place, base) else place


def cameras_containing(folder_path: str) -> frozenset[int]:
    """Primary keys of the cameras in whose folder `folder_path` lies, as it is configured and without symlinks."""
    folders = current_folders(refresh=True)
    around: set[int] = set()
    for place in {folder_path, real_path(folder_path)}:
        for folder in (Path(place), *Path(place).parents):
            around |= folders.cameras_by_folder.get(str(folder), frozenset())
            around |= {pk for pk, configured in folders.configured.items() if configured == str(folder)}
    return frozenset(around)


def folders_including(camera: Camera, known: Folders | None = None) -> Folders:
    """The same, also while the camera's folder does not answer."""
    folders = known or current_folders()
    return folders if folders.configured.get(camera.pk) == camera.folder_path else current_folders(refresh=True)


def current_folders(*, refresh: bool = False) -> Folders:
    global _cached
    version = ListVersion.current()
    with _lock:
        if _cached is not None and not refresh and _cached.is_current(version):
            return _cached
        folders = read_folders(version, _cached)
        if not connection.in_atomic_block:  # what is rolled back gives its number back, for another change
            _cached = folders
        return folders


def read_folders(version: int, before: Folders | None) -> Folders:
    cameras = list(Camera.everything.only("pk", "slug", "folder_path", "chosen_place", "deleted_at").order_by())
    base = Camera(pk=0, folder_path=str(settings.NVR_CAMERA_ROOT))
    seen = _probe.run([base, *cameras], lambda camera: os.path.realpath(camera.folder_path))
    resolved = {camera.pk: seen.get(camera.pk) or last_known_path(camera, before) for camera in cameras}
    place_of_base = seen.get(base.pk) or (before.base if before else base.folder_path)
    redirected = redirected_among(cameras, resolved, place_of_base)
    cameras_by_folder: dict[str, frozenset[int]] = {}
    for pk, folder in resolved.items():
        if pk not in redirected:
            cameras_by_folder[folder] = cameras_by_folder.get(folder, frozenset()) | {pk}
    return Folders(
        version=version,
        read_at=time.monotonic(),
        base=place_of_base,
        configured={camera.pk: camera.folder_path for camera in cameras},
        resolved=resolved,
        live={camera.slug: camera for camera in cameras if camera.deleted_at is None},
        cameras_by_folder=cameras_by_folder,
        unresponsive=frozenset(pk for pk, folder in seen.items() if folder == NO_ANSWER),
        redirected=redirected,
    )


def redirected_among(cameras: Iterable[Camera], resolved: Mapping[int, str], base: str) -> frozenset[int]:
    """The cameras whose folder, or one above it, has become a link to another camera's since it was chosen.

    Of a folder that was chosen before places were remembered, only one link is believed to be as it always was: that
    which does not lead to the very folder of another camera.
    """
    linked = {camera.pk: camera for camera in cameras if is_linked(camera, resolved[camera.pk], base)}
    straight = {folder for pk, folder in resolved.items() if pk not in linked}
    return frozenset(pk for pk, camera in linked.items() if is_redirected(camera, resolved[pk], base, straight))


def is_linked(camera: Camera, place: str, base: str) -> bool:
    """Whether there is a link on the way to its folder, from the base path on."""
    written_base = str(settings.NVR_CAMERA_ROOT)
    if not is_inside(camera.folder_path, written_base):
        return place != camera.folder_path
    return place != os.path.normpath(f"{base}/{os.path.relpath(camera.folder_path, written_base)}")


def is_redirected(camera: Camera, place: str, base: str, straight: set[str]) -> bool:
    if not camera.chosen_place:
        return place in straight
    if camera.chosen_place == relative_to_base(place, base):
        return False
    return any(is_inside(place, other) or is_inside(other, place) for other in straight)


def last_known_path(camera: Camera, before: Folders | None) -> str:
    if before is not None and before.configured.get(camera.pk) == camera.folder_path:
        return before.resolved[camera.pk]
    return camera.folder_path
