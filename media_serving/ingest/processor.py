"""The worker's side of the ledger: turn by turn, file by file, and what is said of a file that failed."""

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
from cameras.folder_ownership import FolderRedirected, current_folders
from cameras.folders import FolderOutsideBase, folder_of
from media_serving.ingest.content import Incomplete
from media_serving.ingest.digests import Changed, NotWanted, Unfinished
from media_serving.ingest.leases import TurnLost, begin, cameras_with_work, hold, next_batch, turn_of
from media_serving.ingest.ledger import GONE, NOT_MEDIA, NOT_REGULAR
from media_serving.ingest.missing import Missing, check_folder, meaning_of
from media_serving.ingest.names import is_media
from media_serving.ingest.overwrites import used_again
from media_serving.ingest.pipeline import Job, work_through
from media_serving.leases import MAX_ATTEMPTS, MAX_RESTARTS
from media_serving.models import CameraTurn, Upload, UploadState
from media_serving.models.uploads import MAX_REASON_LENGTH, MAX_RETRY_DELAY, mtime_to_datetime, stored_mtime_ns
from nvr.errors import Forbidden, Invalid, NvrError
from nvr.media.ffmpeg.operations import FfmpegKilled, FfmpegTimedOut
from nvr.media.files.paths import NoSuchFile, error_for, open_regular
from nvr.media.images.errors import DecodingTimedOut

logger = logging.getLogger(__name__)
T = TypeVar("T")

TIME_BUDGET_S = 20.0  # then the worker takes other tasks of its queue
TURN_S = 5.0  # then another camera's turn comes: videos take minutes, and what arrives meanwhile may be newer
AGAIN_AFTER = timedelta(seconds=15)  # what may still grow
TROUBLED_FOR = timedelta(seconds=30)  # what failed for want of a disk, of memory or of ffmpeg
TRANSIENT = (503, 507)
CHANGED = "It changed while it was read."
REFUSED = "The database did not take what was found in it: see to its disk, and to its log."
# Perhaps the file's fault, perhaps the machine's.
HARD_TO_READ = (FfmpegTimedOut, FfmpegKilled)


class NotPermitted(Forbidden):
    title = "The file may not be read"


def work(slice_s: float = TIME_BUDGET_S) -> int:
    """Work on whatever waits, one batch of a camera after the other; how many files were taken in hand."""
    until, worked = time.monotonic() + slice_s, 0
    while done := sum(work_on(camera_id) for camera_id in in_time(answering(cameras_with_work(timezone.now())), until)):
        worked += done
    return worked


def answering(camera_ids: list[int]) -> list[int]:
    """Without those whose folder hangs: a worker that waits for a dead disk is lost to all others."""
    unresponsive = current_folders().unresponsive if camera_ids else frozenset[int]()
    return [camera_id for camera_id in camera_ids if camera_id not in unresponsive]


def in_time(items: list[T], until: float) -> Iterator[T]:
    return takewhile(lambda _: time.monotonic() < until, items)


def work_on(camera_id: int) -> int:
    """What of a batch of one camera there is time for; 0 if there is none, or somebody else is at it."""
    with turn_of(camera_id) as turn:
        if turn is None:
            return 0
        batch = next_batch(camera_id, timezone.now())
        again = used_again(batch)
        taken, arrived, until = 0, [], time.monotonic() + TURN_S
        try:
            for upload in in_time(batch, until):
                if begin(turn, upload):
                    taken += 1
                    is_again = upload.pk in again or upload.reason == CHANGED
                    if attempt(turn, upload, is_again=is_again, until=until):
                        arrived.append(upload)
        except TurnLost:
            logger.warning("turn lost camera=%s", camera_id)
        if arrived:
            note_sight(arrived)
        return taken


def note_sight(uploads: list[Upload]) -> None:
    """The camera lives: it delivered something that could be read."""
    newest = max(min(mtime_to_datetime(upload.mtime_ns), upload.received_at) for upload in uploads)
    health.store_evidence(uploads[0].camera, health.Evidence(newest_at=min(newest, timezone.now())))


