"""What a tile of the wall shows: the newest picture, its age, and how the camera is, in words."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from datetime import datetime
from functools import partial
from typing import Any

from django.conf import settings
from django.urls import reverse
from django.utils import timezone

from cameras.folder_index import MediaFile
from cameras.folders import newest_files
from cameras.health import in_words
from cameras.lookout import Lookout
from cameras.models import Camera, CameraStatus
from cameras.ownership import Folders, current_folders
from cameras.snapshots import VIDEOS_TRIED, is_shown, may_give_a_frame
from nvr.errors import NvrError
from nvr.pages.templatetags.nvr_pages import iso

WIDTHS = (320, 640, 1280)
PATIENCE_S = 1.0
STATUS_WORDS = {
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
    is_stale: bool
    stale_reason: str
    stale_detail: str
    flags: list[str] = field(default_factory=list)
    clock: str = ""  # what is wrong with the camera's

    def as_json(self) -> dict[str, Any]:
        return asdict(self) | {"picture_at": iso(self.picture_at)}


@dataclass(frozen=True)
class Sight:
    """What a look into a camera's folder gave; without `picture` there is none that can be shown."""

    picture: MediaFile | None


def newest_picture(camera: Camera, folders: Folders) -> Sight | None:
    """The newest picture, else video, that a snapshot shows: its age is told. None if the folder fails."""
    try:
        return Sight(next(shown_files(camera, folders), None))
    except (NvrError, OSError):
        return None


def shown_files(camera: Camera, folders: Folders) -> Iterator[MediaFile]:
    yield from filter(is_shown, newest_files(camera, videos=False, folders=folders))
    yield from filter(may_give_a_frame, newest_files(camera, images=False, folders=folders)[:VIDEOS_TRIED])


_lookout: Lookout[Sight | None] = Lookout(late=lambda camera: None, patience_s=PATIENCE_S, name="wall")


def tiles_for(cameras: Iterable[Camera]) -> list[Tile]:
    """A tile for each camera; a folder that hangs costs a second once, not the wall."""
    cameras = list(cameras)
    look = partial(newest_picture, folders=current_folders())
    sights = _lookout.see((camera for camera in cameras if camera.status != CameraStatus.ERROR), look)
    now = timezone.now()
    return [tile_of(camera, sights.get(camera.pk), now) for camera in cameras]


def tile_of(camera: Camera, sight: Sight | None, now: datetime) -> Tile:
    """Of a camera into whose folder nobody could look now, what was known last."""
    picture = sight.picture if sight else None
    taken_at = picture.at if picture else None
    if sight is None:
        taken_at = camera.last_seen_at
    address = snapshot_address(camera, picture.identity if picture else "") if taken_at else ""
    stale = is_stale(camera, taken_at, now)
    return Tile(
        slug=camera.slug,
        name=camera.name,
        url=camera.get_absolute_url(),
        status=camera.status,
        status_text=STATUS_WORDS[CameraStatus(camera.status)],
        picture_at=taken_at,
        snapshot_url=f"{address}&width=640" if address else "",
        srcset=", ".join(f"{address}&width={width} {width}w" for width in WIDTHS) if address else "",
        is_stale=stale,
        stale_reason=f"No picture for {in_words(now - taken_at)}" if stale and taken_at else "",
        stale_detail=camera.status_reason if stale else "",
        flags=["Clock ahead"] if picture and picture.ahead else [],
        clock=clock_in_words(picture) if picture else "",
    )


def clock_in_words(picture: MediaFile) -> str:
    if not picture.ahead:
        return ""
    return f"{in_words(picture.ahead)} ahead by its newest file: set its clock, or its time server.".capitalize()


def is_stale(camera: Camera, taken_at: datetime | None, now: datetime) -> bool:
    """Whether the picture must not be taken for the present: too old, or its camera is known to be away."""
    if taken_at is None:
        return camera.status in {CameraStatus.OFFLINE, CameraStatus.ERROR}
    away = camera.status in {CameraStatus.OFFLINE, CameraStatus.ERROR}
    return away or now - taken_at > settings.NVR_STALE_AFTER


def snapshot_address(camera: Camera, version: str) -> str:
    """The snapshot's address; `v` changes with the picture, so that a browser fetches each once."""
    return f"{reverse('api_camera_snapshot', args=[camera.slug])}?v={version}"
