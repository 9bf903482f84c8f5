"""What we ask of ffmpeg: facts of a video, a frame of it, and a form that browsers play.

The file is opened by us and handed over as a descriptor: what was looked at is what is read. Exactly one demuxer,
picked by the file's first bytes, may read it, and from nothing but that file.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from datetime import timedelta
from math import ceil
from pathlib import Path
from typing import Any, BinaryIO, cast

from django.conf import settings

from nvr.media.ffmpeg.containers import ELEMENTARY_STREAMS, UnknownContainer
from nvr.media.ffmpeg.probing import (
    PROBE_TIMEOUT,
    MediaInfo,
    Source,
    open_source,
    probe,
    probe_source,
    run_ffprobe,
    source_for,
    video_specifier,
)
from nvr.media.ffmpeg.processes import (
    FfmpegFailed,
    FfmpegKilled,
    FfmpegMissing,
    FfmpegOutOfSpace,
    FfmpegTimedOut,
    mask_credentials,
    run,
    stream_output,
)
from nvr.media.ffmpeg.tracks import parse_seconds
from nvr.media.files.atomic_write import write_to

__all__ = [
    "FfmpegFailed",
    "FfmpegKilled",
    "FfmpegMissing",
    "FfmpegOutOfSpace",
    "FfmpegTimedOut",
    "MediaInfo",
    "SampledFrame",
    "Source",
    "UnknownContainer",
    "can_remux",
    "extract_early_frame",
    "extract_frame",
    "mask_credentials",
    "open_source",
    "parse_seconds",
    "probe",
    "probe_source",
    "remux_mp4",
    "run_ffprobe",
    "sample_frames",
    "source_for",
    "transcode_mp4",
]

BROWSER_PIXEL_FORMATS = {"yuv420p", "yuvj420p"}
BROWSER_AUDIO_CODECS = {None, "aac", "mp3"}
EVEN_SIZE = "'trunc(max(iw,2)/2)*2':'trunc(max(ih,2)/2)*2'"  # 4:2:0 halves both sides
DEMUXERS_WITHOUT_INDEX = {"mpegts", "mpeg", "dhav", *ELEMENTARY_STREAMS}
MIN_BYTES_PER_S = 1000  # a still picture at the worst quality that cameras offer takes more
SEEK_LEAD_S = 10.0  # longer than the key frames of most cameras lie apart
H264 = {"vcodec": "libx264", "preset": "veryfast", "crf": 23, "pix_fmt": "yuv420p", "max_muxing_queue_size": 1024}
AAC = {"acodec": "aac", "ab": "128k"}
ONE_JPEG = {"format": "image2", "update": 1, "vcodec": "mjpeg", "pix_fmt": "yuvj420p", "q:v": 3, "an": None}
ENVIRONMENT_ERRORS = (FfmpegMissing, FfmpegKilled, FfmpegTimedOut, FfmpegOutOfSpace)
MP4 = {"format": "mp4", "movflags": "+faststart", "map_metadata": -1, "sn": None, "dn": None}


@dataclass(frozen=True)
class SampledFrame:
    """What a video shows `offset` after its beginning: rows of RGB, three bytes for each pixel, upright."""

    offset: timedelta
    width: int
    height: int
    pixels: bytes


def extract_frame(
    path: Path, at: float, target: Path, width: int | None = None, *, timeout: timedelta = PROBE_TIMEOUT
) -> None:
    """Write the frame at `at` seconds as JPEG; of a shorter video its last frame, else its first.

    At most `width` pixels wide, never enlarged. `timeout` is for all attempts together. Raises `FfmpegFailed`.
    """
    deadline = time.monotonic() + timeout.total_seconds()
    with open_source(path) as source, write_to(target) as part:
        picture = video_specifier(source, timeout=timeout)
        for reading, writing in frame_attempts(source, max(0.0, at), deadline):
            if width is not None:
                writing["vf"] = f"scale='min({int(width)},iw)':-1"
            if write_frame(source, part, reading, writing, picture, timeout=time_left(deadline)):
                return
        raise FfmpegFailed("The video holds no frame that can be read.")


def extract_early_frame(
    path: Path, at: float, target: Path, width: int, *, root: Path | None = None, timeout: timedelta = PROBE_TIMEOUT
) -> None:
    """Write the frame at `at` seconds as JPEG; of a shorter video the one in its middle, else what can be had.

    `root` (resolved) is checked against what was really opened. Otherwise as `extract_frame`.
    """
    deadline = time.monotonic() + timeout.total_seconds()
    with open_source(path, root=root) as source, write_to(target) as part:
        picture = video_specifier(source, timeout=timeout)
        for reading, writing in early_frame_attempts(source, at, deadline):
            writing["vf"] = f"scale='min({int(width)},iw)':-1"
            if write_frame(source, part, reading, writing, picture, timeout=time_left(deadline)):
                return
        raise FfmpegFailed("The video holds no frame that can be read.")


def early_frame_attempts(source: Source, at: float, deadline: float) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """Only a video that is too short is asked how long it is."""
    yield next(frame_attempts(source, at, deadline))
    yield from frame_attempts(source, (probe_source(source, timeout=time_left(deadline)).duration or 0.0) / 2, deadline)


def time_left(deadline: float) -> timedelta:
    """What is left; the last run that is begun in time gets at least a moment."""
    return timedelta(seconds=max(0.1, deadline - time.monotonic()))


def frame_attempts(source: Source, at: float, deadline: float) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """Options for reading and writing: the place itself, the last of the last second's frames, the first of all."""
    # Without an index a seek ends at a key frame behind the place: begin earlier and decode up to it.
    lead = seek_lead(source, at)
    yield {"ss": f"{at - lead:.3f}"}, {"ss": f"{lead:.3f}", "frames:v": 1}
    yield last_second_options(source, timeout=time_left(deadline)), {}
    yield {}, {"frames:v": 1}