def attempt(turn: CameraTurn, upload: Upload, *, is_again: bool = False, until: float = math.inf) -> bool:
    """Whether something was made of what was begun. Whatever is wrong with it is on record afterwards."""
    try:
        with opened(turn, upload) as job:
            job.is_again, job.until = is_again, until
            work_through(job)
    except TurnLost:
        raise  # who took the camera over has the row wait again
    except (OperationalError, InterfaceError):
        with suppress(DatabaseError, InterfaceError):  # else the row stays in hand until the lease has ended
            put_off(turn, upload)
        raise
    except Exception as error:  # noqa: BLE001 - one file must not keep the others from being looked at
        fail(turn, upload, looked_again(upload, error))
        return False
    return True


def looked_again(upload: Upload, error: Exception) -> Exception:
    """What it means that the file is not there; of one that changed, with what it is now. The disk is asked."""
    if isinstance(error, Changed):
        try:
            error.facts = upload.file.lstat()
        except OSError as fault:
            error = error_for(fault)
    return meaning_of(upload) if isinstance(error, NoSuchFile) else error


@contextmanager
def opened(turn: CameraTurn, upload: Upload) -> Iterator[Job]:
    """Raises `NoSuchFile`, `NotPermitted`, `Invalid` for what is no media file, and `StorageFault` while it is away."""
    if not is_media(upload.below):
        raise Invalid(NOT_MEDIA)
    root = folder_of(upload.camera)
    path = Path(os.fsdecode(os.fsencode(root) + b"/" + upload.below))
    try:
        file = open_regular(path, root=root)
    except NoSuchFile as error:
        check_folder(upload.camera)
        refuse_what_is_there(path, error)
        raise
    job = Job(upload, turn, file)
    try:
        yield job
    finally:
        job.file.close()


def refuse_what_is_there(path: Path, error: NoSuchFile) -> None:
    """Raises for what cannot be opened although it is there."""
    with suppress(OSError):
        facts = path.lstat()
        if not stat.S_ISREG(facts.st_mode):
            raise Invalid(NOT_REGULAR) from error
        if isinstance(error.__cause__, PermissionError):
            raise NotPermitted(
                f"We may not read it: it belongs to user {facts.st_uid}, mode {facts.st_mode & 0o7777:o}."
            )
    if isinstance(error.__cause__, PermissionError):
        raise NotPermitted("We may not read it, or not enter its folder.") from error


def fail(turn: CameraTurn, upload: Upload, error: Exception) -> None:
    with transaction.atomic():
        hold(turn)
        settle(upload, error)
    if not isinstance(error, NvrError):
        logger.error("upload not read id=%s", upload.pk, exc_info=error)
    logger.info("upload %s id=%s reason=%s", upload.state, upload.pk, upload.reason)


def put_off(turn: CameraTurn, upload: Upload) -> None:
    """The database is no fault of the file: its disk may be full for hours."""
    with transaction.atomic():
        hold(turn)
        if upload.attempts >= MAX_RESTARTS:
            end(upload, UploadState.FAILED, REFUSED)
        else:
            pause = min(AGAIN_AFTER * 2 ** (upload.attempts - 1), MAX_RETRY_DELAY)
            wait(upload, f"{REFUSED} It is tried again.", pause, attempts=upload.attempts)


def settle(upload: Upload, error: Exception) -> None:
    """Waiting again, rejected or failed: as it can, will never, or should by our fault not be tried again."""
    if isinstance(error, Missing):
        wait_until_back(upload, error)
        return
    upload.missing_since = timezone.now() if isinstance(error, NoSuchFile) else None
    if isinstance(error, Changed) and error.facts is not None:
        take_anew(upload, error.facts)
    elif isinstance(error, NoSuchFile):
        end(upload, UploadState.REJECTED, GONE)
    elif isinstance(error, Unfinished):
        go_on_later(upload, error)
    elif isinstance(error, NotWanted):
        wait(upload, as_sentence(error), timedelta(0), attempts=0)
    elif isinstance(error, FolderOutsideBase | FolderRedirected):
        wait(upload, as_sentence(error), TROUBLED_FOR, attempts=0)
    elif isinstance(error, Incomplete):
        defer_incomplete(upload, as_sentence(error), "It is looked at again when it grows.")
    elif isinstance(error, NotPermitted):
        defer_incomplete(upload, as_sentence(error), "Change its owner or mode: it is looked at again.")
    elif isinstance(error, HARD_TO_READ):
        try_again(upload, as_sentence(error))
    elif isinstance(error, DecodingTimedOut):  # by a disk that is slow, or a picture: seldom, so that others have turns
        wait(upload, as_sentence(error), next_look(upload), attempts=0)
    elif isinstance(error, NvrError) and error.status in TRANSIENT:
        wait(upload, as_sentence(error), TROUBLED_FOR, attempts=0)
    elif isinstance(error, NvrError):
        end(upload, UploadState.REJECTED, as_sentence(error))
    else:
        try_again(upload, f"It could not be read: {type(error).__name__}. The log tells more.")


