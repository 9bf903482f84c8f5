"""The footage of an event: videos and stills of its camera, ordered by capture time.

Most of it is recorded as uploads. A file that an external detector reported may have no upload.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import BinaryIO

from django.conf import settings
from django.db.models import Q, QuerySet

from cameras.folders.access import check_volume, known_folder_of
from cameras.folders.ownership import Folders, folders_for
from cameras.models import Camera
from media_serving.models import Detection, Event, MediaType, Upload, UploadCopy, UploadState
from media_serving.models.uploads import digest_of, is_unchanged
from media_serving.serving import MAX_COPIES, relative_to_camera
from nvr.errors import Forbidden, Invalid, NotFound
from nvr.media.files.content_types import VIDEO_EXTENSIONS, is_image, is_video
from nvr.media.files.paths import NoSuchFile, check_inside, open_regular, resolve_with_mode, translate_os_errors

MAX_VIDEO_LENGTH = timedelta(hours=12)
MAX_EARLIER_VIDEOS = 20  # that may reach into the event; their length is unknown until they are read


class NoFootage(Invalid):
    title = "The footage of this event no longer exists"

    def __init__(self) -> None:
        super().__init__(f"{self.title}.")


@dataclass(frozen=True)
class Footage:
    """A file with pictures of the event, the first taken at `at`; `upload` is None if none is recorded."""

    camera: Camera
    at: datetime
    file: Path
    upload: Upload | None = None

    @property
    def identity(self) -> object:
        return self.upload.pk if self.upload else self.file


def clip_range(event: Event) -> tuple[datetime, datetime]:
    """Return start and end of the event with `NVR_CLIP_PADDING` on both sides."""
    padding = settings.NVR_CLIP_PADDING
    return event.started_at - padding, event.last_detected_at + padding


def videos_around(event: Event) -> list[Footage]:
    """Return videos that may show part of the event, ordered by start; some may end before it."""
    start, end = clip_range(event)
    uploads = only_videos(done_uploads(event).filter(captured_at__range=(start - MAX_VIDEO_LENGTH, end)))
    # The newest of them: they are the likeliest to reach into the event.
    before = uploads.filter(captured_at__lt=start).order_by("-captured_at")[:MAX_EARLIER_VIDEOS]
    known = [from_ledger(event, upload) for upload in (*before, *uploads.filter(captured_at__gte=start))]
    return unique_by_time([*detection_footage(event, MediaType.VIDEO), *known])


def stills_around(event: Event) -> list[Footage]:
    start, end = clip_range(event)
    uploads = done_uploads(event).filter(captured_at__range=(start, end))
    known = [from_ledger(event, upload) for upload in uploads if is_image(upload.path)]
    return unique_by_time([*detection_footage(event, MediaType.IMAGE), *known])


def check_footage(event: Event) -> None:
    """Raise `NoFootage` if none of the event's files exist. Whether they are readable is not checked.

    Raises `Unavailable` when the camera's storage does not respond.
    """
    folders = folders_for(event.camera)
    if not any(footage_exists(footage, folders) for footage in (*stills_around(event), *videos_around(event))):
        check_volume(event.camera)
        raise NoFootage


def footage_exists(footage: Footage, folders: Folders) -> bool:
    try:
        open_footage(footage, folders).close()
    except (NotFound, Forbidden):
        return False
    return True


def open_footage(footage: Footage, folders: Folders) -> BinaryIO:
    """Open the original content: the kept copy, or the camera's file if it has not been overwritten.

    Raises `NoSuchFile`, `Forbidden` for a file outside the camera's folder, and `StorageFault`.
    """
    upload = footage.upload
    if upload is not None and upload.is_kept:
        return open_regular(upload.kept_path)
    if upload is None:
        return open_camera_file(footage, footage.file, folders)
    try:
        return open_if_unchanged(footage, footage.file, upload, folders)
    except NoSuchFile:
        for copy in upload.copies.order_by("-pk")[:MAX_COPIES]:
            file = Path(os.fsdecode(os.fsencode(footage.camera.folder_path) + b"/" + copy.below))
            with suppress(NoSuchFile):
                return open_if_unchanged(footage, file, copy, folders)
        raise


def open_if_unchanged(footage: Footage, file: Path, recorded: Upload | UploadCopy, folders: Folders) -> BinaryIO:
    opened = open_camera_file(footage, file, folders)
    with translate_os_errors():
        file_stat = os.fstat(opened.fileno())
    if not is_unchanged(recorded, file_stat):
        opened.close()
        raise NoSuchFile
    return opened


def open_camera_file(footage: Footage, file: Path, folders: Folders) -> BinaryIO:
    """Open a file in the camera's folder. Raises `NoSuchFile` if it belongs to a nested camera."""
    folder = known_folder_of(footage.camera, folders)
    with translate_os_errors():
        place, _ = resolve_with_mode(str(file))
    check_inside(place, folder)
    if footage.camera.pk not in folders.owners_of(place):
        raise NoSuchFile
    return open_regular(Path(place), root=Path(folder))


