"""The clip worker: renders the clip of one event and publishes it atomically."""

from __future__ import annotations

import logging
import os
import shutil
from datetime import timedelta
from pathlib import Path

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from media_serving.clips.rendering import FootageRange, make_clip
from media_serving.events import lock_camera
from media_serving.models import ClipWork, Event, clip_path
from media_serving.signals import clip_created
from nvr.errors import StorageFull
from nvr.jobs import worker
from nvr.jobs.models import JobState
from nvr.media.files.atomic_write import temporary_path

logger = logging.getLogger(__name__)

DISK_RETRY_DELAY = timedelta(minutes=1)
MIN_FREE_BYTES = 100 * 2**20
DISK_IS_FULL = "The disk is full: the clip is made when there is room."


def make(pk: int) -> None:
    """Make the clip for row `pk` if it is waiting and due; a second call does nothing."""
    worker.run(ClipWork, pk, render_clip, on_full_disk=wait_for_disk_space)


def render_clip(work: ClipWork) -> None:
    target = clip_path(work.event_id)
    with temporary_path(target) as part:
        # ffmpeg would fill the disk first and fail then, which also affects the database.
        if shutil.disk_usage(part.parent).free < MIN_FREE_BYTES:
            raise StorageFull
        shown = make_clip(work.event, part)
        fsync_path(part)
        publish_clip(work, part, target, shown)


def range_in_ms(footage_range: FootageRange) -> tuple[int, int]:
    """Return start and length in milliseconds, as stored in `ClipWork.shows`."""
    return int(footage_range.at.timestamp() * 1000), round(footage_range.length_s * 1000)


def fsync_path(path: Path) -> None:
    """Flush a file, or a folder's entries, to the disk, so that no row outlives its file after a power cut."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def publish_clip(work: ClipWork, part: Path, target: Path, shown: list[FootageRange]) -> None:
    """Move the finished clip into place and update its rows; do nothing if the event changed or was purged.

    The camera's lock keeps detections and purges out. The file is in place before the transaction commits, so no
    event refers to a missing clip.
    """
    size_bytes, now = part.stat().st_size, timezone.now()
    with transaction.atomic():
        lock_camera(work.event.camera_id)
        if not work.settle(state=JobState.DONE, reason="", sent_at=now, shows=[range_in_ms(each) for each in shown]):
            logger.info("clip obsolete event=%s", work.event_id)
            return
        Event.objects.filter(pk=work.event_id).update(clip_size_bytes=size_bytes, clip_created_at=now)
        part.replace(target)
        fsync_path(target.parent)
        clip_created.send(Event, event=Event.objects.get(pk=work.event_id))
    logger.info("clip made event=%s bytes=%s", work.event_id, size_bytes)
    resume_after_full_disk()


def wait_for_disk_space(work: ClipWork, reason: str) -> None:
    """Postpone all waiting clips until there is disk space; log it once, not for each clip."""
    waiting = ClipWork.objects.in_state(JobState.WAITING)
    is_new = not waiting.filter(reason=DISK_IS_FULL).exists()
    work.postpone(DISK_IS_FULL, DISK_RETRY_DELAY)
    waiting.update(reason=DISK_IS_FULL, retry_at=timezone.now() + DISK_RETRY_DELAY)
    if is_new:
        logger.error("disk full, clips are paused folder=%s", settings.CLIP_DIR)


def resume_after_full_disk() -> None:
    """Make the clips that wait for disk space due now."""
    waiting = ClipWork.objects.in_state(JobState.WAITING)
    if waiting.filter(reason=DISK_IS_FULL).update(reason="", retry_at=None):
        logger.info("disk space available, clips resumed")
