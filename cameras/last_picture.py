"""A camera's last picture: which file it is, when it was taken, and whether it is older than usual.

The live view, a camera's page, the admin and the API all use this definition: the newest file that a snapshot shows.
Pages that read the folder take it from there; the admin and the API read what the health task stored in the row.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.utils import timezone

from cameras.folders.access import newest_files
from cameras.folders.index import NEWEST, MediaFile
from cameras.folders.ownership import Folders
from cameras.folders.rhythm import Rhythm, age_limit
from cameras.models import Camera
from cameras.snapshots import MAX_VIDEOS_TRIED, is_displayable, may_contain_frame


@dataclass(frozen=True)
class LastPicture:
    """`file` is None if no file in the folder can be shown; `rhythm` has the camera's known pauses."""

    file: MediaFile | None
    rhythm: Rhythm

    @property
    def taken_at(self) -> datetime | None:
        return self.file.at if self.file else None

    @property
    def usual_pause(self) -> timedelta | None:
        return self.rhythm.usual_pause(self.taken_at)


def last_picture_of(camera: Camera, folders: Folders | None = None) -> LastPicture:
    """Reads the folder. Raises what `newest_files` raises."""
    images = newest_files(camera, videos=False, folders=folders)
    videos = newest_files(camera, images=False, folders=folders)
    file = next(displayable_files(images, videos), None)
    shown = [each for each in (images or videos) if file and each <= file]  # an incomplete file does not end a pause
    return LastPicture(file, rhythm_of(camera, [each.at for each in shown]))


def displayable_files(images: list[MediaFile], videos: list[MediaFile]) -> Iterator[MediaFile]:
    """Files in the order that a snapshot prefers: images, then the newest videos."""
    yield from filter(is_displayable, images)
    yield from filter(may_contain_frame, videos[:MAX_VIDEOS_TRIED])


def rhythm_of(camera: Camera, times: list[datetime]) -> Rhythm:
    """The camera's known pauses, and those between `times`, the timestamps of its newest files.

    The previous last picture counts too, even if its file is gone (some cameras overwrite one file name), unless
    there may have been others after it that the list of the newest files no longer contains.
    """
    known = Rhythm.from_json(camera.rhythm, timezone.now())
    previous = camera.last_picture_at
    if previous and sum(at > previous for at in times) < NEWEST:
        times = [*times, previous]
    return known.with_times(times)


def is_old(taken_at: datetime | None, usual_pause: timedelta | None, now: datetime) -> bool:
    return taken_at is not None and now - taken_at > age_limit(usual_pause)
