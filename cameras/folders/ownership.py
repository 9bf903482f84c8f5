"""Determines which camera owns a file: the one with the deepest folder that contains it, trashed cameras included.

Folders are resolved in threads, so that a disk that hangs delays only requests for its own files. Those fail while it
hangs, so that they do not occupy all of the server's threads.
"""

from __future__ import annotations

import os
import threading
import time
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from django.conf import settings
from django.db import connection

from cameras.folders.concurrent_probe import ConcurrentProbe
from cameras.folders.index import FolderUnreadable
from cameras.models import Camera, ListVersion, sees_all
from nvr.audit.actor import Actor
from nvr.media.files.paths import is_inside


class FolderRedirected(FolderUnreadable):
    """The folder has become a link to another camera's, which users of this camera may not be allowed to see."""

    status = 403
    title = "The camera's folder leads to another camera's"


# A change to a camera invalidates the cache at once. A folder that becomes a link is noticed after this time.
RESOLVED_FOR_S = 2.0
TIMEOUT_S = 1.0
UNRESPONSIVE = ""  # instead of a path


@dataclass(frozen=True)
class Folders:
    """The folders of all cameras at `version` of the camera list.

    `configured` has the paths as configured, `resolved` those with symlinks resolved, by primary key; `base` is
    NVR_CAMERA_ROOT with symlinks resolved. `live` has the cameras that are not trashed, by slug: read-only, with few
    fields loaded. The folders of `unresponsive` cameras do not respond; their last known paths are used. The folders of
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
        """Primary keys of the cameras with the deepest folder that contains `file`; one, unless two share a folder."""
        folder = str(file)
        while folder:
            folder = folder.rpartition("/")[0]
            if owners := self.cameras_by_folder.get(folder or "/"):
                return owners
        return frozenset()

    def resolved_folder(self, camera: Camera) -> str | None:
        """The camera's folder with symlinks resolved; None if it is outside the base path or another camera's."""
        folder = self.resolved[camera.pk]
        return folder if is_inside(folder, self.base) and camera.pk not in self.redirected else None

    def inside(self, folder: Path) -> frozenset[str]:
        """Cameras' folders below `folder` (without symlinks): files in them do not belong to `folder`'s camera."""
        return frozenset(other for other in self.cameras_by_folder if other.startswith(f"{folder}/"))


def live_camera(user: Actor, camera_id: str, folders: Folders) -> Camera | None:
    """The camera with this slug or uuid that is not trashed, if `user` may see it. Called for each file, so it is fast.

    Only its slug and folder are sure to be loaded; do not read other fields.
    """
    slug = unicodedata.normalize("NFC", camera_id)
    if user.is_active and sees_all(user) and slug in folders.live:
        return folders.live[slug]
    found: Camera | None = Camera.objects.visible_to(user).identified_by(camera_id).first()
    return found


_probe: ConcurrentProbe[str] = ConcurrentProbe(late=lambda camera: UNRESPONSIVE, timeout_s=TIMEOUT_S, name="folders")
_cached: Folders | None = None
_lock = threading.Lock()


def folders_for(camera: Camera, known: Folders | None = None) -> Folders:
    """All folders, including the current folder of `camera`. Raises `FolderUnreadable` if that does not respond.

    For many cameras, call `current_folders` once and pass it as `known`: this then makes no query.
    """
    folders = folders_including(camera, known)
    if camera.pk in folders.unresponsive:
        raise FolderUnreadable(f"The folder {camera.folder_path} does not respond: check its disk or mount.")
    check_not_redirected(camera, folders)
    return folders


def check_not_redirected(camera: Camera, folders: Folders) -> None:
    """Raises `FolderRedirected`."""
    if camera.pk in folders.redirected:
        raise FolderRedirected(
            f"The folder {camera.folder_path} has become a link to another camera's: remove the link."
        )


def real_path(folder_path: str) -> str:
    """The path with symlinks resolved; unchanged if its disk does not respond."""
    unsaved = Camera(pk=0, folder_path=folder_path)
    return _probe.run([unsaved], lambda camera: os.path.realpath(camera.folder_path)).get(unsaved.pk) or folder_path


def location_to_store(folder_path: str) -> str:
    """The resolved path of a newly chosen folder, as stored in `Camera.chosen_place`."""
    return relative_to_base(real_path(folder_path), real_path(str(settings.NVR_CAMERA_ROOT)))


def relative_to_base(path: str, base: str) -> str:
    """`path` relative to `base` if it is below it, so that it stays valid when the base path changes."""
    return os.path.relpath(path, base) if is_inside(path, base) else path


def cameras_containing(folder_path: str) -> frozenset[int]:
    """Primary keys of the cameras whose folder contains `folder_path`, as configured or with symlinks resolved."""
    folders = current_folders(refresh=True)
    containing: set[int] = set()
    for path in {folder_path, real_path(folder_path)}:
        for folder in (Path(path), *Path(path).parents):
            containing |= folders.cameras_by_folder.get(str(folder), frozenset())
            containing |= {pk for pk, configured in folders.configured.items() if configured == str(folder)}
    return frozenset(containing)


def folders_including(camera: Camera, known: Folders | None = None) -> Folders:
    """All folders, including the current folder of `camera`, even if that does not respond."""
    folders = known or current_folders()
    return folders if folders.configured.get(camera.pk) == camera.folder_path else current_folders(refresh=True)


def current_folders(*, refresh: bool = False) -> Folders:
    global _cached
    # Before the folders are read: a change in between makes them outdated.
    version = ListVersion.current()
    with _lock:
        if _cached is not None and not refresh and _cached.is_current(version):
            return _cached
        folders = read_folders(version, _cached)
        if not connection.in_atomic_block:  # after a rollback another change gets the same version
            _cached = folders
        return folders


def read_folders(version: int, previous: Folders | None) -> Folders:
    # Trashed cameras, too: they keep their files, or those would appear in an outer camera meanwhile.
    cameras = list(Camera.everything.only("pk", "slug", "folder_path", "chosen_place", "deleted_at").order_by())
    base = Camera(pk=0, folder_path=str(settings.NVR_CAMERA_ROOT))
    results = _probe.run([base, *cameras], lambda camera: os.path.realpath(camera.folder_path))
    resolved = {camera.pk: results.get(camera.pk) or last_known_path(camera, previous) for camera in cameras}
    resolved_base = results.get(base.pk) or (previous.base if previous else base.folder_path)
    redirected = redirected_among(cameras, resolved, resolved_base)
    cameras_by_folder: dict[str, frozenset[int]] = {}
    for pk, folder in resolved.items():
        if pk not in redirected:
            cameras_by_folder[folder] = cameras_by_folder.get(folder, frozenset()) | {pk}
    return Folders(
        version=version,
        read_at=time.monotonic(),
        base=resolved_base,
        configured={camera.pk: camera.folder_path for camera in cameras},
        resolved=resolved,
        live={camera.slug: camera for camera in cameras if camera.deleted_at is None},
        cameras_by_folder=cameras_by_folder,
        unresponsive=frozenset(pk for pk, folder in results.items() if folder == UNRESPONSIVE),
        redirected=redirected,
    )


def redirected_among(cameras: Iterable[Camera], resolved: Mapping[int, str], base: str) -> frozenset[int]:
    """The cameras whose folder, or a parent of it, has become a link to another camera's since it was chosen.

    If no place is stored for a folder, a link is trusted unless it leads exactly to another camera's folder.
    """
    linked = {camera.pk: camera for camera in cameras if is_linked(camera, resolved[camera.pk], base)}
    unlinked = {folder for pk, folder in resolved.items() if pk not in linked}
    return frozenset(pk for pk, camera in linked.items() if is_redirected(camera, resolved[pk], base, unlinked))


def is_linked(camera: Camera, path: str, base: str) -> bool:
    """Whether its folder, or a parent of it below the base path, is a symlink."""
    written_base = str(settings.NVR_CAMERA_ROOT)
    if not is_inside(camera.folder_path, written_base):
        return path != camera.folder_path
    return path != os.path.normpath(f"{base}/{os.path.relpath(camera.folder_path, written_base)}")


def is_redirected(camera: Camera, path: str, base: str, unlinked: set[str]) -> bool:
    if not camera.chosen_place:
        return path in unlinked
    if camera.chosen_place == relative_to_base(path, base):
        return False
    return any(is_inside(path, other) or is_inside(other, path) for other in unlinked)


def last_known_path(camera: Camera, previous: Folders | None) -> str:
    if previous is not None and previous.configured.get(camera.pk) == camera.folder_path:
        return previous.resolved[camera.pk]
    return camera.folder_path
