"""Recognize known bytes of a camera at another path: not a new upload, but a moved or copied file.

A script may sort files into folders, a folder may be renamed, or a camera may send its recordings again: detections are
recorded once, and their pictures are found at the current path. Only a different time in the picture or in its name
makes it a different upload: two black frames may be identical in every byte.
"""

from __future__ import annotations

import logging
import os
from datetime import datetime, timedelta
from math import ceil
from typing import Any, Final

from django.db import IntegrityError, transaction
from django.db.models import QuerySet

from cameras.folders.ownership import current_folders
from cameras.models import Camera
from media_serving.clips.requests import schedule_clip
from media_serving.ingest.capture_time import CaptureTime
from media_serving.models import CaptureClue, Detection, Event, Upload, UploadCopy, UploadState
from media_serving.models.clips import LATE_DETECTION_DELAY
from media_serving.models.uploads import is_unchanged, kept_path
from media_serving.tombstones import schedule_deletion
from nvr.media.files.paths import NoSuchFile, StorageFault, error_for

logger = logging.getLogger(__name__)

CANDIDATES: Final = 20
FOLLOW_BATCH_SIZE: Final = 2000  # copies checked per run
FOLLOW_PERIOD: Final = timedelta(days=2)  # affects only the path that is shown: pictures are always found
SAME_TIME: Final = timedelta(minutes=1)  # between the time in a name and one from another clue
MAX_VIDEO_LENGTH: Final = timedelta(hours=12)


def find_same_content(upload: Upload, digest: str, captured: CaptureTime) -> Upload | None:
    """The earliest processed upload with the same bytes, if any."""
    rows = Upload.objects.filter(camera=upload.camera_id, content_digest=digest).exclude(content_digest="")
    rows = rows.filter(state=UploadState.DONE).exclude(pk=upload.pk).order_by("pk")
    # Among very many identical black frames, the right one must be among the candidates.
    named, of_its_time = rows.filter(path_digest=upload.path_digest)[:1], rows.filter(captured_at=captured.at)
    several = (named, of_its_time[:CANDIDATES], rows[:CANDIDATES])
    return next((row for some in several for row in some if is_same(upload, captured, row)), None)


def is_same(upload: Upload, captured: CaptureTime, other: Upload) -> bool:
    """Whether two files with the same bytes are the same upload: their metadata is equal, but names may differ."""
    if name_of(upload) == name_of(other) or captured.clue not in {CaptureClue.NAME, CaptureClue.FOLDER}:
        return True
    if other.capture_clue == captured.clue:
        return other.captured_at == captured.at
    return abs(other.captured_at - captured.at) <= SAME_TIME


def name_of(upload: Upload) -> bytes:
    return upload.below.rpartition(b"/")[2]


def exists_at(camera: Camera, place: Upload | UploadCopy) -> bool:
    """Whether the file still exists unchanged at its path in the ledger. Raises `StorageFault`."""
    try:
        file_stat = os.lstat(os.fsencode(camera.folder_path) + b"/" + place.below)
    except OSError as fault:
        error = error_for(fault)
        if isinstance(error, NoSuchFile):
            return False
        raise error from fault
    return is_unchanged(place, file_stat)


def merge(upload: Upload, into: Upload, *, has_moved: bool) -> None:
    """Delete `upload` and record its path with `into`, as another copy or, if it `has_moved`, as its new path.

    Call it in a transaction.
    """
    place = place_of(upload)
    Upload.objects.filter(pk=upload.pk).delete()
    if has_moved or upload.path_digest == into.path_digest:
        move(into, place)
        return
    UploadCopy.objects.get_or_create(
        camera_id=upload.camera_id,
        path_digest=place["path_digest"],
        size_bytes=place["size_bytes"],
        mtime_ns=place["mtime_ns"],
        defaults={"upload": into, "path": place["path"], "raw_path": place["raw_path"]},
    )


def place_of(row: Upload | UploadCopy) -> dict[str, Any]:
    return {name: getattr(row, name) for name in ("path", "raw_path", "path_digest", "size_bytes", "mtime_ns")}


def move(upload: Upload, place: dict[str, Any]) -> None:
    """Set the path of the upload and of its detections to `place`. Call it in a transaction."""
    before = shown_path(upload.camera, upload.path)
    is_elsewhere = place["path_digest"] != upload.path_digest
    UploadCopy.objects.filter(
        camera=upload.camera_id,
        path_digest=place["path_digest"],
        size_bytes=place["size_bytes"],
        mtime_ns=place["mtime_ns"],
    ).delete()
    Upload.objects.filter(pk=upload.pk).update(**place, missing_since=None)
    discard_misnamed_copy(upload, place["path"])
    if is_elsewhere:
        now = shown_path(upload.camera, place["path"])
        upload.detections.update(file_path=now)
        external_detections(upload, before).update(file_path=now)
        regenerate_clips(upload)


def discard_misnamed_copy(upload: Upload, path: str) -> None:
    """Delete the kept copy if the extension changed: a copy has the extension of its upload's file."""
    before = upload.kept_path
    if upload.is_kept and before != kept_path(upload.camera_id, upload.pk, path):
        Upload.objects.filter(pk=upload.pk).update(is_kept=False)
        schedule_deletion([before])


def follow_copies(now: datetime) -> int:
    """Move uploads whose file is gone to another known location of the same bytes: a script copies, then deletes.

    Returns how many moved. Only recently found copies are checked, the next `FOLLOW_BATCH_SIZE` of them each minute:
    copies whose original stays must not block the others.
    """
    moved = 0
    unresponsive = current_folders().unresponsive
    rows = UploadCopy.objects.filter(found_at__gte=now - FOLLOW_PERIOD).exclude(camera__in=unresponsive)
    parts = max(1, ceil(rows.count() / FOLLOW_BATCH_SIZE))
    first = FOLLOW_BATCH_SIZE * (int(now.timestamp() // 60) % parts)
    rows = rows.order_by("-found_at", "-pk").select_related("upload__camera")
    for copy in rows[first : first + FOLLOW_BATCH_SIZE].iterator():
        try:
            moved += follow(copy)
        except StorageFault:
            pass  # its volume is unavailable
        except IntegrityError:  # a new upload was entered for that place: a worker merges it
            logger.warning("moved file not followed upload=%s copy=%s", copy.upload_id, copy.pk)
    return moved


def follow(copy: UploadCopy) -> bool:
    upload = copy.upload
    if exists_at(upload.camera, upload) or not exists_at(upload.camera, copy):
        return False
    with transaction.atomic():
        move(upload, place_of(copy))
    return True


def shown_path(camera: Camera, path: str) -> str:
    return f"{camera.folder_path}/{path}"[:4096]


def external_detections(upload: Upload, path: str) -> QuerySet[Detection]:
    """Detections that an external program reported for the file, by its path; the time narrows the search."""
    taken_at = upload.captured_at
    around = (taken_at - timedelta(hours=1), taken_at + MAX_VIDEO_LENGTH)
    reports = Detection.objects.filter(camera=upload.camera_id, detected_at__range=around, upload=None)
    return reports.filter(file_path=path).order_by()


def regenerate_clips(upload: Upload) -> None:
    """Request clips of events that had no footage while the file was being moved."""
    events = Event.objects.filter(detections__upload=upload, ended_at__isnull=False, clip_size_bytes=None)
    for event in events.distinct():
        schedule_clip(event, after=LATE_DETECTION_DELAY)
