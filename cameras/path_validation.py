"""Checks that the cameras' folders are below the base path, exist and contain pictures or videos.

Each folder is checked in its own thread and with a time limit, so that neither a disk that hangs nor a huge tree
without media delays the report. A check that reaches its limit is reported as an issue.
"""

from __future__ import annotations

import errno
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from os import DirEntry, scandir
from pathlib import Path
from typing import Any

from django.conf import settings

from cameras.folders.access import resolved
from cameras.folders.concurrent_probe import ConcurrentProbe
from cameras.folders.ownership import current_folders
from cameras.models import Camera
from nvr.audit.actor import Actor
from nvr.media.files.content_types import is_image, is_video
from nvr.media.files.paths import is_inside
from nvr.media.files.system_folders import is_hidden_folder

TIMEOUT_S = 3.0  # for all folders together
SEARCH_TIMEOUT_S = 2.0  # for one folder
MAX_ENTRIES = 50_000  # a folder without media must not be walked for minutes
NO_MEDIA = "no image or video files found"


@dataclass(frozen=True)
class ProbeResult:
    """The issues of a folder, and its path with symlinks resolved, if the user may know it."""

    issues: list[str]
    resolved_path: str


def validate_paths(user: Actor) -> dict[str, Any]:
    """The report that the API contract describes, for the cameras that `user` may see."""
    cameras = list(Camera.objects.visible_to(user))
    results = probe_results_of(cameras, user)
    rows = [_row(camera, results[camera.pk]) for camera in cameras]
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


def path_issues(camera: Camera) -> list[str]:
    """The issues of the camera's folder; empty if there are none."""
    return probe_results_of([camera])[camera.pk].issues


def probe_results_of(cameras: Iterable[Camera], user: Actor | None = None) -> dict[int, ProbeResult]:
    """Probe each camera's folder; results by primary key. Takes `TIMEOUT_S` at most, for any number of cameras.

    For a folder outside the base path only superusers get details, so that other users cannot explore the disk.
    """
    cameras = list(cameras)
    including_outside = user is not None and user.is_superuser
    # A folder that is known not to respond would only occupy another thread.
    unresponsive = current_folders().unresponsive
    answering = [camera for camera in cameras if camera.pk not in unresponsive]
    results = _probes[including_outside].run(answering, partial(probe, including_outside=including_outside))
    return {camera.pk: results.get(camera.pk) or timeout_result(camera) for camera in cameras}


def probe(camera: Camera, *, including_outside: bool) -> ProbeResult:
    folder = Path(camera.folder_path)
    if is_below_base(folder):
        return ProbeResult(content_issues(folder), str(resolved(folder)))
    outside = f"folder_path not under base_path ({settings.NVR_CAMERA_ROOT})"
    if not including_outside:
        return ProbeResult([outside], camera.folder_path)
    return ProbeResult([outside, *content_issues(folder)], str(resolved(folder)))


def timeout_result(camera: Camera) -> ProbeResult:
    return ProbeResult(["directory does not answer"], camera.folder_path)


# Concurrent requests share probes. Superusers have separate ones, because their results contain more.
_probes: dict[bool, ConcurrentProbe[ProbeResult]] = {
    including_outside: ConcurrentProbe(late=timeout_result, timeout_s=TIMEOUT_S, name="path-check")
    for including_outside in (False, True)
}


def is_below_base(folder: Path) -> bool:
    """Whether `folder` is below the base path, as written and resolved; if it is not as written, it is not resolved."""
    named = Path(settings.NVR_CAMERA_ROOT)
    base = resolved(named)
    return (is_inside(folder, named) or is_inside(folder, base)) and is_inside(resolved(folder), base)


def content_issues(folder: Path) -> list[str]:
    try:
        if not folder.exists():
            return ["directory does not exist"]
        if not folder.is_dir():
            return ["path is not a directory"]
        return media_issues(folder)
    except OSError as error:
        return ["directory does not exist" if error.errno == errno.ENAMETOOLONG else "directory cannot be read"]


class LimitReached(Exception):
    """The search stopped early; the message contains the limit."""


def media_issues(folder: Path) -> list[str]:
    try:
        return [] if any(map(is_media, entries_below(folder))) else [NO_MEDIA]
    except LimitReached as limit:
        return [f"{NO_MEDIA} {limit}"]


def entries_below(folder: Path) -> Iterator[DirEntry[str]]:
    """All entries in directory order, recursively; hidden folders and symlinks are not entered.

    Raises `OSError` if `folder` itself cannot be read, and `LimitReached`.
    """
    deadline, entry_count, pending = time.monotonic() + SEARCH_TIMEOUT_S, 0, [str(folder)]
    while pending:
        directory = pending.pop()
        try:
            with scandir(directory) as listing:
                for entry in listing:
                    yield entry
                    entry_count += 1
                    check_limits(entry_count, deadline)
                    if not is_hidden_folder(entry.name) and entry.is_dir(follow_symlinks=False):
                        pending.append(entry.path)
        except OSError:
            if directory == str(folder):
                raise
        check_limits(entry_count, deadline)


def check_limits(entry_count: int, deadline: float) -> None:
    if entry_count > MAX_ENTRIES:
        raise LimitReached(f"among the first {MAX_ENTRIES} entries")
    if time.monotonic() > deadline:
        raise LimitReached(f"within {SEARCH_TIMEOUT_S:g} s")


def is_media(entry: DirEntry[str]) -> bool:
    named = not entry.name.startswith(".") and (is_image(entry.name) or is_video(entry.name))
    return named and not entry.is_dir()


def _row(camera: Camera, result: ProbeResult) -> dict[str, Any]:
    return {
        "id": camera.slug,
        "name": camera.name,
        "folder_path": camera.folder_path,
        "status": camera.status,
        "resolved_path": result.resolved_path if result.issues else None,
        "issues": result.issues or None,
    }
