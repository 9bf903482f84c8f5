"""Extract frames from videos and convert videos to MP4s that browsers can play, with ffmpeg.

We open the file and pass its descriptor, so that ffmpeg reads the same file that was checked. Only one demuxer,
chosen by the file's first bytes, may read it, and it can open no other file.
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
MIN_BYTES_PER_S = 1000  # even a static scene at a camera's lowest quality takes more
SEEK_LEAD_S = 10.0  # longer than the key frame interval of most cameras
H264 = {"vcodec": "libx264", "preset": "veryfast", "crf": 23, "pix_fmt": "yuv420p", "max_muxing_queue_size": 1024}
AAC = {"acodec": "aac", "ab": "128k"}
ONE_JPEG = {"format": "image2", "update": 1, "vcodec": "mjpeg", "pix_fmt": "yuvj420p", "q:v": 3, "an": None}
ENVIRONMENT_ERRORS = (FfmpegMissing, FfmpegKilled, FfmpegTimedOut, FfmpegOutOfSpace)
MP4 = {"format": "mp4", "movflags": "+faststart", "map_metadata": -1, "sn": None, "dn": None}


@dataclass(frozen=True)
class SampledFrame:
    """The frame at `offset` from the start of a video: rows of upright RGB pixels, three bytes each."""

    offset: timedelta
    width: int
    height: int
    pixels: bytes


def extract_frame(
    path: Path, at: float, target: Path, width: int | None = None, *, timeout: timedelta = PROBE_TIMEOUT
) -> None:
    """Write the frame at `at` seconds as JPEG; for a shorter video the last frame, or else the first.

    At most `width` pixels wide, never enlarged. `timeout` covers all attempts together. Raises `FfmpegFailed`.
    """
    deadline = time.monotonic() + timeout.total_seconds()
    with open_source(path) as source, write_to(target) as part:
        stream = video_specifier(source, timeout=timeout)
        for reading, writing in frame_attempts(source, max(0.0, at), deadline):
            if width is not None:
                writing["vf"] = f"scale='min({int(width)},iw)':-1"
            if write_frame(source, part, reading, writing, stream, timeout=time_left(deadline)):
                return
        raise FfmpegFailed("The video contains no readable frame.")


def extract_early_frame(
    path: Path, at: float, target: Path, width: int, *, root: Path | None = None, timeout: timedelta = PROBE_TIMEOUT
) -> None:
    """Write the frame at `at` seconds as JPEG; for a shorter video the middle frame, or else any readable frame.

    The opened file must lie inside `root` (resolved). Otherwise as `extract_frame`.
    """
    deadline = time.monotonic() + timeout.total_seconds()
    with open_source(path, root=root) as source, write_to(target) as part:
        stream = video_specifier(source, timeout=timeout)
        for reading, writing in early_frame_attempts(source, at, deadline):
            writing["vf"] = f"scale='min({int(width)},iw)':-1"
            if write_frame(source, part, reading, writing, stream, timeout=time_left(deadline)):
                return
        raise FfmpegFailed("The video contains no readable frame.")


def early_frame_attempts(source: Source, at: float, deadline: float) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """Probe the duration only if the video turns out to be too short."""
    yield next(frame_attempts(source, at, deadline))
    yield from frame_attempts(source, (probe_source(source, timeout=time_left(deadline)).duration or 0.0) / 2, deadline)


def time_left(deadline: float) -> timedelta:
    """Return the time left until `deadline`, at least 0.1 s."""
    return timedelta(seconds=max(0.1, deadline - time.monotonic()))


def frame_attempts(source: Source, at: float, deadline: float) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """Yield input and output options for the requested frame, then the last frame, then the first frame."""
    # Without an index, a seek ends at a key frame after the position: start earlier and decode up to it.
    lead = seek_lead(source, at)
    yield {"ss": f"{at - lead:.3f}"}, {"ss": f"{lead:.3f}", "frames:v": 1}
    yield last_second_options(source, timeout=time_left(deadline)), {}
    yield {}, {"frames:v": 1}


def seek_lead(source: Source, at: float) -> float:
    """Return how many seconds before `at` to start; streams without timestamps are read from the start."""
    if source.demuxer in ELEMENTARY_STREAMS:
        return at
    return min(at, SEEK_LEAD_S) if source.demuxer in DEMUXERS_WITHOUT_INDEX else 0.0


def last_second_options(source: Source, *, timeout: timedelta) -> dict[str, str]:
    """Return input options for the last second of video.

    The audio may be longer, and a file that does not begin at 0 is shorter than its duration claims.
    """
    if source.demuxer in ELEMENTARY_STREAMS:
        return {}  # read all of it; the last frame remains
    if source.demuxer not in DEMUXERS_WITHOUT_INDEX:
        with suppress(FfmpegFailed):
            duration = probe_source(source, timeout=timeout).duration
            if duration is not None:
                return {"ss": f"{max(0.0, duration - 1):.3f}"}
    return {"sseof": "-1"}


def write_frame(
    source: Source, part: Path, reading: dict[str, Any], writing: dict[str, Any], stream: str, *, timeout: timedelta
) -> bool:
    """Try to write one frame; return whether there is one. Raises `FfmpegFailed` if this was the last attempt.

    Errors of the environment, such as a timeout, are always raised.
    """
    arguments = build_command(source, part, {**reading, "threads": 1}, {**ONE_JPEG, **writing}, streams=(stream,))
    try:
        run(arguments, timeout=timeout, pass_fds=[source.descriptor])
    except ENVIRONMENT_ERRORS:
        raise
    except FfmpegFailed:
        if not reading:
            raise
        return False
    # ffmpeg also exits with 0 if it has written no frame.
    return part.exists() and part.stat().st_size > 0


def sample_frames(
    video: Path | BinaryIO,
    *,
    interval: timedelta,
    max_frames: int,
    timeout: timedelta,
    max_side_px: int = 1920,
    root: Path | None = None,
) -> Iterator[SampledFrame]:
    """Yield up to `max_frames` frames, one per `interval` from the start of the video, in one run of ffmpeg.

    For longer videos the interval grows, so that the samples cover the whole video. Neither side is longer than
    `max_side_px`. One frame is in memory at a time. `timeout` includes the caller's work between frames. Raises
    `FfmpegFailed`, also if no frame can be read and possibly after some frames, and what `open_source` raises.
    """
    deadline = time.monotonic() + timeout.total_seconds()
    with open_source(video, root=root) as source:
        info = probe_source(source, timeout=min(timeout, PROBE_TIMEOUT))
        step = sampling_interval(info, os.fstat(source.descriptor).st_size, interval=interval, max_frames=max_frames)
        width, height = scaled_size(info, max_side_px)
        writing = sampling_options(step, width, height, max_frames)
        arguments = build_command(source, None, {"threads": 1}, writing, streams=(info.video_stream,))
        left = time_left(deadline)
        number = -1
        blocks = stream_output(arguments, block_bytes=width * height * 3, timeout=left, pass_fds=[source.descriptor])
        with closing(blocks):
            for number, pixels in enumerate(blocks):
                yield SampledFrame(number * step, width, height, pixels)
        if number < 0:
            raise FfmpegFailed("The video contains no readable frame.")


def sampling_options(step: timedelta, width: int, height: int, max_frames: int) -> dict[str, Any]:
    # Rounded up, each output frame is the one displayed at its timestamp, not one from up to an interval later.
    rate = f"fps=fps=1000/{step // timedelta(milliseconds=1)}:round=up:start_time=0"
    size = f"scale={width}:{height}"  # constant, even if the stream changes its size
    return {
        "format": "rawvideo",
        "vcodec": "rawvideo",
        "pix_fmt": "rgb24",
        "vf": f"{rate},{size}",
        "frames:v": max_frames,
        "an": None,
    }


def sampling_interval(info: MediaInfo, size_bytes: int, *, interval: timedelta, max_frames: int) -> timedelta:
    """Return `interval`, or longer if the video would yield more than `max_frames` frames; in whole milliseconds.

    Ignores the declared duration if the file is far too small for it: some declare hours and contain seconds.
    """
    duration = info.duration or 0.0
    plausible = duration if size_bytes >= duration * MIN_BYTES_PER_S else 0.0
    step_ms = max(interval / timedelta(milliseconds=1), 1000 * plausible / max_frames)
    return timedelta(milliseconds=max(1, ceil(step_ms)))


def scaled_size(info: MediaInfo, side_px: int) -> tuple[int, int]:
    scale = min(1.0, side_px / max(info.width, info.height))
    return max(1, round(info.width * scale)), max(1, round(info.height * scale))


def can_remux(info: MediaInfo) -> bool:
    """Whether browsers play the streams without encoding them again, in an MP4."""
    playable = info.video_codec == "h264" and info.pix_fmt in BROWSER_PIXEL_FORMATS
    return playable and info.audio_codec in BROWSER_AUDIO_CODECS


def remux_mp4(source: Path, target: Path, *, timeout: timedelta) -> None:
    """Copy the video stream into an MP4 that plays while it loads. Raises `FfmpegFailed` and leaves `target` untouched.

    Copies the audio too if possible, else encodes it again; audio that cannot be decoded is left out.
    """
    # AVI has no presentation timestamps; MP4 needs them.
    reading = {"fflags": "+genpts"}
    video = {**MP4, "vcodec": "copy"}
    convert(source, target, reading, [{**video, "acodec": "copy"}, {**video, **AAC}], timeout=timeout)


def transcode_mp4(source: Path, target: Path, *, timeout: timedelta) -> None:
    """Encode to H.264 and AAC in an MP4 that plays while it loads. Raises `FfmpegFailed` and leaves `target` untouched.

    Audio that cannot be decoded is left out.
    """
    convert(source, target, {}, [{**MP4, **H264, **AAC, "vf": f"scale={EVEN_SIZE}"}], timeout=timeout)


def convert(
    path: Path, target: Path, reading: dict[str, Any], alternatives: list[dict[str, Any]], *, timeout: timedelta
) -> None:
    """Convert with the first of the output options that works with audio, else with the first without audio."""
    deadline = time.monotonic() + timeout.total_seconds()
    with open_source(path) as source, write_to(target) as part:
        info = probe_source(source, timeout=min(timeout, PROBE_TIMEOUT))
        # A video without its sound is better than none.
        silent = {**alternatives[0], "an": None}
        attempts: list[tuple[tuple[str, ...], dict[str, Any]]] = [((info.video_stream,), silent)]
        if info.audio_stream is not None and can_decode_audio(
            source, info.audio_stream, timeout=min(timeout, PROBE_TIMEOUT)
        ):
            attempts = [*(((info.video_stream, info.audio_stream), each) for each in alternatives), *attempts]
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


def can_decode_audio(source: Source, audio_stream: str, *, timeout: timedelta) -> bool:
    """Whether the first two seconds decode: browsers reject a whole file if they cannot play one of its streams."""
    arguments = build_command(source, None, {"t": 2}, {"format": "null"}, streams=(audio_stream,))
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
    """Build the command with ffmpeg-python, which knows the position of each option; it never runs anything here.

    Without `part`, ffmpeg writes to stdout. `streams` are ffmpeg's stream specifiers.
    """
    import ffmpeg  # imported late: it takes a tenth of the web process's start-up time

    # The decoder enforces the limit: a file that claims enormous dimensions fails before memory is allocated.
    limits = {} if writing.get("vcodec") == "copy" else {"max_pixels": settings.NVR_MAX_IMAGE_PIXELS}
    video = ffmpeg.input(source.address, **source.options(), **limits, **reading)
    target = "pipe:1" if part is None else f"file:{part}"
    output = ffmpeg.output(*(video[stream] for stream in streams), target, **writing)
    return cast(list[str], output.global_args("-v", "error", "-nostdin").compile(overwrite_output=True))
