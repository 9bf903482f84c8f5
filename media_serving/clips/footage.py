"""What footage there is of an event: videos and stills of its camera, by the time of their pictures.

Most of it stands in the ledger of uploads. What a program outside reported on may be a file that the ledger does
not know.
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

from cameras.folder_ownership import Folders, folders_for
from cameras.folders import check_volume, known_folder_of
from cameras.models import Camera
from media_serving.models import Detection, Event, MediaType, Upload, UploadCopy, UploadState
from media_serving.models.uploads import digest_of, stored_mtime_ns
from media_serving.serving import MAX_COPIES, relative_to_camera
from nvr.errors import Forbidden, Invalid, NotFound
from nvr.media.files.content_types import VIDEO_EXTENSIONS, is_image, is_video
from nvr.media.files.paths import NoSuchFile, check_inside, open_regular, resolve_with_mode, translate_os_errors

MAX_VIDEO_LENGTH = timedelta(hours=12)
MAX_EARLIER_VIDEOS = 20  # that may reach into the event; how long each is, only reading it tells


class NoFootage(Invalid):
    title = "The footage of this event no longer exists"

    def __init__(self) -> None:
        super().__init__(f"{self.title}.")


@dataclass(frozen=True)
class Footage:
    """A file with pictures of the event, the first of them taken at `at`; `upload` if the ledger knows it."""

    camera: Camera
    at: datetime
    file: Path
    upload: Upload | None = None

    @property
    def identity(self) -> object:
        return self.upload.pk if self.upload else self.file


def clip_range(event: Event) -> tuple[datetime, datetime]:
    """What its clip shows."""
    padding = settings.NVR_CLIP_PADDING
    return event.started_at - padding, event.last_detected_at + padding


def videos_around(event: Event) -> list[Footage]:
    """Videos that may show some of the event, by the time at which they begin; some end before it."""
    start, end = clip_range(event)
    uploads = only_videos(done_uploads(event).filter(captured_at__range=(start - MAX_VIDEO_LENGTH, end)))
    before = uploads.filter(captured_at__lt=start).order_by("-captured_at")[:MAX_EARLIER_VIDEOS]
    known = [from_ledger(event, upload) for upload in (*before, *uploads.filter(captured_at__gte=start))]
    return unique_by_time([*detection_footage(event, MediaType.VIDEO), *known])


def stills_around(event: Event) -> list[Footage]:
    start, end = clip_range(event)
    uploads = done_uploads(event).filter(captured_at__range=(start, end))
    known = [from_ledger(event, upload) for upload in uploads if is_image(upload.path)]
    return unique_by_time([*detection_footage(event, MediaType.IMAGE), *known])


def check_footage(event: Event) -> None:
    """Whether a clip can be tried; whether what lies there can be read is seen then.

    Raises `NoFootage`, and `Unavailable` when the camera's storage does not answer.
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
    """The very bytes that were meant: our copy of them, or the camera's file if it has not been written over.

    Raises `NoSuchFile`; `Forbidden` for what lies outside of where the camera's files may; `StorageFault`.
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
    if not is_unchanged(opened, recorded):
        opened.close()
        raise NoSuchFile
    return opened


def open_camera_file(footage: Footage, file: Path, folders: Folders) -> BinaryIO:
    """A file in the camera's folder that belongs to no camera nested in it."""
    folder = known_folder_of(footage.camera, folders)
    with translate_os_errors():
        place, _ = resolve_with_mode(str(file))
    check_inside(place, folder)
    if footage.camera.pk not in folders.owners_of(place):
        raise NoSuchFile
    return open_regular(Path(place), root=Path(folder))


def is_unchanged(file: BinaryIO, upload: Upload | UploadCopy) -> bool:
    with translate_os_errors():
        stat = os.fstat(file.fileno())
    return (stat.st_size, stored_mtime_ns(stat.st_mtime_ns)) == (upload.size_bytes, upload.mtime_ns)


def done_uploads(event: Event) -> QuerySet[Upload]:
    """Of others it is not known yet when they were taken, or that they are pictures."""
    return Upload.objects.filter(camera=event.camera_id, state=UploadState.DONE)


def only_videos(uploads: QuerySet[Upload]) -> QuerySet[Upload]:
    return uploads.filter(video_filter())


def video_filter() -> Q:
    """Of an upload, by its name."""
    matches = Q()
    for extension in VIDEO_EXTENSIONS:
        matches |= Q(path__iendswith=extension)
    return matches


def from_ledger(event: Event, upload: Upload) -> Footage:
    upload.camera = event.camera
    return Footage(event.camera, upload.captured_at, upload.file, upload)


def detection_footage(event: Event, media_type: MediaType) -> list[Footage]:
    """What the event's detections were made from: certainly of the event, whatever the ledger says of the time."""
    rows = event.detections.filter(media_type=media_type).select_related("upload").order_by("detected_at", "pk")
    own = [from_ledger(event, row.upload) for row in rows if row.upload is not None]
    return [*own, *reported_footage(event, [row for row in rows if row.upload is None])]


def reported_footage(event: Event, rows: list[Detection]) -> list[Footage]:
    """Of files that were reported from outside; of a name that is used again, the content of that time."""
    files = {row.pk: path for row in rows if (path := file_of(event, row)) is not None}
    contents = uploads_by_digest(event, files.values())
    found = []
    for row in rows:
        if row.pk in files:
            upload = nearest_upload(contents.get(digest_of(files[row.pk]), []), row.detected_at)
            found.append(from_report(event, row, files[row.pk], upload))
    return found


def file_of(event: Event, row: Detection) -> bytes | None:
    """Its name below the camera's folder; None if the folder is another by now."""
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
    """A report says at which moment of the video it was made; without that, the ledger may know when it began."""
    at = row.detected_at
    if row.offset_ms is not None:
        at -= timedelta(milliseconds=row.offset_ms)
    elif upload is not None:
        at = upload.captured_at
    file = Path(os.fsdecode(os.fsencode(event.camera.folder_path) + b"/" + name))
    return Footage(event.camera, at, file, upload)


def unique_by_time(footage: list[Footage]) -> list[Footage]:
    """Each once, where it was named first, by time."""
    unique: dict[object, Footage] = {}
    for item in footage:
        unique.setdefault(item.identity, item)
    return sorted(unique.values(), key=lambda footage: (footage.at, str(footage.file)))
