"""Process waiting uploads: camera by camera, file by file, and record errors as states with a reason."""

from __future__ import annotations

import logging
import math
import os
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from itertools import takewhile
from pathlib import Path
from typing import TypeVar

from django.conf import settings
from django.db import DatabaseError, InterfaceError, OperationalError, transaction
from django.utils import timezone

from cameras import health
from cameras.folders.access import FolderOutsideBase, folder_of
from cameras.folders.ownership import FolderRedirected, current_folders
from media_serving.ingest.content import Incomplete
from media_serving.ingest.digests import CameraInactive, DigestUnfinished, FileChanged
from media_serving.ingest.leases import (
    camera_lease,
    cameras_with_work,
    next_batch,
    start_processing,
)
from media_serving.ingest.ledger import FILE_REMOVED, NOT_MEDIA, NOT_REGULAR
from media_serving.ingest.missing import Missing, check_folder, classify_missing
from media_serving.ingest.names import is_media
from media_serving.ingest.overwrites import reused_names
from media_serving.ingest.pipeline import Job, run_steps
from media_serving.models import CameraLease, Upload, UploadState
from media_serving.models.uploads import mtime_to_datetime
from nvr.errors import Forbidden, Invalid, NvrError
from nvr.jobs.models import LeaseLost
from nvr.media.ffmpeg.operations import FfmpegKilled, FfmpegTimedOut
from nvr.media.files.mtime import stored_mtime_ns
from nvr.media.files.paths import NoSuchFile, error_for, open_regular
from nvr.media.images.errors import DecodingTimedOut

logger = logging.getLogger(__name__)
T = TypeVar("T")

TIME_BUDGET_S = 20.0  # after it, the worker takes other tasks of its queue
CAMERA_BUDGET_S = 5.0  # after it, other cameras follow: videos take minutes, and newer files may have arrived
RECHECK_DELAY = timedelta(seconds=15)  # for files that may still grow
MAX_RETRY_DELAY = timedelta(minutes=30)  # until a file that stays unreadable is retried
RETRY_DELAY = timedelta(seconds=30)  # after errors of the disk, memory or ffmpeg
TRANSIENT = (503, 507)
CHANGED = "It changed while it was read."
REFUSED = "The database did not accept the results: check its disk and its log."
# Errors that the file or the machine may cause.
HARD_TO_READ = (FfmpegTimedOut, FfmpegKilled)


class NotPermitted(Forbidden):
    title = "The file cannot be read"


def process_pending(budget_s: float = TIME_BUDGET_S) -> int:
    """Process waiting uploads, one batch per camera in turn; return how many files were started."""
    until, total = time.monotonic() + budget_s, 0
    while started := sum(
        process_camera(camera_id)
        for camera_id in until_deadline(without_unresponsive(cameras_with_work(timezone.now())), until)
    ):
        total += started
    return total


def without_unresponsive(camera_ids: list[int]) -> list[int]:
    """Leave out cameras whose folder does not respond: a worker that waits for a dead disk cannot serve others."""
    unresponsive = current_folders().unresponsive if camera_ids else frozenset[int]()
    return [camera_id for camera_id in camera_ids if camera_id not in unresponsive]


def until_deadline(items: list[T], until: float) -> Iterator[T]:
    return takewhile(lambda _: time.monotonic() < until, items)


def process_camera(camera_id: int) -> int:
    """Process as much of a camera's next batch as the time budget allows; return how many files were started.

    Returns 0 if there is nothing to do, or if another worker has the camera.
    """
    with camera_lease(camera_id) as lease:
        if lease is None:
            return 0
        batch = next_batch(camera_id, timezone.now())
        reused = reused_names(batch)
        processed, arrived, until = 0, [], time.monotonic() + CAMERA_BUDGET_S
        try:
            for upload in until_deadline(batch, until):
                if start_processing(lease, upload):
                    processed += 1
                    is_reused_name = upload.pk in reused or upload.reason == CHANGED
                    if process_upload(lease, upload, is_reused_name=is_reused_name, until=until):
                        arrived.append(upload)
        except LeaseLost:
            logger.warning("lease lost camera=%s", camera_id)
        if arrived:
            report_camera_health(arrived)
        return processed