def go_on_later(upload: Upload, error: Unfinished) -> None:
    """When the others have had their turn; as far as it was read, it need not be read again."""
    upload.block_digests = error.block_digests
    upload.save(update_fields=["block_digests"])
    wait(upload, error.detail, timedelta(0), attempts=0)


def as_sentence(error: NvrError) -> str:
    """What is wrong; a mere title has no full stop."""
    return error.detail if error.detail.endswith(".") else f"{error.detail}."


def try_again(upload: Upload, reason: str) -> None:
    """A few times, whoever's fault it is."""
    if upload.attempts >= MAX_ATTEMPTS:
        end(upload, UploadState.FAILED, reason)
    else:
        wait(upload, reason, TROUBLED_FOR, attempts=upload.attempts)


def defer_incomplete(upload: Upload, reason: str, hope: str) -> None:
    """An upload that was cut off may be resumed; after hours nobody will."""
    if upload.is_abandoned(timezone.now()):
        end(upload, UploadState.REJECTED, reason)
    else:
        wait(upload, f"{reason} {hope}", next_look(upload), attempts=0)


def next_look(upload: Upload) -> timedelta:
    """The longer it has been quiet, the longer until the next look; the watcher sees it grow at once."""
    return later_and_later(upload.quiet_for(timezone.now()))


def later_and_later(since: timedelta) -> timedelta:
    return max(AGAIN_AFTER, min(since / 2, MAX_RETRY_DELAY))


def wait_until_back(upload: Upload, error: Missing) -> None:
    """For hours, if it may have been deleted, else for ever: the watcher sees at once when it is there again."""
    upload.missing_since = upload.missing_since or timezone.now()
    missing_for = timezone.now() - upload.missing_since
    if error.is_deletable and missing_for > settings.NVR_INCOMPLETE_UPLOAD_TIMEOUT:
        end(upload, UploadState.REJECTED, GONE)
    else:
        wait(upload, f"{as_sentence(error)} It is read when it is back.", later_and_later(missing_for), attempts=0)


def wait(upload: Upload, reason: str, span: timedelta, *, attempts: int) -> None:
    upload.retry_at = timezone.now() + span
    upload.attempts = attempts
    end(upload, UploadState.WAITING, reason)


def end(upload: Upload, state: UploadState, reason: str) -> None:
    upload.state, upload.reason = state, reason[:MAX_REASON_LENGTH]
    upload.save(update_fields=["state", "reason", "retry_at", "attempts", "is_kept", "missing_since"])


def take_anew(upload: Upload, facts: os.stat_result) -> None:
    """The file changed before it was read: this upload is what it is now, unless that has been read as another."""
    same_name = Upload.objects.of_file(upload.camera_id, upload.below).exclude(pk=upload.pk)
    other = same_name.filter(size_bytes=facts.st_size, mtime_ns=stored_mtime_ns(facts.st_mtime_ns)).first()
    if other is not None and other.state != UploadState.WAITING:
        end(upload, UploadState.REJECTED, f"It was overwritten before it was read: now it is upload {other.pk}.")
        return
    if other is not None:  # nothing was made of that yet
        other.delete()
    upload.size_bytes, upload.mtime_ns, upload.block_digests = facts.st_size, stored_mtime_ns(facts.st_mtime_ns), ""
    upload.save(update_fields=["size_bytes", "mtime_ns", "block_digests"])
    wait(upload, CHANGED, settings.NVR_UPLOAD_STABLE_TIME, attempts=0)
