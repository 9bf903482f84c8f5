"""A camera's folder on disk: whether it may be read, and which of its files belong to the camera."""

from __future__ import annotations

import os
from pathlib import Path

from django.conf import settings

from cameras.folders.index import MediaFile, index_of
from cameras.folders.ownership import Folders, check_not_redirected, current_folders, folders_for
from cameras.models import Camera
from nvr.errors import Forbidden
from nvr.media.files.mounts import mount_of
from nvr.media.files.paths import StorageFault, error_for, is_inside

OUTSIDE = "Camera folder is outside the base path"


class FolderOutsideBase(Forbidden):
    """The folder is not below NVR_CAMERA_ROOT."""


def resolved(folder: Path) -> Path:
    """`folder` with symlinks resolved as far as possible; unlike `Path.resolve`, keeps a symlink loop as it is."""
    return Path(os.path.realpath(folder))


def folder_of(camera: Camera, folders: Folders | None = None) -> Path:
    """The camera's folder with symlinks resolved.

    Raises `FolderOutsideBase` if it is outside the base path, `FolderRedirected` if it leads to another camera's.
    """
    check_not_redirected(camera, folders or current_folders())
    folder = resolved(Path(camera.folder_path))
    # Checked for each access: the base path may have changed since the camera was added.
    if not is_inside(folder, resolved(Path(settings.NVR_CAMERA_ROOT))):
        raise FolderOutsideBase(OUTSIDE)
    return folder


def known_folder_of(camera: Camera, folders: Folders) -> str:
    """The camera's resolved folder from `folders`, which is at most 2 s old; does not access the disk.

    For callers that check the real path of each file, and so detect a folder that has become a symlink since.
    """
    folder = folders.resolved_folder(camera)
    if folder is None:
        raise FolderOutsideBase(OUTSIDE)
    return folder


def check_volume(camera: Camera) -> None:
    """Raise `StorageFault` if the camera's volume is not mounted. Call this when its folder is empty.

    A mount point whose volume is not mounted is an empty folder, so an empty folder does not mean that files are gone.
    """
    remembered = camera.remembered_mount
    if remembered is None:
        return
    try:
        now = mount_of(Path(camera.folder_path))
    except OSError as fault:
        raise error_for(fault) from fault
    if remembered.is_unmounted(now):
        # Without the volume's source, which users of the API need not know.
        raise StorageFault(f"The volume at {remembered.point} is no longer mounted: mount it again.")


def newest_files(
    camera: Camera, *, images: bool = True, videos: bool = True, folders: Folders | None = None
) -> list[MediaFile]:
    """Up to 64 of the camera's own files, newest first; files in other cameras' folders are excluded.

    With current `folders` it makes no database query. Raises `FolderOutsideBase`, and what `FolderIndex.newest` raises.
    """
    folders = folders_for(camera, folders)
    folder = folder_of(camera, folders)
    return index_of(str(folder)).newest(images=images, videos=videos, excluded=folders.inside(folder))