def report_camera_health(uploads: list[Upload]) -> None:
    """Report that the camera is online: it delivered readable files."""
    # The camera's clock may be ahead: a file is not newer than its arrival.
    newest = max(min(mtime_to_datetime(upload.mtime_ns), upload.received_at) for upload in uploads)
    health.store_evidence(uploads[0].camera, health.Evidence(newest_at=min(newest, timezone.now())))


def process_upload(
    lease: CameraLease, upload: Upload, *, is_reused_name: bool = False, until: float = math.inf
) -> bool:
    """Process one upload and return whether it succeeded. Errors are recorded with the upload."""
    try:
        with open_upload(lease, upload) as job:
            job.is_reused_name, job.until = is_reused_name, until
            run_steps(job)
    except LeaseLost:
        raise  # the worker that acquired the camera resets the row
    except (OperationalError, InterfaceError):
        with suppress(DatabaseError, InterfaceError):  # otherwise the row is reset when the lease has expired
            postpone_after_database_error(lease, upload)
        raise
    except Exception as error:  # noqa: BLE001 - one file must not block the others
        record_failure(lease, upload, refine_error(upload, error))
        return False
    return True


def refine_error(upload: Upload, error: Exception) -> Exception:
    """Classify a missing file, and add the current stat result to `FileChanged`. Accesses the disk."""
    if isinstance(error, FileChanged):
        try:
            error.file_stat = upload.file.lstat()
        except OSError as fault:
            error = error_for(fault)
    return classify_missing(upload) if isinstance(error, NoSuchFile) else error


@contextmanager
def open_upload(lease: CameraLease, upload: Upload) -> Iterator[Job]:
    """Open the upload's file.

    Raises `NoSuchFile`, `NotPermitted`, `Invalid` for files that are no media, and `StorageFault` for an unavailable
    volume.
    """
    if not is_media(upload.below):
        raise Invalid(NOT_MEDIA)
    root = folder_of(upload.camera)
    path = Path(os.fsdecode(os.fsencode(root) + b"/" + upload.below))
    try:
        file = open_regular(path, root=root)
    except NoSuchFile as error:
        check_folder(upload.camera)
        raise_if_unreadable(path, error)
        raise
    job = Job(upload, lease, file)
    try:
        yield job
    finally:
        job.file.close()


def raise_if_unreadable(path: Path, error: NoSuchFile) -> None:
    """Raise the error of a file that exists but cannot be opened."""
    with suppress(OSError):
        file_stat = path.lstat()
        if not stat.S_ISREG(file_stat.st_mode):
            raise Invalid(NOT_REGULAR) from error
        if isinstance(error.__cause__, PermissionError):
            raise NotPermitted(
                f"NVR may not read it: it belongs to user {file_stat.st_uid}, mode {file_stat.st_mode & 0o7777:o}."
            )
    if isinstance(error.__cause__, PermissionError):
        raise NotPermitted("NVR may not read the file or may not enter its folder.") from error


def record_failure(lease: CameraLease, upload: Upload, error: Exception) -> None:
    with transaction.atomic():
        lease.confirm()
        apply_error(upload, error)
    if not isinstance(error, NvrError):
        logger.error("upload not processed id=%s", upload.pk, exc_info=error)
    logger.info("upload %s id=%s reason=%s", upload.state, upload.pk, upload.reason)


def postpone_after_database_error(lease: CameraLease, upload: Upload) -> None:
    """Retry later after a database error: the file is not the cause, and the database's disk may be full for hours."""
    with transaction.atomic():
        lease.confirm()
        if upload.attempts >= Upload.MAX_RESTARTS:
            upload.fail(REFUSED)
        else:
            delay = min(RECHECK_DELAY * 2 ** (upload.attempts - 1), MAX_RETRY_DELAY)
            upload.postpone(f"{REFUSED} NVR will retry.", delay, attempts=upload.attempts)