def seek_lead(source: Source, at: float) -> float:
    """Seconds to begin before `at`; what has no times at all is read from its beginning."""
    if source.demuxer in ELEMENTARY_STREAMS:
        return at
    return min(at, SEEK_LEAD_S) if source.demuxer in DEMUXERS_WITHOUT_INDEX else 0.0


def last_second_options(source: Source, *, timeout: timedelta) -> dict[str, str]:
    """Of its pictures: a sound may go on for longer, and a file that does not begin at 0 is not as long as it says."""
    if source.demuxer in ELEMENTARY_STREAMS:
        return {}  # all of it is read, and the last picture stays
    if source.demuxer not in DEMUXERS_WITHOUT_INDEX:
        with suppress(FfmpegFailed):
            duration = probe_source(source, timeout=timeout).duration
            if duration is not None:
                return {"ss": f"{max(0.0, duration - 1):.3f}"}
    return {"sseof": "-1"}


def write_frame(
    source: Source, part: Path, reading: dict[str, Any], writing: dict[str, Any], picture: str, *, timeout: timedelta
) -> bool:
    """One attempt; an unreadable place is no error as long as another may be tried, running out of time is."""
    arguments = build_command(source, part, {**reading, "threads": 1}, {**ONE_JPEG, **writing}, streams=(picture,))
    try:
        run(arguments, timeout=timeout, pass_fds=[source.descriptor])
    except ENVIRONMENT_ERRORS:
        raise
    except FfmpegFailed:
        if not reading:
            raise
        return False
    return part.exists() and part.stat().st_size > 0


def sample_frames(
    video: Path | BinaryIO,
    *,
    every: timedelta,
    at_most: int,
    timeout: timedelta,
    within_px: int = 1920,
    root: Path | None = None,
) -> Iterator[SampledFrame]:
    """What the video shows at 0, `every`, twice that, … from its beginning, in one run of ffmpeg; `at_most` frames.

    A longer video is sampled more thinly, so that its end is seen too. Neither side is longer than `within_px`. One
    frame is in memory at a time. `timeout` is for everything, with the caller's work. Raises `FfmpegFailed`, also
    when no frame can be read and also after frames, and what `open_source` raises.
    """
    deadline = time.monotonic() + timeout.total_seconds()
    with open_source(video, root=root) as source:
        facts = probe_source(source, timeout=min(timeout, PROBE_TIMEOUT))
        step = sampling_interval(facts, os.fstat(source.descriptor).st_size, every=every, at_most=at_most)
        width, height = scaled_size(facts, within_px)
        writing = sampling_options(step, width, height, at_most)
        arguments = build_command(source, None, {"threads": 1}, writing, streams=(facts.picture,))
        left = time_left(deadline)
        number = -1
        blocks = stream_output(arguments, block_bytes=width * height * 3, timeout=left, pass_fds=[source.descriptor])
        with closing(blocks):
            for number, pixels in enumerate(blocks):
                yield SampledFrame(number * step, width, height, pixels)
        if number < 0:
            raise FfmpegFailed("The video holds no frame that can be read.")


def sampling_options(step: timedelta, width: int, height: int, at_most: int) -> dict[str, Any]:
    # Rounded up, a frame of the output is the one that is on show at its moment, not one from up to a step later.
    rate = f"fps=fps=1000/{step // timedelta(milliseconds=1)}:round=up:start_time=0"
    size = f"scale={width}:{height}"  # the same for all, though a stream may change its size
    return {
        "format": "rawvideo",
        "vcodec": "rawvideo",
        "pix_fmt": "rgb24",
        "vf": f"{rate},{size}",
        "frames:v": at_most,
        "an": None,
    }


