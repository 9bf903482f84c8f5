"""What becomes of one uploaded file: a list of steps, each of which can be done again.

Nothing is written before `record`, which writes all that was found out in one transaction: whoever dies before it has
done nothing, and whoever dies after it leaves only thumbnails to be made.
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
from media_serving.ingest.detection import Findings, find_in
from media_serving.ingest.leases import hold
from media_serving.models import CameraTurn, Detection, MediaType, Upload, UploadState
from media_serving.models.uploads import LARGE_BYTES, MAX_REASON_LENGTH, mtime_to_datetime, stored_mtime_ns
from media_serving.thumbnails.rendering import make_thumbnails
from nvr.errors import NvrError, StorageFull
from nvr.media.files.content_types import is_image

logger = logging.getLogger(__name__)

LONGEST_S = 86_400


@dataclass
class Job:
    """One upload on its way: what each step found out for those behind it.

    `file` is open: who looks at it looks at the same bytes, whatever lies at its name by then. `is_again` says that
    the camera has used the name before, `is_snapshot` that `file` is a copy in memory, which no longer changes. After
    `until` (monotonic seconds) a large file gives way to others. If it is `duplicate_of` another upload, `has_moved`
    says that the other's file is not where it was, and `has_new_copy` that a copy was kept for that one.
    """

    upload: Upload
    turn: CameraTurn
    file: BinaryIO
    is_again: bool = False
    is_snapshot: bool = False
    until: float = math.inf
    digest: str = ""
    facts: content.Facts | None = None
    taken: CaptureTime | None = None
    findings: Findings = field(default_factory=Findings)
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


def take_snapshot(job: Job) -> None:
    """Of a picture whose name is used again: it may be overwritten each second, also while it is read."""
    if not (job.is_again and job.is_picture and job.upload.size_bytes <= LARGE_BYTES):
        return
    copy, facts = snapshots.snapshot_of(job.file)
    job.file.close()
    job.file, job.is_snapshot = copy, True
    if (facts.st_size, stored_mtime_ns(facts.st_mtime_ns)) != (job.upload.size_bytes, job.upload.mtime_ns):
        with transaction.atomic():
            hold(job.turn)
            snapshots.adopt(job.upload, facts)


def recognise(job: Job) -> None:
    """Raises `Incomplete` for what may still grow, and what `nvr.media` raises for what is no picture or video."""
    if not job.is_snapshot:
        digests.check_same(job.upload, job.file)
    now = timezone.now()
    may_grow = not job.upload.is_abandoned(now)
    may_end = job.upload.quiet_for(now) < settings.NVR_INGEST_END_WAIT
    job.facts = content.facts_of(job.file, is_picture=job.is_picture, may_grow=may_grow, may_end=may_end)


def read_whole(job: Job) -> None:
    """The content's digest. Raises `Incomplete` for what is mostly empty, and `Unfinished` when the time is over."""
    if job.is_snapshot:
        job.digest = digests.digest_of(job.file)
        return
    digests.check_is_written(job.file)
    check = partial(digests.check_is_wanted, job.upload, job.file)
    if job.upload.size_bytes <= LARGE_BYTES:
        job.digest = digests.digest_of(job.file, check)
    else:
        job.digest = digests.digest_in_slices(job.file, job.upload.block_digests, job.until, check)


def find_known(job: Job) -> None:
    """The upload that these bytes are already, and whether its file still lies where it was."""
    if job.taken is not None:
        job.duplicate_of = places.same_content(job.upload, job.digest, job.taken)
    if job.duplicate_of is not None:
        job.duplicate_of.camera = job.camera
        job.has_moved = not places.lies_at(job.camera, job.duplicate_of)


def keep_copy(job: Job) -> None:
    """Of a name that is used again: the camera is likely to overwrite these bytes as well.

    Also if they are on record and were overwritten before; but not again what was removed to make room.
    """
    if not job.is_again:
        return
    if job.duplicate_of is not None:
        job.has_new_copy = lacks_copy(job.duplicate_of, job.upload) and overwrites.keep(job.duplicate_of, job.file)
    elif job.upload.copy_removed_at is None:
        job.upload.is_kept = overwrites.keep(job.upload, job.file)