def apply_error(upload: Upload, error: Exception) -> None:
    """Set the upload's state: waiting for a retry, rejected (the file is invalid) or failed (retries exhausted)."""
    if isinstance(error, Missing):
        wait_for_file(upload, error)
        return
    upload.missing_since = timezone.now() if isinstance(error, NoSuchFile) else None
    if isinstance(error, FileChanged) and error.file_stat is not None:
        reenter_changed(upload, error.file_stat)
    elif isinstance(error, NoSuchFile):
        upload.reject(FILE_REMOVED)
    elif isinstance(error, DigestUnfinished):
        continue_later(upload, error)
    elif isinstance(error, CameraInactive):
        upload.postpone(as_sentence(error), timedelta(0))
    elif isinstance(error, FolderOutsideBase | FolderRedirected):
        upload.postpone(as_sentence(error), RETRY_DELAY)
    elif isinstance(error, Incomplete):
        defer_incomplete(upload, as_sentence(error), "It is checked again when it grows.")
    elif isinstance(error, NotPermitted):
        defer_incomplete(upload, as_sentence(error), "Change its owner or mode: it is checked again.")
    elif isinstance(error, HARD_TO_READ):
        upload.retry_or_fail(as_sentence(error), RETRY_DELAY)
    elif isinstance(error, DecodingTimedOut):  # slow disk or slow picture: retry rarely, so that others are not blocked
        upload.postpone(as_sentence(error), recheck_delay(upload))
    elif isinstance(error, NvrError) and error.status in TRANSIENT:
        upload.postpone(as_sentence(error), RETRY_DELAY)
    elif isinstance(error, NvrError):
        upload.reject(as_sentence(error))
    else:
        reason = f"It could not be processed: {type(error).__name__}. See the log for details."
        upload.retry_or_fail(reason, RETRY_DELAY)


def continue_later(upload: Upload, error: DigestUnfinished) -> None:
    """Continue a large file after other uploads; the blocks read so far are not read again."""
    upload.block_digests = error.block_digests
    upload.save(update_fields=["block_digests"])
    upload.postpone(error.detail, timedelta(0))


def as_sentence(error: NvrError) -> str:
    """The error's detail with a full stop: titles have none."""
    return error.detail if error.detail.endswith(".") else f"{error.detail}."


def defer_incomplete(upload: Upload, reason: str, next_step: str) -> None:
    """Wait for an interrupted upload to be resumed; reject it after `NVR_INCOMPLETE_UPLOAD_TIMEOUT`."""
    if upload.is_abandoned(timezone.now()):
        upload.reject(reason)
    else:
        upload.postpone(f"{reason} {next_step}", recheck_delay(upload))


def recheck_delay(upload: Upload) -> timedelta:
    """The time until the next check, longer for files that have not changed for long.

    The watcher notices at once if the file grows.
    """
    return backoff(upload.quiet_for(timezone.now()))


def backoff(since: timedelta) -> timedelta:
    return max(RECHECK_DELAY, min(since / 2, MAX_RETRY_DELAY))


def wait_for_file(upload: Upload, error: Missing) -> None:
    """Wait for a missing file: for hours if it may have been deleted, otherwise forever.

    The watcher notices at once when it is back.
    """
    upload.missing_since = upload.missing_since or timezone.now()
    missing_for = timezone.now() - upload.missing_since
    if error.is_deletable and missing_for > settings.NVR_INCOMPLETE_UPLOAD_TIMEOUT:
        upload.reject(FILE_REMOVED)
    else:
        upload.postpone(f"{as_sentence(error)} It is processed when it is back.", backoff(missing_for))


def reenter_changed(upload: Upload, file_stat: os.stat_result) -> None:
    """Set the upload to the changed file's size and time, unless another upload already has this content."""
    same_name = Upload.objects.of_file(upload.camera_id, upload.below).exclude(pk=upload.pk)
    other = same_name.filter(size_bytes=file_stat.st_size, mtime_ns=stored_mtime_ns(file_stat.st_mtime_ns)).first()
    if other is not None and other.state != UploadState.WAITING:
        upload.reject(f"It was overwritten before it was processed: now it is upload {other.pk}.")
        return
    if other is not None:  # not processed yet
        other.delete()
    upload.size_bytes, upload.mtime_ns, upload.block_digests = (
        file_stat.st_size,
        stored_mtime_ns(file_stat.st_mtime_ns),
        "",
    )
    upload.save(update_fields=["size_bytes", "mtime_ns", "block_digests"])
    upload.postpone(CHANGED, settings.NVR_UPLOAD_STABLE_TIME)
