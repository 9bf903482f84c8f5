"""The processing of one uploaded file: a list of steps, each of which can run again.

Nothing is written before `record`, which writes all results in one transaction: a worker that dies before it has
changed nothing, and one that dies after it leaves only thumbnails to create.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from typing import Any, BinaryIO

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from cameras.models import Camera
from media_serving.clips.requests import schedule_clips_showing
from media_serving.events import attach_all
from media_serving.ingest import content, digests, overwrites, places, snapshots
from media_serving.ingest.capture_time import CaptureTime, FileFacts, capture_time
from media_serving.ingest.detection import DetectorRun, run_detector
from media_serving.models import CameraLease, Detection, MediaType, Upload, UploadState
from media_serving.models.uploads import LARGE_BYTES, is_unchanged, mtime_to_datetime
from media_serving.thumbnails.rendering import make_thumbnails
from nvr.errors import NvrError, StorageFull
from nvr.jobs.models import MAX_REASON_LENGTH
from nvr.media.files.content_types import is_image

logger = logging.getLogger(__name__)

LONGEST_S = 86_400


@dataclass
class Job:
    """One upload in the pipeline, with the results of its steps.

    `file` stays open: every step reads the same bytes, even if another file gets its name. `is_reused_name`: the camera
    has used the name before. `is_in_memory`: `file` is a copy in memory, which no longer changes. `until`: the time in
    monotonic seconds after which a large file is interrupted in favour of others. If the upload is a `duplicate_of`
    another one, `has_moved` means that the other's file is no longer at its path, and `has_new_copy` that a copy was
    kept for it.
    """

    upload: Upload
    lease: CameraLease
    file: BinaryIO
    is_reused_name: bool = False
    is_in_memory: bool = False
    until: float = math.inf
    digest: str = ""
    media_info: content.MediaInfo | None = None
    captured: CaptureTime | None = None
    detector_run: DetectorRun = field(default_factory=DetectorRun)
    duplicate_of: Upload | None = None
    has_moved: bool = False
    has_new_copy: bool = False

    @property
    def camera(self) -> Camera:
        return self.upload.camera

    @property
    def is_picture(self) -> bool:
        return is_image(self.upload.path)


Step = Callable[[Job], None]


def copy_to_memory(job: Job) -> None:
    """Copy a picture with a reused name into memory: it may be overwritten every second, even while it is read."""
    if not (job.is_reused_name and job.is_picture and job.upload.size_bytes <= LARGE_BYTES):
        return
    copy, file_stat = snapshots.read_into_memory(job.file)
    job.file.close()
    job.file, job.is_in_memory = copy, True
    if not is_unchanged(job.upload, file_stat):
        with transaction.atomic():
            job.lease.confirm()
            snapshots.adopt(job.upload, file_stat)


def validate_file(job: Job) -> None:
    """Raise `Incomplete` for files that may still grow, and the errors of `nvr.media` for invalid files."""
    if not job.is_in_memory:
        digests.check_unchanged(job.upload, job.file)
    now = timezone.now()
    may_grow = not job.upload.is_abandoned(now)
    may_complete = job.upload.quiet_for(now) < settings.NVR_INGEST_END_WAIT
    job.media_info = content.inspect(job.file, is_picture=job.is_picture, may_grow=may_grow, may_complete=may_complete)


def compute_digest(job: Job) -> None:
    """Raises `Incomplete` for mostly empty files, and `DigestUnfinished` at the end of the time budget."""
    if job.is_in_memory:
        job.digest = digests.digest_of(job.file)
        return
    digests.check_not_sparse(job.file)
    check = partial(digests.check_still_needed, job.upload, job.file)
    if job.upload.size_bytes <= LARGE_BYTES:
        job.digest = digests.digest_of(job.file, check)
    else:
        job.digest = digests.digest_in_slices(job.file, job.upload.block_digests, job.until, check)


def find_duplicate(job: Job) -> None:
    """Find an upload with the same content, and check whether its file is still at its path."""
    if job.captured is not None:
        job.duplicate_of = places.find_same_content(job.upload, job.digest, job.captured)
    if job.duplicate_of is not None:
        # Avoids a query.
        job.duplicate_of.camera = job.camera
        job.has_moved = not places.exists_at(job.camera, job.duplicate_of)


def keep_copy(job: Job) -> None:
    """Keep a copy of a file with a reused name: the camera is likely to overwrite it as well.

    This includes known content that was overwritten before, but not copies that were removed to free space.
    """
    if not job.is_reused_name:
        return
    if job.duplicate_of is not None:
        job.has_new_copy = needs_copy(job.duplicate_of, job.upload) and overwrites.keep(job.duplicate_of, job.file)
    elif job.upload.copy_removed_at is None:
        job.upload.is_kept = overwrites.keep(job.upload, job.file)


def needs_copy(known: Upload, upload: Upload) -> bool:
    """Whether the name also had other content, so that it is likely to be overwritten and not just sent twice."""
    if known.path_digest != upload.path_digest or known.is_kept or known.copy_removed_at is not None:
        return False
    contents = Upload.objects.of_file(upload.camera_id, upload.below)
    return contents.exclude(pk__in=[known.pk, upload.pk]).exists()


def determine_capture_time(job: Job) -> None:
    readings = job.media_info.readings if job.media_info else ()
    facts = FileFacts(
        path=job.upload.path,
        mtime=mtime_to_datetime(job.upload.mtime_ns),
        received=job.upload.received_at,
        length=length_of(job),
        exif=readings if job.is_picture else (),
        container=() if job.is_picture else readings,
    )
    job.captured = capture_time(facts, job.camera.zone)


def length_of(job: Job) -> timedelta:
    """The video's duration; zero for pictures and for implausible durations of days."""
    seconds = job.media_info.duration_s if job.media_info and job.media_info.duration_s else 0.0
    return timedelta(seconds=seconds) if seconds < LONGEST_S else timedelta(0)


