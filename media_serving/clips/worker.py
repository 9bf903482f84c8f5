"""The clip worker: claims one row with a lease, limits time and attempts, and publishes the clip atomically."""

from __future__ import annotations

import logging
import os
import shutil
from datetime import timedelta
from pathlib import Path

from django.conf import settings
from django.db import DatabaseError, transaction
from django.utils import timezone

from media_serving.clips.rendering import FootageRange, make_clip
from media_serving.clips.requests import LATE_DETECTION_DELAY, send
from media_serving.events import lock_camera
from media_serving.leases import MAX_ATTEMPTS, lease_renewal
from media_serving.models import ClipWork, Event, WorkState, clip_path
from media_serving.signals import clip_created
from nvr.errors import FULL, NvrError, StorageFull, Unavailable
from nvr.media.ffmpeg import operations as ffmpeg
from nvr.media.files.atomic_write import temporary_path

logger = logging.getLogger(__name__)

LEASE = timedelta(seconds=60)  # renewed while work is in progress; expires after the worker's death
RETRY_AFTER = timedelta(minutes=5)
DISK_RETRY_AFTER = timedelta(minutes=1)
SEND_AGAIN_AFTER = timedelta(minutes=2)
MIN_FREE_BYTES = 100 * 2**20
BATCH_SIZE = 20
DISK_IS_FULL = "The disk is full: the clip is made when there is room."


def make(pk: int) -> None:
    """Make the clip for row `pk` if it is waiting and due; a second call does nothing."""
    release_expired_leases()
    work = claim(pk)
    if work is None:
        return
    try:
        with lease_renewal(f"clip={pk}", lambda: renew(work), every=LEASE / 4):
            attempt(work)
    finally:
        send_next()


def claim(pk: int) -> ClipWork | None:
    """Claim the row for `LEASE`; return None if another worker has it or there is nothing to do."""
    rows = ClipWork.objects
    return rows.select_related("event__camera").filter(pk=pk).first() if rows.claim(pk, lease=LEASE) else None


def renew(work: ClipWork) -> None:
    ClipWork.objects.still_leased(work).update(leased_until=timezone.now() + LEASE)


def finish_attempt(work: ClipWork, **values: object) -> bool:
    """Write the outcome if the request is still current and return True; else set the row back to waiting."""
    if ClipWork.objects.still_leased(work).filter(wanted=work.wanted).update(leased_until=None, **values):
        return True
    reset = {"state": WorkState.WAITING, "attempts": 0, "reason": "", "retry_at": timezone.now() + LATE_DETECTION_DELAY}
    ClipWork.objects.still_leased(work).update(leased_until=None, **reset)
    return False


def attempt(work: ClipWork) -> None:
    try:
        render_clip(work)
    except ffmpeg.FfmpegMissing as error:
        postpone(work, error.detail)
    except ffmpeg.FfmpegKilled as error:
        postpone_or_fail(work, error.detail)
    except (StorageFull, ffmpeg.FfmpegOutOfSpace):
        wait_for_disk_space(work)
    except Unavailable as error:
        postpone(work, error.detail)
    except NvrError as error:
        mark_failed(work, error.detail)
    except OSError as error:
        if error.errno in FULL:
            wait_for_disk_space(work)
        else:
            postpone(work, f"The disk failed: {error.strerror}.")
    except DatabaseError:
        raise  # the row stays claimed until its lease expires
    except Exception as error:
        logger.exception("clip not made event=%s", work.event_id)
        postpone_or_fail(work, f"It could not be made: {type(error).__name__}. See the log.")


def render_clip(work: ClipWork) -> None:
    target = clip_path(work.event_id)
    with temporary_path(target) as part:
        check_free_space(part.parent)
        shown = make_clip(work.event, part)
        fsync_path(part)
        publish_clip(work, part, target, shown)


def range_in_ms(footage_range: FootageRange) -> tuple[int, int]:
    """Return start and length in milliseconds, as stored in `ClipWork.shows`."""
    return int(footage_range.at.timestamp() * 1000), round(footage_range.length_s * 1000)


def check_free_space(folder: Path) -> None:
    if shutil.disk_usage(folder).free < MIN_FREE_BYTES:
        raise StorageFull


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
        if not finish_attempt(
            work, state=WorkState.DONE, reason="", sent_at=now, shows=[range_in_ms(each) for each in shown]
        ):
            logger.info("clip obsolete event=%s", work.event_id)
            return
        Event.objects.filter(pk=work.event_id).update(clip_size_bytes=size_bytes, clip_created_at=now)
        part.replace(target)
        fsync_path(target.parent)
        clip_created.send(Event, event=Event.objects.get(pk=work.event_id))
    logger.info("clip made event=%s bytes=%s", work.event_id, size_bytes)
    resume_after_full_disk()


def mark_failed(work: ClipWork, reason: str) -> None:
    """Mark the row as failed: unreadable footage is not retried. An existing clip stays."""
    if finish_attempt(work, state=WorkState.FAILED, reason=reason[:500]):
        logger.warning("clip failed event=%s reason=%s", work.event_id, reason)


def postpone(work: ClipWork, reason: str, *, attempts: int = 0) -> None:
    retry_at = timezone.now() + RETRY_AFTER
    if finish_attempt(work, state=WorkState.WAITING, reason=reason[:500], retry_at=retry_at, attempts=attempts):
        logger.warning("clip postponed event=%s reason=%s", work.event_id, reason)


def postpone_or_fail(work: ClipWork, reason: str) -> None:
    """Retry up to `MAX_ATTEMPTS`: out of memory or an internal error may be temporary, or due to this footage."""
    if work.attempts >= MAX_ATTEMPTS:
        mark_failed(work, reason)
    else:
        postpone(work, reason, attempts=work.attempts)


def wait_for_disk_space(work: ClipWork) -> None:
    """Postpone all waiting clips until there is disk space; log it once, not for each clip."""
    waiting = ClipWork.objects.in_state(WorkState.WAITING)
    is_new = not waiting.filter(reason=DISK_IS_FULL).exists()
    postponed = {"reason": DISK_IS_FULL, "retry_at": timezone.now() + DISK_RETRY_AFTER}
    finish_attempt(work, state=WorkState.WAITING, attempts=0, **postponed)
    waiting.update(**postponed)
    if is_new:
        logger.error("disk full, clips are paused folder=%s", settings.CLIP_DIR)


def resume_after_full_disk() -> None:
    """Make the clips that wait for disk space due now."""
    waiting = ClipWork.objects.in_state(WorkState.WAITING)
    if waiting.filter(reason=DISK_IS_FULL).update(reason="", retry_at=None):
        logger.info("disk space available, clips resumed")


def release_expired_leases() -> None:
    ClipWork.objects.release_expired_leases(doing="made this clip")


def send_next() -> None:
    """Send the row that has waited longest."""
    row = ClipWork.objects.longest_pending()
    if row is not None:
        send_and_mark(row)


def send_and_mark(row: ClipWork) -> None:
    ClipWork.objects.mark_sent(row)
    send(row.pk)


def send_pending() -> None:
    """Send rows whose delay has passed, and those left by a lost message, a dead worker or an unavailable broker."""
    release_expired_leases()
    now = timezone.now()
    for row in ClipWork.objects.due(now).filter(retry_at__isnull=False).order_by("retry_at")[:BATCH_SIZE]:
        send_and_mark(row)
    if ClipWork.objects.have_stalled(now, after=SEND_AGAIN_AFTER):
        send_next()
