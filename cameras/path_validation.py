"""Whether the cameras' folders are what they should be: below the base path, there, and with pictures in them.

Each folder is looked at in a thread of its own and with a limit, so that neither a disk that hangs nor a huge tree
without pictures holds up the report. What could not be found out in that limit is said, and counts as an issue.
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
from django.contrib.auth.models import AnonymousUser, User

from cameras.concurrent_probe import ConcurrentProbe
from cameras.folder_ownership import current_folders
from cameras.folders import resolved
from cameras.models import Camera
from nvr.media.files.content_types import is_image, is_video
from nvr.media.files.paths import is_inside
from nvr.media.files.system_folders import is_hidden_folder

TIMEOUT_S = 3.0  # for all folders together
SEARCH_TIMEOUT_S = 2.0  # for one folder
MAX_ENTRIES = 50_000
NO_MEDIA = "no image or video files found"


@dataclass(frozen=True)
class ProbeResult:
    """What is wrong with a folder, and where it really lies, as far as that is told."""

    issues: list[str]
    resolved_path: str


def validate_paths(user: User | AnonymousUser) -> dict[str, Any]:
    """The report of the contract, about the cameras that `user` may see."""
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
    """What is wrong with the camera's folder; empty if nothing."""
    return probe_results_of([camera])[camera.pk].issues


def probe_results_of(cameras: Iterable[Camera], user: User | AnonymousUser | None = None) -> dict[int, ProbeResult]:
    """A look at each camera's folder, by primary key; takes `TIMEOUT_S` at most, however many there are.

    Outside the base path only a superuser is told more than that: it is not for others to feel about the disk.
    """
    cameras = list(cameras)
    including_outside = user is not None and user.is_superuser
    unresponsive = current_folders().unresponsive
    answering = [camera for camera in cameras if camera.pk not in unresponsive]
    seen = _probes[including_outside].run(answering, partial(probe, including_outside=including_outside))
    return {camera.pk: seen.get(camera.pk) or timeout_result(camera) for camera in cameras}


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


# Looks are shared by those who ask at the same time: who may be told less has others.
_probes: dict[bool, ConcurrentProbe[ProbeResult]] = {
    including_outside: ConcurrentProbe(late=timeout_result, timeout_s=TIMEOUT_S, name="path-check")
    for including_outside in (False, True)
}


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
        return media_issues(folder)
    except OSError as error:
        return ["directory does not exist" if error.errno == errno.ENAMETOOLONG else "directory cannot be read"]


class LimitReached(Exception):
    """The search has ended before its end; says where, in words."""


def media_issues(folder: Path) -> list[str]:
    try:
        return [] if any(map(is_media, entries_below(folder))) else [NO_MEDIA]
    except LimitReached as limit:
        return [f"{NO_MEDIA} {limit}"]


def entries_below(folder: Path) -> Iterator[DirEntry[str]]:
    """All entries, one after the other as the disk gives them; hidden folders and links are not entered.

    Raises `OSError` if `folder` itself cannot be read, and `LimitReached`.
    """
    deadline, seen, waiting = time.monotonic() + SEARCH_TIMEOUT_S, 0, [str(folder)]
    while waiting:
        resolved_path = waiting.pop()
        try:
            with scandir(resolved_path) as listing:
                for entry in listing:
                    yield entry
                    seen += 1
                    check_limits(seen, deadline)
                    if not is_hidden_folder(entry.name) and entry.is_dir(follow_symlinks=False):
                        waiting.append(entry.path)
        except OSError:
            if resolved_path == str(folder):
                raise
        check_limits(seen, deadline)


def check_limits(seen: int, deadline: float) -> None:
    if seen > MAX_ENTRIES:
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