def done_uploads(event: Event) -> QuerySet[Upload]:
    """Return processed uploads: capture time and type of the others are not known yet."""
    return Upload.objects.filter(camera=event.camera_id, state=UploadState.DONE)


def only_videos(uploads: QuerySet[Upload]) -> QuerySet[Upload]:
    return uploads.filter(video_filter())


def video_filter() -> Q:
    """Match uploads whose name has a video extension."""
    # By extension: the ledger does not store the type.
    matches = Q()
    for extension in VIDEO_EXTENSIONS:
        matches |= Q(path__iendswith=extension)
    return matches


def from_ledger(event: Event, upload: Upload) -> Footage:
    upload.camera = event.camera
    return Footage(event.camera, upload.captured_at, upload.file, upload)


def detection_footage(event: Event, media_type: MediaType) -> list[Footage]:
    """Return the files of the event's detections: part of the event whatever their recorded capture time."""
    rows = event.detections.filter(media_type=media_type).select_related("upload").order_by("detected_at", "pk")
    own = [from_ledger(event, row.upload) for row in rows if row.upload is not None]
    return [*own, *reported_footage(event, [row for row in rows if row.upload is None])]


def reported_footage(event: Event, rows: list[Detection]) -> list[Footage]:
    """Return footage for external reports. If a file name was reused, use the content nearest in time."""
    files = {row.pk: path for row in rows if (path := file_of(event, row)) is not None}
    contents = uploads_by_digest(event, files.values())
    found = []
    for row in rows:
        if row.pk in files:
            upload = nearest_upload(contents.get(digest_of(files[row.pk]), []), row.detected_at)
            found.append(from_report(event, row, files[row.pk], upload))
    return found


def file_of(event: Event, row: Detection) -> bytes | None:
    """Return the file's path below the camera's folder; None if the folder has changed since."""
    row.camera = event.camera
    suits = is_video if row.media_type == MediaType.VIDEO else is_image
    try:
        relative = relative_to_camera(row)
    except Forbidden:
        return None
    return os.fsencode(relative) if suits(relative) and ".." not in relative.split("/") else None


def uploads_by_digest(event: Event, files: Iterable[bytes]) -> dict[str, list[Upload]]:
    contents: dict[str, list[Upload]] = {}
    for upload in done_uploads(event).filter(path_digest__in={digest_of(file) for file in files}):
        contents.setdefault(upload.path_digest, []).append(upload)
    return contents


def nearest_upload(uploads: list[Upload], timestamp: datetime) -> Upload | None:
    return min(uploads, key=lambda upload: abs(upload.captured_at - timestamp), default=None)


def from_report(event: Event, row: Detection, name: bytes, upload: Upload | None) -> Footage:
    """The start is the detection time minus the reported offset, else the upload's capture time."""
    at = row.detected_at
    if row.offset_ms is not None:
        at -= timedelta(milliseconds=row.offset_ms)
    elif upload is not None:
        at = upload.captured_at
    file = Path(os.fsdecode(os.fsencode(event.camera.folder_path) + b"/" + name))
    return Footage(event.camera, at, file, upload)


def unique_by_time(footage: list[Footage]) -> list[Footage]:
    """Remove duplicates, keeping the first, and order by time."""
    unique: dict[object, Footage] = {}
    for item in footage:
        unique.setdefault(item.identity, item)
    return sorted(unique.values(), key=lambda footage: (footage.at, str(footage.file)))
