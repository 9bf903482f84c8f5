"""The worker's side of the ledger: turn by turn, file by file, and what is said of a file that failed."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from itertools import takewhile
from pathlib import Path

from django.conf import settings
from django.db import DatabaseError, transaction
from django.utils import timezone

from cameras import health
from cameras.folders import check_volume, folder_of
from media_serving.ingest.content import Incomplete
from media_serving.ingest.keeping import Changed, used_again
from media_serving.ingest.ledger import stamp
from media_serving.ingest.pipeline import Job, work_through
from media_serving.ingest.turns import MAX_ATTEMPTS, TurnLost, begin, cameras_with_work, hold, next_batch, turn_of
from media_serving.models import CameraTurn, Upload, UploadState
from media_serving.models.uploads import LONGEST_REASON, moment_of
from nvr.errors import NvrError
from nvr.media.paths import NoSuchFile, open_regular

logger = logging.getLogger(__name__)

SLICE_S = 20.0  # then the worker takes other tasks of its queue
AGAIN_AFTER = timedelta(seconds=15)  # what may still grow
TROUBLED_FOR = timedelta(seconds=30)  # what failed for want of a disk, of memory or of ffmpeg
TRANSIENT = (503, 507)
GONE = "It was gone before it could be read."


def work(slice_s: float = SLICE_S) -> int:
    """Work on whatever waits, one batch of a camera after the other; how many files were taken in hand."""
    until, worked = time.monotonic() + slice_s, 0
    while done := sum(work_on(camera_id) for camera_id in in_time(cameras_with_work(timezone.now()), until)):
        worked += done
    return worked


def in_time(camera_ids: list[int], until: float) -> Iterator[int]:
    return takewhile(lambda _: time.monotonic() < until, camera_ids)


def work_on(camera_id: int) -> int:
    """A batch of one camera; 0 if there is none, or somebody else is at it."""
    with turn_of(camera_id) as turn:
        if turn is None:
            return 0
        batch = next_batch(camera_id, timezone.now())
        again = used_again(batch)
        try:
            arrived = [upload for upload in batch if attempt(turn, upload, is_again=upload.pk in again)]
        except TurnLost:
            logger.warning("turn lost camera=%s", camera_id)
            return len(batch)
        if arrived:
            note_sight(arrived)
        return len(batch)


def note_sight(uploads: list[Upload]) -> None:
    """The camera lives: it delivered something that could be read."""
    newest = max(moment_of(upload.mtime_ns) for upload in uploads)
    health.note(uploads[0].camera, health.Evidence(newest_at=min(newest, timezone.now())))


def attempt(turn: CameraTurn, upload: Upload, *, is_again: bool = False) -> bool:
    """Whether something was made of it. Whatever is wrong with it is on record afterwards."""
    if not begin(turn, upload):
        return False
    try:
        with opened(turn, upload) as job:
            job.is_again = is_again
            work_through(job)
    except (TurnLost, DatabaseError):
        raise  # the row stays in hand, and waits again when the lease has ended
    except Exception as error:  # noqa: BLE001 - one file must not keep the others from being looked at
        fail(turn, upload, error)
        return False
    return True


@contextmanager
def opened(turn: CameraTurn, upload: Upload) -> Iterator[Job]:
    """Raises `NoSuchFile`, and `StorageFault` while the volume is away."""
    root = folder_of(upload.camera)
    path = Path(os.fsdecode(os.fsencode(root) + b"/" + upload.below))
    try:
        file = open_regular(path, root=root)
    except NoSuchFile:
        check_volume(upload.camera)
        raise
    with file:
        yield Job(upload, turn, file, path)


def fail(turn: CameraTurn, upload: Upload, error: Exception) -> None:
    with transaction.atomic():
        hold(turn)
        settle(upload, error)
    if not isinstance(error, NvrError):
        logger.error("upload not read id=%s", upload.pk, exc_info=error)
    logger.info("upload %s id=%s reason=%s", upload.state, upload.pk, upload.reason)


def settle(upload: Upload, error: Exception) -> None:
    """Waiting again, rejected or failed: as it can, will never, or should by our fault not be tried again."""
    if isinstance(error, Changed):
        take_anew(upload)
    elif isinstance(error, NoSuchFile):
        end(upload, UploadState.REJECTED, GONE)
    elif isinstance(error, Incomplete):
        be_patient(upload, error.detail)
    elif isinstance(error, NvrError) and error.status in TRANSIENT:
        wait(upload, error.detail, TROUBLED_FOR, attempts=0)
    elif isinstance(error, NvrError):
        end(upload, UploadState.REJECTED, error.detail)
    elif upload.attempts >= MAX_ATTEMPTS:
        end(upload, UploadState.FAILED, f"It could not be read: {type(error).__name__}. The log tells more.")
    else:
        wait(upload, f"It could not be read: {type(error).__name__}.", TROUBLED_FOR, attempts=upload.attempts)


def be_patient(upload: Upload, reason: str) -> None:
    """An upload that was cut off may be resumed; after hours nobody will."""
    if quiet_for(upload) > settings.NVR_INGEST_PATIENCE:
        end(upload, UploadState.REJECTED, reason)
    else:
        wait(upload, f"{reason} It is looked at again when it grows.", next_look(upload), attempts=0)


def quiet_for(upload: Upload) -> timedelta:
    """How long nothing was written to it, as far as we have seen."""
    return timezone.now() - max(upload.received_at, min(moment_of(upload.mtime_ns), timezone.now()))


def next_look(upload: Upload) -> timedelta:
    """The longer it has been quiet, the longer until the next look; the watcher sees it grow at once."""
    return max(AGAIN_AFTER, min(quiet_for(upload) / 2, timedelta(minutes=30)))


def wait(upload: Upload, reason: str, span: timedelta, *, attempts: int) -> None:
    upload.retry_at = timezone.now() + span
    upload.attempts = attempts
    end(upload, UploadState.WAITING, reason)


def end(upload: Upload, state: UploadState, reason: str) -> None:
    upload.state, upload.reason = state, reason[:LONGEST_REASON]
    upload.save(update_fields=["state", "reason", "retry_at", "attempts", "is_kept"])


def take_anew(upload: Upload) -> None:
    """The file changed while it was in hand: what it is now is entered in its place, unless that has been done."""
    try:
        facts = upload.file.lstat()
    except OSError:
        end(upload, UploadState.REJECTED, GONE)
        return
    others = Upload.objects.of_file(upload.camera_id, upload.below).exclude(pk=upload.pk)
    if others.filter(size_bytes=facts.st_size, mtime_ns=stamp(facts)).exists():
        Upload.objects.filter(pk=upload.pk).delete()
        return
    upload.size_bytes, upload.mtime_ns = facts.st_size, stamp(facts)
    upload.save(update_fields=["size_bytes", "mtime_ns"])
    wait(upload, "It changed while it was read.", settings.NVR_SETTLE_TIME, attempts=0)
