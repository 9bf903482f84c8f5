"""The playable form of a video: the original if every browser plays it, else an MP4 made once by a worker."""

from __future__ import annotations

import hashlib
import logging
import os
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from urllib.parse import quote, unquote_to_bytes

from celery import current_app
from django.db import IntegrityError, transaction
from django.utils import timezone
from kombu.exceptions import OperationalError

from media_serving.models import PlayableForm, WorkState
from nvr.errors import Invalid, NvrError, Unavailable
from nvr.media.files.cached_files import cache_folder
from nvr.media.files.content_types import extension
from nvr.media.files.paths import named_errors

logger = logging.getLogger(__name__)

TASK = "media.make_playable"
USED_PRECISION = timedelta(minutes=10)
# By extension: ffmpeg's names of the container, and of the picture's and the sound's codecs
BROWSERS_PLAY = {
    ".mp4": ("mov", {"h264"}, {"aac", "mp3", None}),
    ".webm": ("matroska", {"vp8", "vp9", "av1"}, {"vorbis", "opus", None}),
}
PIXELS = {"yuv420p", "yuvj420p", "yuva420p"}


class CannotPlay(Invalid):
    """No playable form can be made of this file; the reason is a sentence."""

    title = "There is no playable form of this video"


@dataclass(frozen=True)
class Playable:
    """`path` once there is a file to serve; until then `state` is `waiting` or `working`."""

    state: str
    path: Path | None = None


def playable_form(file: Path) -> Playable:
    """The playable form of the video `file` (resolved); asks a worker for it if it is not there yet.

    Raises `CannotPlay` with the reason, or `Unavailable` if the last attempt failed for want of something.
    """
    row = PlayableForm.objects.filter(key=key_of(file)).first() or asked_for(file)
    if row.state == WorkState.FAILED:
        try_again(row)
    if row.state == WorkState.DONE:
        made = file if row.size_bytes is None else path_of(row)
        if made.exists():
            note_use(row)
            return Playable(row.state, made)
        start_over(row)
    return Playable(row.state)


def key_of(file: Path) -> str:
    with named_errors():
        facts = file.stat()
    identity = b"%s\0%d\0%d" % (os.fsencode(file), facts.st_mtime_ns, facts.st_size)
    return hashlib.sha256(identity).hexdigest()


def path_of(row: PlayableForm) -> Path:
    return cache_folder("playable") / f"{row.key}.mp4"


def source_of(row: PlayableForm) -> Path:
    return Path(os.fsdecode(unquote_to_bytes(row.path)))


def asked_for(file: Path) -> PlayableForm:
    """The row of a video that is asked for the first time; of two who ask at once, one makes it."""
    key = key_of(file)
    as_it_is = plays_as_it_is(file)
    with named_errors():
        facts = file.stat()
    row = PlayableForm(
        key=key,
        path=quote(os.fsencode(file)),
        mtime_ns=facts.st_mtime_ns,
        source_size_bytes=facts.st_size,
        state=WorkState.DONE if as_it_is else WorkState.WAITING,
    )
    try:
        with transaction.atomic():
            row.save(force_insert=True)
    except IntegrityError:
        return PlayableForm.objects.get(key=key)
    if not as_it_is:
        send_after_commit(row.pk)
    return row


def plays_as_it_is(file: Path) -> bool:
    """Whether every current browser plays the file itself. What cannot be read is left to the worker to judge."""
    form = BROWSERS_PLAY.get(extension(file.name))
    if form is None:
        return False
    from nvr.media.ffmpeg import operations as ffmpeg  # for the first who asks only

    try:
        facts = ffmpeg.probe(file)
    except NvrError:
        return False
    container, video, audio = form
    playable = facts.video_codec in video and facts.audio_codec in audio and facts.pix_fmt in PIXELS
    return playable and facts.container == container and not facts.has_other_tracks


def try_again(row: PlayableForm) -> None:
    """A failure for want of something (disk, ffmpeg) is tried again when its time has come; others are final."""
    now = timezone.now()
    if row.retry_at is None:
        raise CannotPlay(row.reason)
    if row.retry_at > now:
        raise Unavailable(row.reason, retry_after=seconds_until(row.retry_at, now))
    start_over(row)


def seconds_until(moment: datetime, now: datetime) -> int:
    return max(1, int((moment - now).total_seconds()))


def start_over(row: PlayableForm) -> None:
    """Wait for a worker again; if another asker was quicker, theirs counts."""
    again = {"state": WorkState.WAITING, "attempts": 0, "retry_at": None, "size_bytes": None, "reason": ""}
    if PlayableForm.objects.filter(pk=row.pk, state=row.state).update(**again, sent_at=timezone.now()):
        send_after_commit(row.pk)
    row.state = WorkState.WAITING


def note_use(row: PlayableForm) -> None:
    now = timezone.now()
    if now - row.used_at > USED_PRECISION:
        PlayableForm.objects.filter(pk=row.pk).update(used_at=now)


def send_after_commit(pk: int) -> None:
    transaction.on_commit(lambda: send(pk))


def send(pk: int) -> None:
    """Tell the workers. If the broker is away the row waits: what is owed is sent again later."""
    try:
        current_app.send_task(TASK, args=[pk], queue="bulk")
    except (OperationalError, OSError) as error:
        logger.warning("broker away, playable form waits id=%s error=%s", pk, type(error).__name__)
