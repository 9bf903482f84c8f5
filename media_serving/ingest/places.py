"""The same bytes of one camera at another place, or once more: no other upload, but news of where they lie.

A script sorts files into folders at night, a folder is renamed, a camera sends its recordings again: what was detected
in them is on record once, and its picture is found where the bytes are now. Only another time in the picture or in its
name makes another upload: two black frames need not differ in a single byte.
"""

from __future__ import annotations

import logging
import os
from datetime import datetime, timedelta
from math import ceil
from typing import Any, Final

from django.db import IntegrityError, transaction
from django.db.models import QuerySet

from cameras.folder_ownership import current_folders
from cameras.models import Camera
from media_serving.clips.requests import LATE_DETECTION_DELAY, schedule_clip
from media_serving.ingest.capture_time import CaptureTime
from media_serving.models import CaptureClue, Detection, Event, Upload, UploadCopy, UploadState
from media_serving.models.uploads import kept_path, stored_mtime_ns
from media_serving.tombstones import schedule_deletion
from nvr.media.files.paths import NoSuchFile, StorageFault, error_for

logger = logging.getLogger(__name__)

CANDIDATES: Final = 20
FOLLOWED: Final = 2000  # places checked in one go
FOLLOWED_FOR: Final = timedelta(days=2)  # only what is shown as its path depends on it: pictures are found for ever
SAME_TIME: Final = timedelta(minutes=1)  # between a name's time and one that was known otherwise
MAX_VIDEO_LENGTH: Final = timedelta(hours=12)


def same_content(upload: Upload, digest: str, taken: CaptureTime) -> Upload | None:
    """The upload that these bytes are already; the earliest, should there be several."""
    rows = Upload.objects.filter(camera=upload.camera_id, content_digest=digest).exclude(content_digest="")
    rows = rows.filter(state=UploadState.DONE).exclude(pk=upload.pk).order_by("pk")
    # Of very many black frames the one that is meant must not lie behind the candidates.
    named, of_its_time = rows.filter(path_digest=upload.path_digest)[:1], rows.filter(captured_at=taken.at)
    several = (named, of_its_time[:CANDIDATES], rows[:CANDIDATES])
    return next((row for some in several for row in some if is_same(upload, taken, row)), None)


def is_same(upload: Upload, taken: CaptureTime, other: Upload) -> bool:
    """Of two with the same bytes. What a picture says itself is the same in both; what its name says need not be."""
    if name_of(upload) == name_of(other) or taken.clue not in {CaptureClue.NAME, CaptureClue.FOLDER}:
        return True
    if other.capture_clue == taken.clue:
        return other.captured_at == taken.at
    return abs(other.captured_at - taken.at) <= SAME_TIME


def name_of(upload: Upload) -> bytes:
    return upload.below.rpartition(b"/")[2]


def lies_at(camera: Camera, place: Upload | UploadCopy) -> bool:
    """Whether the bytes still lie where the ledger has them, as they were. Raises `StorageFault`."""
    try:
        facts = os.lstat(os.fsencode(camera.folder_path) + b"/" + place.below)
    except OSError as fault:
        error = error_for(fault)
        if isinstance(error, NoSuchFile):
            return False
        raise error from fault
    return (facts.st_size, stored_mtime_ns(facts.st_mtime_ns)) == (place.size_bytes, place.mtime_ns)


def merge(upload: Upload, into: Upload, *, has_moved: bool) -> None:
    """Forget `upload`; `into` stands for its file too, or, if it `has_moved`, for that alone. In a transaction."""
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
    """The upload's bytes lie at `place` now; so do the pictures of what was detected in them. In a transaction."""
    before = shown_path(upload.camera, upload.path)
    is_elsewhere = place["path_digest"] != upload.path_digest
    UploadCopy.objects.filter(
        camera=upload.camera_id,
        path_digest=place["path_digest"],
        size_bytes=place["size_bytes"],
        mtime_ns=place["mtime_ns"],
    ).delete()
    Upload.objects.filter(pk=upload.pk).update(**place, missing_since=None)
    forget_misnamed_copy(upload, place["path"])
    if is_elsewhere:
        now = shown_path(upload.camera, place["path"])
        upload.detections.update(file_path=now)
        reports_of(upload, before).update(file_path=now)
        remake_clips(upload)


def forget_misnamed_copy(upload: Upload, path: str) -> None:
    """What we keep of it ends like the file's name: under a name that ends otherwise it would not be found."""
    before = upload.kept_path
    if upload.is_kept and before != kept_path(upload.camera_id, upload.pk, path):
        Upload.objects.filter(pk=upload.pk).update(is_kept=False)
        schedule_deletion([before])


def follow_copies(now: datetime) -> int:
    """Have uploads whose file is gone lie where another of its places is: a script copies first and deletes later.

    Of places that were found lately; how many moved. Each minute checks the next `FOLLOWED` of them: those whose first
    place stays would otherwise keep the others from being checked.
    """
    moved = 0
    unresponsive = current_folders().unresponsive
    rows = UploadCopy.objects.filter(found_at__gte=now - FOLLOWED_FOR).exclude(camera__in=unresponsive)
    parts = max(1, ceil(rows.count() / FOLLOWED))
    first = FOLLOWED * (int(now.timestamp() // 60) % parts)
    rows = rows.order_by("-found_at", "-pk").select_related("upload__camera")
    for copy in rows[first : first + FOLLOWED].iterator():
        try:
            moved += follow(copy)
        except StorageFault:
            pass  # its volume is away
        except IntegrityError:  # a new upload was entered for that place: a worker merges it
            logger.warning("moved file not followed upload=%s copy=%s", copy.upload_id, copy.pk)
    return moved


def follow(copy: UploadCopy) -> bool:
    upload = copy.upload
    if lies_at(upload.camera, upload) or not lies_at(upload.camera, copy):
        return False
    with transaction.atomic():
        move(upload, place_of(copy))
    return True


def shown_path(camera: Camera, path: str) -> str:
    return f"{camera.folder_path}/{path}"[:4096]


def reports_of(upload: Upload, path: str) -> QuerySet[Detection]:
    """Detections that a program outside reported on the file, by its path; the time narrows the search."""
    taken_at = upload.captured_at
    around = (taken_at - timedelta(hours=1), taken_at + MAX_VIDEO_LENGTH)
    reports = Detection.objects.filter(camera=upload.camera_id, detected_at__range=around, upload=None)
    return reports.filter(file_path=path).order_by()


def remake_clips(upload: Upload) -> None:
    """Of events for which there was no footage while the file was on its way."""
    events = Event.objects.filter(detections__upload=upload, ended_at__isnull=False, clip_size_bytes=None)
    for event in events.distinct():
        schedule_clip(event, after=LATE_DETECTION_DELAY)
