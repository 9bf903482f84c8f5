"""Web playback version of a video: the original if every browser plays it, else an MP4 transcoded by a worker."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from urllib.parse import quote, unquote_to_bytes

from django.db import IntegrityError, transaction
from django.utils import timezone

from media_serving.models import Transcode
from nvr.errors import Invalid, NvrError, Unavailable
from nvr.jobs.dispatch import send_after_commit
from nvr.jobs.models import JobState
from nvr.media.files.cached_files import cache_folder
from nvr.media.files.content_types import extension
from nvr.media.files.paths import translate_os_errors

USED_PRECISION = timedelta(minutes=10)
# By extension: ffmpeg's names of the container, the video codecs and the audio codecs
BROWSERS_PLAY = {
    ".mp4": ("mov", {"h264"}, {"aac", "mp3", None}),
    ".webm": ("matroska", {"vp8", "vp9", "av1"}, {"vorbis", "opus", None}),
}
PIXELS = {"yuv420p", "yuvj420p", "yuva420p"}


class TranscodeFailed(Invalid):
    """The video cannot be transcoded; the reason is a sentence."""

    title = "This video cannot be transcoded"


@dataclass(frozen=True)
class PlaybackVersion:
    """`path` once there is a file to serve; until then `state` is `waiting` or `working`."""

    state: str
    path: Path | None = None


def playback_version(file: Path) -> PlaybackVersion:
    """Return the web playback version of the video `file` (resolved); queue a transcode if there is none yet.

    Raises `TranscodeFailed` with the reason, or `Unavailable` if the last attempt was postponed.
    """
    row = Transcode.objects.filter(key=content_key(file)).first() or request_transcode(file)
    if row.state == JobState.FAILED:
        raise TranscodeFailed(row.reason)
    if row.state == JobState.WAITING:
        check_postponed(row)
    if row.state == JobState.DONE:
        made = file if row.size_bytes is None else cached_path(row)
        if made.exists():
            record_use(row)
            return PlaybackVersion(row.state, made)
        reset(row)
    return PlaybackVersion(row.state)


def content_key(file: Path) -> str:
    with translate_os_errors():
        facts = file.stat()
    identity = b"%s\0%d\0%d" % (os.fsencode(file), facts.st_mtime_ns, facts.st_size)
    return hashlib.sha256(identity).hexdigest()


def cached_path(row: Transcode) -> Path:
    return cache_folder("playable") / f"{row.key}.mp4"


def source_path(row: Transcode) -> Path:
    return Path(os.fsdecode(unquote_to_bytes(row.path)))


def shown_source(row: Transcode) -> str:
    """The original's path as text for display."""
    return str(source_path(row)).encode("utf-8", "replace").decode()


def request_transcode(file: Path) -> Transcode:
    """Create the row of a video at its first request; return the existing one if another request was faster."""
    key = content_key(file)
    # Probed outside of the transaction: it takes a tenth of a second, and SQLite has one writer.
    plays_unchanged = plays_in_browsers(file)
    with translate_os_errors():
        facts = file.stat()
    row = Transcode(
        key=key,
        path=quote(os.fsencode(file)),
        mtime_ns=facts.st_mtime_ns,
        source_size_bytes=facts.st_size,
        state=JobState.DONE if plays_unchanged else JobState.WAITING,
    )
    try:
        with transaction.atomic():
            row.save(force_insert=True)
    except IntegrityError:
        return Transcode.objects.get(key=key)
    if not plays_unchanged:
        send_after_commit(row)
    return row


def plays_in_browsers(file: Path) -> bool:
    """Return whether every current browser plays the file; False if it is unreadable, which the worker handles."""
    supported = BROWSERS_PLAY.get(extension(file.name))
    if supported is None:
        return False
    from nvr.media.ffmpeg import operations as ffmpeg  # needed for the first request only

    try:
        facts = ffmpeg.probe(file)
    except NvrError:
        return False
    container, video, audio = supported
    playable = facts.video_codec in video and facts.audio_codec in audio and facts.pix_fmt in PIXELS
    return playable and facts.container == container and not facts.has_other_tracks


def check_postponed(row: Transcode) -> None:
    """Raise `Unavailable` for a postponed transcode (disk full, ffmpeg missing): a worker retries it when it is due."""
    now = timezone.now()
    if row.retry_at is not None and row.retry_at > now:
        raise Unavailable(row.reason, retry_after=max(1, int((row.retry_at - now).total_seconds())))


def reset(row: Transcode) -> None:
    """Set the row back to waiting and queue it, unless another request has already changed its state."""
    rows = Transcode.objects.filter(pk=row.pk, state=row.state)
    if rows.requeue(size_bytes=None, sent_at=timezone.now()):
        send_after_commit(row)
    row.state = JobState.WAITING


def record_use(row: Transcode) -> None:
    now = timezone.now()
    # A player requests a video in many ranges: not each of them writes to the database.
    if now - row.used_at > USED_PRECISION:
        Transcode.objects.filter(pk=row.pk).update(used_at=now)
