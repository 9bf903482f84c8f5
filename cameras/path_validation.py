"""Whether the cameras' folders are what they should be: below the base path, there, and with pictures in them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from django.conf import settings
from django.contrib.auth.models import AnonymousUser, User

from cameras.folders import resolved
from cameras.models import Camera
from cameras.ownership import Folders, current_folders, folders_with
from nvr.media.paths import is_inside
from nvr.media.types import is_image, is_video


def validate_paths(user: User | AnonymousUser) -> dict[str, Any]:
    """The report of the contract, about the cameras that `user` may see."""
    folders = current_folders()
    rows = [_row(camera, user, folders) for camera in Camera.objects.visible_to(user)]
    valid = [row for row in rows if row["issues"] is None]
    invalid = [row for row in rows if row["issues"] is not None]
    return {
        "base_path": str(settings.NVR_CAMERA_ROOT),
        "total_cameras": len(rows),
        "valid_count": len(valid),
        "invalid_count": len(invalid),
        "valid_cameras": valid,
        "invalid_cameras": invalid,
    }


def path_issues(camera: Camera, user: User | AnonymousUser | None = None, folders: Folders | None = None) -> list[str]:
    """What is wrong with the camera's folder; empty if nothing.

    Outside the base path only a superuser is told more than that: it is not for others to feel about the disk.
    """
    folder = Path(camera.folder_path)
    if camera.pk in folders_with(camera, folders).silent:  # a disk that hangs would hold up the whole report
        return ["directory does not exist"]
    if is_below_base(folder):
        return content_issues(folder)
    outside = [f"folder_path not under base_path ({settings.NVR_CAMERA_ROOT})"]
    return outside + (content_issues(folder) if user is not None and user.is_superuser else [])


def is_below_base(folder: Path) -> bool:
    """By name, and with all links resolved; what is outside by name already is not looked at."""
    named = Path(settings.NVR_CAMERA_ROOT)
    base = resolved(named)
    return (is_inside(folder, named) or is_inside(folder, base)) and is_inside(resolved(folder), base)


def content_issues(folder: Path) -> list[str]:
    try:
        if not folder.exists():
            return ["directory does not exist"]
        if not folder.is_dir():
            return ["path is not a directory"]
        return [] if holds_media(folder) else ["no image or video files found"]
    except OSError:
        return ["directory does not exist"]


def holds_media(folder: Path) -> bool:
    """Whether a media file lies anywhere below, outside hidden directories; stops at the first."""
    for _path, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        if any((is_image(name) or is_video(name)) and not name.startswith(".") for name in files):
            return True
    return False


def _row(camera: Camera, user: User | AnonymousUser, folders: Folders) -> dict[str, Any]:
    issues = path_issues(camera, user, folders)
    folder = Path(camera.folder_path)
    may_tell = camera.pk not in folders_with(camera, folders).silent and (user.is_superuser or is_below_base(folder))
    told = resolved(folder) if may_tell else folder
    return {
        "id": camera.slug,
        "name": camera.name,
        "folder_path": camera.folder_path,
        "status": camera.status,
        "resolved_path": str(told) if issues else None,
        "issues": issues or None,
    }