def lacks_copy(known: Upload, upload: Upload) -> bool:
    """Whether the name has had other bytes too, and will again: what is merely sent twice is not overwritten."""
    if known.path_digest != upload.path_digest or known.is_kept or known.copy_removed_at is not None:
        return False
    contents = Upload.objects.of_file(upload.camera_id, upload.below)
    return contents.exclude(pk__in=[known.pk, upload.pk]).exists()


def tell_capture_time(job: Job) -> None:
    said = job.facts.said if job.facts else ()
    facts = FileFacts(
        path=job.upload.path,
        mtime=mtime_to_datetime(job.upload.mtime_ns),
        received=job.upload.received_at,
        length=length_of(job),
        said=said if job.is_picture else (),
        container=() if job.is_picture else said,
    )
    job.taken = capture_time(facts, job.camera.zone)


def length_of(job: Job) -> timedelta:
    """A video is written until its end; what declares days is no video's length."""
    seconds = job.facts.duration_s if job.facts and job.facts.duration_s else 0.0
    return timedelta(seconds=seconds) if seconds < LONGEST_S else timedelta(0)


def detect(job: Job) -> None:
    if job.duplicate_of is None and job.taken is not None:
        job.findings = find_in(job.camera, job.turn, job.file, job.taken.at, is_picture=job.is_picture)


def record(job: Job) -> None:
    """All that was found, the detector's memory and the upload's end: together or not at all.

    Raises `Changed` if the file was written to while it was read: then what was found is of no content.
    """
    if not job.is_snapshot:
        digests.check_same(job.upload, job.file)
    with transaction.atomic():
        hold(job.turn)
        if job.duplicate_of is not None:
            places.merge(job.upload, job.duplicate_of, has_moved=job.has_moved)
            if job.has_new_copy:
                Upload.objects.filter(pk=job.duplicate_of.pk).update(is_kept=True)
            return
        attach_all([Detection(**described(job), **values) for values in job.findings.found])
        remember(job)
        finish(job)
        if not job.is_picture:
            schedule_clips_showing(job.upload, length_of(job))
    if job.findings.memory is not None:
        job.turn.detector, job.turn.memory = job.camera.detector, job.findings.memory


def described(job: Job) -> dict[str, Any]:
    """What is the same for all detections of the file."""
    return {
        "camera": job.camera,
        "upload": job.upload,
        "file_path": places.shown_path(job.camera, job.upload.path),
        "media_type": MediaType.IMAGE if job.is_picture else MediaType.VIDEO,
        "frame_width": job.findings.width,
        "frame_height": job.findings.height,
        "source": job.camera.detector,
    }


def remember(job: Job) -> None:
    if job.findings.memory is not None:
        CameraTurn.objects.filter(pk=job.turn.pk).update(detector=job.camera.detector, memory=job.findings.memory)


def finish(job: Job) -> None:
    upload, taken = job.upload, job.taken
    upload.state, upload.reason, upload.retry_at = UploadState.DONE, job.findings.note[:MAX_REASON_LENGTH], None
    upload.content_digest, upload.done_at, upload.missing_since = job.digest, timezone.now(), None
    upload.block_digests = ""
    if taken is not None:
        upload.captured_at, upload.clock_is_absurd = taken.at, taken.is_absurd
        upload.capture_clue, upload.capture_note = taken.clue, taken.note
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


def draw_thumbnails(job: Job) -> None:
    """A fault here undoes nothing, and is none of the file's: what is missing is made later."""
    if not job.findings.found:
        return
    try:
        make_thumbnails(job.upload)
    except StorageFull:
        pass  # which has been said, and need not be for each file
    except NvrError as error:
        logger.warning("thumbnails wait upload=%s reason=%s", job.upload.pk, error.detail)
    except Exception:
        logger.exception("thumbnails wait upload=%s", job.upload.pk)


STEPS: tuple[Step, ...] = (
    take_snapshot,
    recognise,
    tell_capture_time,
    read_whole,
    find_known,
    keep_copy,
    detect,
    record,
    draw_thumbnails,
)


def work_through(job: Job) -> None:
    for step in STEPS:
        step(job)
