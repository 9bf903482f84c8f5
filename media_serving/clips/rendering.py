"""Rendering an event's clip: from videos if they show the event, else from stills."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from itertools import zip_longest
from pathlib import Path
from typing import BinaryIO

from django.conf import settings

from cameras.folders.access import check_volume
from cameras.folders.ownership import Folders, folders_for
from media_serving.clips.footage import (
    Footage,
    NoFootage,
    clip_range,
    footage_exists,
    open_footage,
    stills_around,
    videos_around,
)
from media_serving.models import Event
from nvr.errors import Forbidden, NotFound
from nvr.media.ffmpeg import clips
from nvr.media.ffmpeg import operations as ffmpeg
from nvr.media.ffmpeg.clips import Cut, Deadline
from nvr.media.ffmpeg.truncation import readable_duration, video_is_complete

logger = logging.getLogger(__name__)

MAX_PIECES = 100
MAX_STILLS = 600  # five minutes
MIN_LENGTH_S = 0.001


@dataclass(frozen=True)
class Piece:
    """A part of one video whose first picture was taken at `at`."""

    at: datetime
    cut: Cut

    @property
    def ended_at(self) -> datetime:
        return self.at + timedelta(seconds=self.cut.length)


@dataclass(frozen=True)
class FootageRange:
    """A part of the clip that shows `length_s` from `at` on; for a still, how long it is shown."""

    at: datetime
    length_s: float


def make_clip(event: Event, part: Path) -> list[FootageRange]:
    """Write the event's clip to `part`: H.264 in an MP4 that plays while it loads. Return the ranges that it shows.

    Raises `NoFootage`, `FfmpegFailed`, `Unavailable` when the camera's storage does not respond, and OSError when
    the data disk fails.
    """
    folders, deadline = folders_for(event.camera), Deadline(settings.NVR_CLIP_TIME_LIMIT)
    unreadable: ffmpeg.FfmpegFailed | None = None
    with ExitStack() as files:
        pieces = pieces_of(event, folders, files, deadline)
        methods = [partial(from_videos, pieces, part, deadline), partial(from_stills, event, folders, part, deadline)]
        # If the videos show only the padding, stills are more useful.
        for method in methods if shows_event(event, pieces) else reversed(methods):
            try:
                if shown := method():
                    return shown
            except ffmpeg.ENVIRONMENT_ERRORS:
                raise
            except ffmpeg.FfmpegFailed as error:
                unreadable = error
    # Nothing was found. An unmounted volume is worth a retry, missing footage is not.
    check_volume(event.camera)
    raise unreadable or NoFootage


def from_videos(pieces: list[Piece], part: Path, deadline: Deadline) -> list[FootageRange]:
    """Return an empty list if there are no videos."""
    if pieces:
        clips.cut_videos([piece.cut for piece in pieces], part, timeout=deadline.remaining())
    return [FootageRange(piece.at, piece.cut.length) for piece in pieces]


def from_stills(event: Event, folders: Folders, part: Path, deadline: Deadline) -> list[FootageRange]:
    shown: list[FootageRange] = []
    stills = sample_evenly([still for still in stills_around(event) if footage_exists(still, folders)])
    if stills:
        clips.render_stills(open_stills(stills, folders, shown), part, timeout=deadline.remaining())
    if shown:
        shown[-1] = replace(shown[-1], length_s=clips.LAST_STILL_DURATION_S)
    return shown


def sample_evenly(stills: list[Footage]) -> list[Footage]:
    """Return at most `MAX_STILLS`, evenly spaced, including the first and the last."""
    if len(stills) <= MAX_STILLS:
        return stills
    return [stills[number * (len(stills) - 1) // (MAX_STILLS - 1)] for number in range(MAX_STILLS)]


def open_stills(stills: list[Footage], folders: Folders, shown: list[FootageRange]) -> Iterator[BinaryIO]:
    """Yield each still, open until the next is requested, and add it to `shown`; skip files that no longer exist."""
    for still in stills:
        with suppress(NotFound, Forbidden), open_footage(still, folders) as file:
            shown.append(FootageRange(still.at, 1 / clips.STILLS_PER_SECOND))
            yield file


def pieces_of(event: Event, folders: Folders, files: ExitStack, deadline: Deadline) -> list[Piece]:
    """Return the pieces of the camera's videos, open in `files`. Where two overlap, the earlier one is used.

    Stops once the range is covered: a camera may report the same start time for all its files.
    """
    start, end = clip_range(event)
    around = videos_around(event)
    pieces: list[Piece] = []
    for footage, following in zip_longest(around, around[1:]):
        if len(pieces) == MAX_PIECES or (end - start).total_seconds() < MIN_LENGTH_S:
            break
        deadline.check()
        piece = piece_of(footage, following, (start, end), folders, files, deadline)
        if piece is not None:
            pieces.append(piece)
            start = piece.ended_at
    return pieces


def piece_of(
    footage: Footage,
    following: Footage | None,
    span: tuple[datetime, datetime],
    folders: Folders,
    files: ExitStack,
    deadline: Deadline,
) -> Piece | None:
    """Return the part of the video within `span`; None if there is none or the video is unreadable."""
    with ExitStack() as file:
        found = open_video(footage, folders, file)
        if found is None:
            return None
        source, facts, is_whole = found
        start, end = (max(0.0, (edge - footage.at).total_seconds()) for edge in span)
        end = min(end, stated_length(facts, footage, following))
        if end - start >= MIN_LENGTH_S and not is_whole:
            end = min(end, readable_length(source, facts, end, deadline))
        if end - start < MIN_LENGTH_S:
            return None
        files.enter_context(file.pop_all())
    return Piece(footage.at + timedelta(seconds=start), Cut(source, facts, start, end - start))


def open_video(
    footage: Footage, folders: Folders, files: ExitStack
) -> tuple[ffmpeg.Source, ffmpeg.MediaInfo, bool] | None:
    """Return source, media info and whether the stated duration is reliable: a truncated file may be shorter."""
    try:
        video = files.enter_context(open_footage(footage, folders))
        source = ffmpeg.source_for(video)
        facts = ffmpeg.probe_source(source)
        return source, facts, facts.plausible_duration is not None and video_is_complete(video)
    except (NotFound, Forbidden):
        return None
    except (ffmpeg.FfmpegMissing, ffmpeg.FfmpegKilled):
        raise
    except ffmpeg.FfmpegFailed as error:
        logger.info("video skipped in clip camera=%s: %s", footage.camera.pk, error.detail)
        return None


def stated_length(facts: ffmpeg.MediaInfo, footage: Footage, following: Footage | None) -> float:
    """Return the duration in seconds; if missing or implausible, the time until the next file starts."""
    if facts.plausible_duration is not None:
        return facts.plausible_duration
    return math.inf if following is None else (following.at - footage.at).total_seconds()


def readable_length(source: ffmpeg.Source, facts: ffmpeg.MediaInfo, until: float, deadline: Deadline) -> float:
    """Return how much of the first `until` seconds is readable; infinity if unknown, so that cutting decides."""
    try:
        return readable_duration(source, facts, until=until, timeout=deadline.remaining())
    except ffmpeg.ENVIRONMENT_ERRORS:
        raise
    except ffmpeg.FfmpegFailed:
        return math.inf


def shows_event(event: Event, pieces: list[Piece]) -> bool:
    return any(piece.at <= event.last_detected_at and piece.ended_at >= event.started_at for piece in pieces)