def sampling_interval(facts: MediaInfo, size_bytes: int, *, every: timedelta, at_most: int) -> timedelta:
    """`every`, or more where the whole would give more than `at_most` frames; in whole milliseconds.

    A duration for which the file is far too small is a lie, and not asked: hours are declared and seconds are there.
    """
    duration = facts.duration or 0.0
    believed = duration if size_bytes >= duration * MIN_BYTES_PER_S else 0.0
    step_ms = max(every / timedelta(milliseconds=1), 1000 * believed / at_most)
    return timedelta(milliseconds=max(1, ceil(step_ms)))


def scaled_size(facts: MediaInfo, side_px: int) -> tuple[int, int]:
    scale = min(1.0, side_px / max(facts.width, facts.height))
    return max(1, round(facts.width * scale)), max(1, round(facts.height * scale))


def can_remux(facts: MediaInfo) -> bool:
    """Whether browsers play the streams as they are, once they lie in an MP4."""
    playable = facts.video_codec == "h264" and facts.pix_fmt in BROWSER_PIXEL_FORMATS
    return playable and facts.audio_codec in BROWSER_AUDIO_CODECS


def remux_mp4(source: Path, target: Path, *, timeout: timedelta) -> None:
    """The same pictures in an MP4 that plays while it loads. Raises `FfmpegFailed`; then `target` is untouched.

    The sound is copied too if it can be, else coded anew; one that cannot be decoded is left out.
    """
    # AVI has no presentation times; MP4 needs them.
    reading = {"fflags": "+genpts"}
    pictures = {**MP4, "vcodec": "copy"}
    convert(source, target, reading, [{**pictures, "acodec": "copy"}, {**pictures, **AAC}], timeout=timeout)


def transcode_mp4(source: Path, target: Path, *, timeout: timedelta) -> None:
    """H.264 and AAC in an MP4 that plays while it loads. Raises `FfmpegFailed`; then `target` is untouched.

    A sound that cannot be decoded does not cost the pictures: then they come without it.
    """
    convert(source, target, {}, [{**MP4, **H264, **AAC, "vf": f"scale={EVEN_SIZE}"}], timeout=timeout)


def convert(
    path: Path, target: Path, reading: dict[str, Any], ways: list[dict[str, Any]], *, timeout: timedelta
) -> None:
    """The first of `ways` that works with the sound, else the first without it."""
    deadline = time.monotonic() + timeout.total_seconds()
    with open_source(path) as source, write_to(target) as part:
        facts = probe_source(source, timeout=min(timeout, PROBE_TIMEOUT))
        attempts: list[tuple[tuple[str, ...], dict[str, Any]]] = [((facts.picture,), {**ways[0], "an": None})]
        if facts.sound is not None and can_decode_audio(source, facts.sound, timeout=min(timeout, PROBE_TIMEOUT)):
            attempts = [*(((facts.picture, facts.sound), way) for way in ways), *attempts]
        for number, (streams, writing) in enumerate(attempts, 1):
            try:
                arguments = build_command(source, part, reading, writing, streams=streams)
                run(arguments, timeout=time_left(deadline), pass_fds=[source.descriptor])
            except ENVIRONMENT_ERRORS:
                raise
            except FfmpegFailed:
                if number == len(attempts):
                    raise
            else:
                return


def can_decode_audio(source: Source, sound: str, *, timeout: timedelta) -> bool:
    """Whether a decoder takes its first seconds: a browser plays nothing of a file of which it cannot play all."""
    arguments = build_command(source, None, {"t": 2}, {"format": "null"}, streams=(sound,))
    try:
        run(arguments, timeout=timeout, pass_fds=[source.descriptor])
    except ENVIRONMENT_ERRORS:
        raise
    except FfmpegFailed:
        return False
    return True


def build_command(
    source: Source,
    part: Path | None,
    reading: dict[str, Any],
    writing: dict[str, Any],
    *,
    streams: tuple[str, ...],
) -> list[str]:
    """Built by ffmpeg-python, which knows where each option stands; it never runs anything here.

    Without `part` it writes to its output. `streams` are ffmpeg's specifiers.
    """
    import ffmpeg  # only where a video is touched: it costs the web process a tenth of its start-up

    # The cap lies on the decoder: a file that claims to be enormous fails before memory is taken for it.
    limits = {} if writing.get("vcodec") == "copy" else {"max_pixels": settings.NVR_MAX_IMAGE_PIXELS}
    video = ffmpeg.input(source.address, **source.options(), **limits, **reading)
    target = "pipe:1" if part is None else f"file:{part}"
    output = ffmpeg.output(*(video[stream] for stream in streams), target, **writing)
    return cast(list[str], output.global_args("-v", "error", "-nostdin").compile(overwrite_output=True))
