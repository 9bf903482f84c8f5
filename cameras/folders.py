"""A camera's folder on disk: whether we may look into it, and which files in it are the camera's own."""

from __future__ import annotations

import os
from pathlib import Path

from django.conf import settings

from cameras.folder_index import MediaFile, index_of
from cameras.folder_ownership import Folders, check_not_redirected, current_folders, folders_for
from cameras.models import Camera
from nvr.errors import Forbidden
from nvr.media.files.mounts import Mount, mount_of
from nvr.media.files.paths import StorageFault, error_for, is_inside

OUTSIDE = "Camera folder is outside the base path"


class FolderOutsideBase(Forbidden):
    """The folder does not lie below NVR_CAMERA_ROOT."""


def resolved(folder: Path) -> Path:
    """With all links resolved, as far as they can be: a loop of links is left as it is, where `Path.resolve` raises."""
    return Path(os.path.realpath(folder))


def folder_of(camera: Camera, folders: Folders | None = None) -> Path:
    """The camera's folder, links resolved.

    Raises `FolderOutsideBase` if that leaves the base path, and `FolderRedirected` if it leads to another camera's.
    """
    check_not_redirected(camera, folders or current_folders())
    folder = resolved(Path(camera.folder_path))
    if not is_inside(folder, resolved(Path(settings.NVR_CAMERA_ROOT))):
        raise FolderOutsideBase(OUTSIDE)
    return folder


def known_folder_of(camera: Camera, folders: Folders) -> str:
    """The same as it was when `folders` were read: at most 2 s ago, and nothing is asked of the disk.

    For whoever checks where a file in it really lies: a folder that has become a link since is noticed there.
    """
    folder = folders.resolved_folder(camera)
    if folder is None:
        raise FolderOutsideBase(OUTSIDE)
    return folder


def check_volume(camera: Camera) -> None:
    """For whoever found nothing in the camera's folder: raises `StorageFault` if its volume is away.

    A mount point without its mount is an empty folder, which says nothing about the files.
    """
    if not camera.mount:
        return
    remembered = Mount.from_dict(camera.mount)
    try:
        now = mount_of(Path(camera.folder_path))
    except OSError as fault:
        raise error_for(fault) from fault
    if remembered.is_unmounted(now):
        raise StorageFault(f"The volume that was mounted at {remembered.point} is away: mount it again.")


def newest_files(
    camera: Camera, *, images: bool = True, videos: bool = True, folders: Folders | None = None
) -> list[MediaFile]:
    """Up to 64 of the camera's own files, newest first; what lies in another camera's folder is none of them.

    With `folders` as they are now it asks the database nothing. Raises `FolderOutsideBase` and what the index raises.
    """
    folders = folders_for(camera, folders)
    folder = folder_of(camera, folders)
    return index_of(str(folder)).newest(images=images, videos=videos, excluded=folders.inside(folder))