def detect(job: Job) -> None:
    if job.duplicate_of is None and job.captured is not None:
        job.detector_run = run_detector(job.camera, job.lease, job.file, job.captured.at, is_picture=job.is_picture)


def record(job: Job) -> None:
    """Write the detections, the detector's memory and the upload's final state in one transaction.

    Raises `FileChanged` if the file was written to while it was read: the results then belong to no content.
    """
    if not job.is_in_memory:
        digests.check_unchanged(job.upload, job.file)
    with transaction.atomic():
        job.lease.confirm()
        if job.duplicate_of is not None:
            # The detections exist already: only the other path is recorded.
            places.merge(job.upload, job.duplicate_of, has_moved=job.has_moved)
            if job.has_new_copy:
                Upload.objects.filter(pk=job.duplicate_of.pk).update(is_kept=True)
            return
        attach_all([Detection(**common_fields(job), **values) for values in job.detector_run.detections])
        save_detector_memory(job)
        finish(job)
        if not job.is_picture:
            schedule_clips_showing(job.upload, length_of(job))
    if job.detector_run.memory is not None:
        job.lease.detector, job.lease.memory = job.camera.detector, job.detector_run.memory


def common_fields(job: Job) -> dict[str, Any]:
    """The column values that all detections of the file share."""
    return {
        "camera": job.camera,
        "upload": job.upload,
        "file_path": places.shown_path(job.camera, job.upload.path),
        "media_type": MediaType.IMAGE if job.is_picture else MediaType.VIDEO,
        "frame_width": job.detector_run.width,
        "frame_height": job.detector_run.height,
        "source": job.camera.detector,
    }


def save_detector_memory(job: Job) -> None:
    if job.detector_run.memory is not None:
        CameraLease.objects.filter(pk=job.lease.pk).update(detector=job.camera.detector, memory=job.detector_run.memory)


def finish(job: Job) -> None:
    upload, captured = job.upload, job.captured
    upload.state, upload.reason, upload.retry_at = UploadState.DONE, job.detector_run.note[:MAX_REASON_LENGTH], None
    upload.content_digest, upload.done_at, upload.missing_since = job.digest, timezone.now(), None
    upload.block_digests = ""
    if captured is not None:
        upload.captured_at, upload.clock_is_absurd = captured.at, captured.is_absurd
        upload.capture_clue, upload.capture_note = captured.clue, captured.note
    upload.save(
        update_fields=[
            "state",
            "reason",
            "retry_at",
            "content_digest",
            "done_at",
            "captured_at",
            "capture_clue",
            "capture_note",
            "clock_is_absurd",
            "is_kept",
            "missing_since",
            "block_digests",
        ]
    )


def create_thumbnails(job: Job) -> None:
    """An error here undoes nothing and is not caused by the file: missing thumbnails are created later."""
    if not job.detector_run.detections:
        return
    try:
        make_thumbnails(job.upload)
    except StorageFull:
        pass  # already logged; one entry per file is not needed
    except NvrError as error:
        logger.warning("thumbnails pending upload=%s reason=%s", job.upload.pk, error.detail)
    except Exception:
        logger.exception("thumbnails pending upload=%s", job.upload.pk)


STEPS: tuple[Step, ...] = (
    copy_to_memory,
    validate_file,
    determine_capture_time,
    compute_digest,
    find_duplicate,
    keep_copy,
    detect,
    record,
    create_thumbnails,
)


def run_steps(job: Job) -> None:
    for step in STEPS:
        step(job)
