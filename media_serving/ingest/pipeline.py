"""What becomes of one uploaded file: a list of steps, each of which can be done again.

Nothing is written before `record`, which writes all that was found out in one transaction: whoever dies before it has
done nothing, and whoever dies after it leaves only thumbnails to be made.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any, BinaryIO

from django.db import transaction
from django.utils import timezone

from cameras.models import Camera
from media_serving.events import attach
from media_serving.ingest import content, keeping
from media_serving.ingest.capture_time import CaptureTime, capture_time
from media_serving.ingest.finding import Findings, find_in
from media_serving.ingest.turns import hold
from media_serving.models import CameraTurn, Detection, MediaType, Upload, UploadState
from media_serving.models.uploads import LONGEST_REASON, moment_of
from media_serving.thumbnails import make_thumbnails
from nvr.media.types import is_image

logger = logging.getLogger(__name__)

LONGEST_S = 86_400


@dataclass
class Job:
    """One upload on its way: what each step found out for those behind it. `file` is open and lies at `path`;
    `is_again` says that the camera has used the name before."""

    upload: Upload
    turn: CameraTurn
    file: BinaryIO
    path: Path
    is_again: bool = False
    digest: str = ""
    facts: content.Facts | None = None
    taken: CaptureTime | None = None
    findings: Findings = field(default_factory=Findings)
    duplicate_of: Upload | None = None

    @property
    def camera(self) -> Camera:
        return self.upload.camera

    @property
    def is_picture(self) -> bool:
        return is_image(self.upload.path)


Step = Callable[[Job], None]


def read_whole(job: Job) -> None:
    """The content's digest; and a copy of the bytes, if the camera has used this name before."""
    job.digest, job.duplicate_of = keeping.read_and_keep(job.upload, job.file, is_again=job.is_again)


def recognise(job: Job) -> None:
    """Raises `Incomplete` for what may still grow, and what `nvr.media` raises for what is no picture or video."""
    if job.duplicate_of is None:
        job.facts = content.facts_of(job.file, job.path, is_picture=job.is_picture)


def tell_capture_time(job: Job) -> None:
    job.taken = capture_time(
        said=job.facts.taken_at if job.facts else None,
        path=job.upload.path,
        mtime=moment_of(job.upload.mtime_ns) - length_of(job),
        received=job.upload.received_at,
        zone=job.camera.zone,
    )


def length_of(job: Job) -> timedelta:
    """A video is written until its end; what declares days is no video's length."""
    seconds = job.facts.duration_s if job.facts and job.facts.duration_s else 0.0
    return timedelta(seconds=seconds) if seconds < LONGEST_S else timedelta(0)


def detect(job: Job) -> None:
    if job.duplicate_of is None and job.taken is not None:
        job.findings = find_in(job.camera, job.turn, job.file, job.path, job.taken.at, is_picture=job.is_picture)


def record(job: Job) -> None:
    """All that was found, the detector's memory and the upload's end: together or not at all."""
    with transaction.atomic():
        hold(job.turn)
        if job.duplicate_of is not None:
            keeping.merge(job.upload, job.duplicate_of)
            return
        for values in job.findings.found:
            attach(Detection(**described(job), **values))
        remember(job)
        finish(job)


def described(job: Job) -> dict[str, Any]:
    """What is the same for all detections of the file."""
    return {
        "camera": job.camera,
        "upload": job.upload,
        "file_path": shown_path(job.upload),
        "media_type": MediaType.IMAGE if job.is_picture else MediaType.VIDEO,
        "frame_width": job.findings.width,
        "frame_height": job.findings.height,
        "source": job.camera.detector,
    }


def shown_path(upload: Upload) -> str:
    return f"{upload.camera.folder_path}/{upload.path}"[:4096]


def remember(job: Job) -> None:
    turn = job.turn
    if job.findings.memory is not None:
        turn.detector, turn.memory = job.camera.detector, job.findings.memory
        CameraTurn.objects.filter(pk=turn.pk).update(detector=turn.detector, memory=turn.memory)


def finish(job: Job) -> None:
    upload, taken = job.upload, job.taken
    upload.state, upload.reason, upload.retry_at = UploadState.DONE, job.findings.note[:LONGEST_REASON], None
    upload.content_digest, upload.done_at = job.digest, timezone.now()
    if taken is not None:
        upload.captured_at, upload.clock_is_absurd = taken.at, taken.is_absurd
    upload.save(
        update_fields=[
            "state",
            "reason",
            "retry_at",
            "content_digest",
            "done_at",
            "captured_at",
            "clock_is_absurd",
            "is_kept",
        ]
    )


def draw_thumbnails(job: Job) -> None:
    """A fault here undoes nothing: what is missing is made later."""
    if job.findings.found:
        make_thumbnails(job.upload)


STEPS: tuple[Step, ...] = (read_whole, recognise, tell_capture_time, detect, record, draw_thumbnails)


def work_through(job: Job) -> None:
    for step in STEPS:
        step(job)
