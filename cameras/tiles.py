"""The tiles of the live view: a camera's newest picture, its age and the camera's status."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from datetime import datetime
from functools import partial
from typing import Any

from django.urls import reverse
from django.utils import timezone

from cameras.folders.concurrent_probe import ConcurrentProbe
from cameras.folders.index import MediaFile
from cameras.folders.ownership import Folders, current_folders
from cameras.health import duration_text
from cameras.last_picture import LastPicture, is_old, last_picture_of
from cameras.models import Camera, CameraStatus
from nvr.errors import NvrError
from nvr.pages.templatetags.nvr_pages import iso

WIDTHS = (320, 640, 1280)
TIMEOUT_S = 1.0
UNAVAILABLE = {CameraStatus.OFFLINE, CameraStatus.ERROR}
STATUS_LABELS = {
    CameraStatus.ONLINE: "Online",
    CameraStatus.OFFLINE: "Offline",
    CameraStatus.ERROR: "Error",
    CameraStatus.UNKNOWN: "Unknown",
}


@dataclass(frozen=True)
class Tile:
    slug: str
    name: str
    url: str
    status: str
    status_text: str
    picture_at: datetime | None
    snapshot_url: str
    srcset: str
    is_old: bool  # older than the camera's usual pause
    is_stale: bool  # the camera is offline or has an error, so the picture is not current
    stale_reason: str
    stale_detail: str
    flags: list[str] = field(default_factory=list)
    clock: str = ""  # a message if the camera's clock is wrong

    def as_json(self) -> dict[str, Any]:
        return asdict(self) | {"picture_at": iso(self.picture_at)}


def probe(camera: Camera, folders: Folders) -> LastPicture | None:
    """None if the folder cannot be read."""
    try:
        return last_picture_of(camera, folders)
    except (NvrError, OSError):
        return None


_probe: ConcurrentProbe[LastPicture | None] = ConcurrentProbe(
    late=lambda camera: None, timeout_s=TIMEOUT_S, name="live-view"
)


def tiles_for(cameras: Iterable[Camera]) -> list[Tile]:
    """A tile for each camera; a folder that hangs delays the live view by a second, once."""
    cameras = list(cameras)
    probe_camera = partial(probe, folders=current_folders())
    # A camera in error is not probed: its folder is unreadable, and the health task checks it anyway.
    results = _probe.run((camera for camera in cameras if camera.status != CameraStatus.ERROR), probe_camera)
    now = timezone.now()
    return [tile_of(camera, results.get(camera.pk), now) for camera in cameras]


def tile_of(camera: Camera, picture: LastPicture | None, now: datetime) -> Tile:
    """The tile of a camera; if its folder could not be read (`picture` is None), from the last known values."""
    # What the health task stored last: a tile with an age is better than an empty one.
    taken_at = picture.taken_at if picture else camera.last_picture_at
    usual_pause = picture.usual_pause if picture else camera.usual_interval
    file = picture.file if picture else None
    address = snapshot_url_of(camera, str(file.identity) if file else "") if taken_at else ""
    is_stale = camera.status in UNAVAILABLE
    return Tile(
        slug=camera.slug,
        name=camera.name,
        url=camera.get_absolute_url(),
        status=camera.status,
        status_text=STATUS_LABELS[CameraStatus(camera.status)],
        picture_at=taken_at,
        snapshot_url=f"{address}&width=640" if address else "",
        srcset=", ".join(f"{address}&width={width} {width}w" for width in WIDTHS) if address else "",
        is_old=is_old(taken_at, usual_pause, now),
        is_stale=is_stale,
        stale_reason=f"No picture for {duration_text(now - taken_at)}" if is_stale and taken_at else "",
        stale_detail=camera.status_reason if is_stale else "",
        flags=["Clock ahead"] if file and file.ahead else [],
        clock=clock_message(file) if file else "",
    )


def clock_message(picture: MediaFile) -> str:
    if not picture.ahead:
        return ""
    return f"{duration_text(picture.ahead)} ahead by its newest file: set its clock, or its time server.".capitalize()


def snapshot_url_of(camera: Camera, version: str) -> str:
    """URL of the snapshot; `v` changes with the picture, so that browsers can cache each one."""
    return f"{reverse('api_camera_snapshot', args=[camera.slug])}?v={version}"
