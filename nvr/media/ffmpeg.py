"""What we ask of ffmpeg: facts of a video, a frame of it, and a form that browsers play.

The file is opened by us and handed over as a descriptor: what was looked at is what is read. Exactly one demuxer,
picked by the file's first bytes, may read it, and from nothing but that file.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, nullcontext
from dataclasses import dataclass
from datetime import timedelta
from fractions import Fraction
from math import ceil
from pathlib import Path
from typing import Any, BinaryIO, cast

from django.conf import settings

from nvr.media.containers import HEAD_BYTES, UnknownContainer, demuxer_for
from nvr.media.parts import write_to
from nvr.media.paths import named_errors, open_regular
from nvr.media.processes import (
    FfmpegFailed,
    FfmpegKilled,
    FfmpegMissing,
    FfmpegOutOfSpace,
    FfmpegTimedOut,
    mask_credentials,
    run,
    stream,
)

__all__ = [
    "FfmpegFailed",
    "FfmpegKilled",
    "FfmpegMissing",
    "FfmpegOutOfSpace",
    "FfmpegTimedOut",
    "MediaFacts",
    "Sampled",
    "UnknownContainer",
    "can_remux",
    "extract_early_frame",
    "extract_frame",
    "mask_credentials",
    "probe",
    "remux_mp4",
    "sampled_frames",
    "transcode_mp4",
]

QUICK = timedelta(seconds=15)
PLAYABLE_PIXELS = {"yuv420p", "yuvj420p"}
PLAYABLE_SOUND = {None, "aac", "mp3"}
EVEN = "'trunc(max(iw,2)/2)*2':'trunc(max(ih,2)/2)*2'"  # 4:2:0 halves both sides
WITHOUT_INDEX = {"mpegts", "mpeg", "mpegvideo"}
COUNTED_FROM_0 = {"matroska", "mov"}  # the duration; of others from where they begin
LEAST_BYTES_IN_ANY_S = 100  # also where a picture is taken every few minutes only
LEAST_BYTES_PER_S = 1000  # a still picture at the worst quality that cameras offer takes more
LEAD_S = 10.0  # longer than the key frames of most cameras lie apart
H264 = {"vcodec": "libx264", "preset": "veryfast", "crf": 23, "pix_fmt": "yuv420p", "max_muxing_queue_size": 1024}
AAC = {"acodec": "aac", "ab": "128k"}
ONE_JPEG = {"format": "image2", "update": 1, "vcodec": "mjpeg", "pix_fmt": "yuvj420p", "q:v": 3, "an": None}
MP4 = {"format": "mp4", "movflags": "+faststart", "map_metadata": -1, "sn": None, "dn": None}


@dataclass(frozen=True)
class MediaFacts:
    """Of a video: size in pixels as shown (turned where the file says so), duration in seconds, ffmpeg's names.

    `frame_rate` is the average per second; `pixel_shape` is how much wider than high a pixel is shown;
    `is_reordered` if pictures are not coded in the order in which they are shown.
    """

    width: int
    height: int
    duration: float | None
    video_codec: str
    audio_codec: str | None
    container: str
    pix_fmt: str | None
    frame_rate: Fraction | None = None
    pixel_shape: float = 1.0
    size_bytes: int = 0
    is_reordered: bool = False

    @property
    def believed_duration(self) -> float | None:
        """None also where it is a lie: hours are declared, and nearly nothing is there."""
        is_told = self.duration is not None and self.duration * LEAST_BYTES_IN_ANY_S <= self.size_bytes
        return self.duration if is_told else None


@dataclass(frozen=True)
class Sampled:
    """What a video shows `offset` after its beginning: rows of RGB, three bytes for each pixel, upright."""

    offset: timedelta
    width: int
    height: int
    pixels: bytes


@dataclass(frozen=True)
class Source:
    """An open video: how ffmpeg reaches it, and the one demuxer for it."""

    descriptor: int
    demuxer: str

    @property
    def address(self) -> str:
        return f"file:/proc/self/fd/{self.descriptor}"

    def options(self) -> dict[str, Any]:
        return {
            "format": self.demuxer,
            "format_whitelist": self.demuxer,
            "protocol_whitelist": "file,pipe",
        }


@contextmanager
def source_of(video: Path | BinaryIO, *, root: Path | None = None) -> Iterator[Source]:
    """An open file stays open. Raises `UnknownContainer` and what `open_regular` raises."""
    with open_regular(video, root=root) if isinstance(video, Path) else nullcontext(video) as file:
        yield source_in(file)


def source_in(file: BinaryIO) -> Source:
    """For as long as `file` is open. Raises `UnknownContainer`, and `StorageFault` if the storage does not answer."""
    with named_errors():
        head = os.pread(file.fileno(), HEAD_BYTES, 0)
    return Source(file.fileno(), demuxer_for(head))


def probe(video: Path | BinaryIO, *, root: Path | None = None, timeout: timedelta = QUICK) -> MediaFacts:
    """Raises `FfmpegFailed`, also when there is no picture in it, and what `source_of` raises."""
    with source_of(video, root=root) as source:
        return facts_of(source, timeout=timeout)


def facts_of(source: Source, *, timeout: timedelta = QUICK) -> MediaFacts:
    answer = ask(source, "-show_format", "-show_streams", timeout=timeout)
    return facts_from(answer, source.demuxer, os.fstat(source.descriptor).st_size)


def ask(source: Source, *questions: str, timeout: timedelta) -> dict[str, Any]:
    """What ffprobe answers. Raises `FfmpegFailed`."""
    options = source.options()
    arguments = ["ffprobe", "-v", "error", "-f", options.pop("format")]
    for name, value in options.items():
        arguments += [f"-{name}", value]
    arguments += ["-print_format", "json", *questions, source.address]
    answer: dict[str, Any] = json.loads(run(arguments, timeout=timeout, pass_fds=[source.descriptor]) or b"{}")
    return answer


def facts_from(answer: dict[str, Any], container: str, size_bytes: int) -> MediaFacts:
    streams = answer.get("streams", [])
    pictures = [s for s in streams if s.get("codec_type") == "video" and not s["disposition"].get("attached_pic")]
    sounds = [s for s in streams if s.get("codec_type") == "audio"]
    if not pictures or not pictures[0].get("width"):
        raise FfmpegFailed("The file holds no video.")
    video = pictures[0]
    width, height = int(video["width"]), int(video["height"])
    turned = is_sideways(video)
    shape = pixel_shape(video)
    return MediaFacts(
        width=height if turned else width,
        height=width if turned else height,
        duration=duration_from(answer.get("format", {}), video, container),
        size_bytes=size_bytes,
        video_codec=str(video.get("codec_name", "unknown")),
        audio_codec=str(sounds[0].get("codec_name", "unknown")) if sounds else None,
        container=container,
        pix_fmt=video.get("pix_fmt"),
        frame_rate=ratio(video.get("avg_frame_rate"), "/"),
        pixel_shape=1 / shape if turned else shape,
        is_reordered=bool(video.get("has_b_frames")),
    )


def is_sideways(video: dict[str, Any]) -> bool:
    turns = [data["rotation"] for data in video.get("side_data_list", []) if "rotation" in data]
    return bool(turns) and int(turns[0]) % 180 != 0


def pixel_shape(video: dict[str, Any]) -> float:
    """Analogue cameras' pixels are not square. What no screen shows so is a mistake of the file's."""
    shape = ratio(video.get("sample_aspect_ratio"), ":")
    return float(shape) if shape is not None and 0.5 <= shape <= 2 else 1.0


def ratio(text: object, separator: str) -> Fraction | None:
    """ffmpeg's `30000/1001` or `12:11`; None for what it does not know (`0/0`, `N/A`)."""
    above, _, below = str(text).partition(separator)
    if not (above.isdecimal() and below.isdecimal() and int(above) and int(below)):
        return None
    return Fraction(int(above), int(below))


def duration_from(file: dict[str, Any], video: dict[str, Any], container: str) -> float | None:
    """From the first picture to the end: what recorders cut out of one long stream often does not begin at 0."""
    seconds = seconds_from(file.get("duration") or video.get("duration"))
    begins = seconds_from(file.get("start_time")) or 0.0
    if container in COUNTED_FROM_0 and seconds is not None and begins < seconds:
        return seconds - begins
    return seconds


def seconds_from(text: object) -> float | None:
    try:
        seconds = float(str(text))
    except ValueError:
        return None
    return seconds if seconds >= 0 else None


def extract_frame(path: Path, at: float, target: Path, width: int | None = None, *, timeout: timedelta = QUICK) -> None:
    """Write the frame at `at` seconds as JPEG; of a shorter video its last frame, else its first.

    At most `width` pixels wide, never enlarged. `timeout` is for all attempts together. Raises `FfmpegFailed`.
    """
    deadline = time.monotonic() + timeout.total_seconds()
    with source_of(path) as source, write_to(target) as part:
        for reading, writing in attempts(source, max(0.0, at)):
            if width is not None:
                writing["vf"] = f"scale='min({int(width)},iw)':-1"
            left = timedelta(seconds=max(0.1, deadline - time.monotonic()))
            if written_frame(source, part, reading, writing, timeout=left):
                return
        raise FfmpegFailed("The video holds no frame that can be read.")


def extract_early_frame(
    path: Path, at: float, target: Path, width: int, *, root: Path | None = None, timeout: timedelta = QUICK
) -> None:
    """Write the frame at `at` seconds as JPEG; of a shorter video the one in its middle, else what can be had.

    `root` (resolved) is checked against what was really opened. Otherwise as `extract_frame`.
    """
    deadline = time.monotonic() + timeout.total_seconds()
    with source_of(path, root=root) as source, write_to(target) as part:
        for reading, writing in early_attempts(source, at, deadline):
            writing["vf"] = f"scale='min({int(width)},iw)':-1"
            left = timedelta(seconds=max(0.1, deadline - time.monotonic()))
            if written_frame(source, part, reading, writing, timeout=left):
                return
        raise FfmpegFailed("The video holds no frame that can be read.")


def early_attempts(source: Source, at: float, deadline: float) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """Only a video that is too short is asked how long it is."""
    yield next(attempts(source, at))
    left = timedelta(seconds=max(0.1, deadline - time.monotonic()))
    yield from attempts(source, (facts_of(source, timeout=left).duration or 0.0) / 2)


def attempts(source: Source, at: float) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """Options for reading and writing: the place itself, the last of the last second's frames, the first of all."""
    # Without an index a seek ends at a key frame behind the place: begin earlier and decode up to it.
    lead = min(at, LEAD_S) if source.demuxer in WITHOUT_INDEX else 0.0
    yield {"ss": f"{at - lead:.3f}"}, {"ss": f"{lead:.3f}", "frames:v": 1}
    yield {"sseof": "-1"}, {}
    yield {}, {"frames:v": 1}


def written_frame(
    source: Source, part: Path, reading: dict[str, Any], writing: dict[str, Any], *, timeout: timedelta
) -> bool:
    """One attempt; an unreadable place is no error as long as another may be tried, running out of time is."""
    arguments = command(source, part, {**reading, "threads": 1}, {**ONE_JPEG, **writing})
    try:
        run(arguments, timeout=timeout, pass_fds=[source.descriptor])
    except (FfmpegTimedOut, FfmpegMissing, FfmpegKilled, FfmpegOutOfSpace):
        raise
    except FfmpegFailed:
        if not reading:
            raise
        return False
    return part.exists() and part.stat().st_size > 0


def sampled_frames(
    video: Path | BinaryIO,
    *,
    every: timedelta,
    at_most: int,
    timeout: timedelta,
    within_px: int = 1920,
    root: Path | None = None,
) -> Iterator[Sampled]:
    """What the video shows at 0, `every`, twice that, … from its beginning, in one run of ffmpeg; `at_most` frames.

    A longer video is sampled more thinly, so that its end is seen too. Neither side is longer than `within_px`. One
    frame is in memory at a time. `timeout` is for everything, with the caller's work. Raises `FfmpegFailed`, also
    when no frame can be read and also after frames, and what `source_of` raises.
    """
    deadline = time.monotonic() + timeout.total_seconds()
    with source_of(video, root=root) as source:
        facts = facts_of(source, timeout=min(timeout, QUICK))
        step = step_for(facts, os.fstat(source.descriptor).st_size, every=every, at_most=at_most)
        width, height = within(facts, within_px)
        arguments = command(source, None, {"threads": 1}, sampling_options(step, width, height, at_most))
        left = timedelta(seconds=max(0.1, deadline - time.monotonic()))
        number = -1
        blocks = stream(arguments, block_bytes=width * height * 3, timeout=left, pass_fds=[source.descriptor])
        with closing(blocks):
            for number, pixels in enumerate(blocks):
                yield Sampled(number * step, width, height, pixels)
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


def step_for(facts: MediaFacts, size_bytes: int, *, every: timedelta, at_most: int) -> timedelta:
    """`every`, or more where the whole would give more than `at_most` frames; in whole milliseconds.

    A duration for which the file is far too small is a lie, and not asked: hours are declared and seconds are there.
    """
    duration = facts.duration or 0.0
    believed = duration if size_bytes >= duration * LEAST_BYTES_PER_S else 0.0
    step_ms = max(every / timedelta(milliseconds=1), 1000 * believed / at_most)
    return timedelta(milliseconds=max(1, ceil(step_ms)))


def within(facts: MediaFacts, side_px: int) -> tuple[int, int]:
    scale = min(1.0, side_px / max(facts.width, facts.height))
    return max(1, round(facts.width * scale)), max(1, round(facts.height * scale))


def can_remux(facts: MediaFacts) -> bool:
    """Whether browsers play the streams as they are, once they lie in an MP4."""
    playable = facts.video_codec == "h264" and facts.pix_fmt in PLAYABLE_PIXELS
    return playable and facts.audio_codec in PLAYABLE_SOUND


def remux_mp4(source: Path, target: Path, *, timeout: timedelta) -> None:
    """The same streams in an MP4 that plays while it loads. Raises `FfmpegFailed`; then `target` is untouched."""
    # AVI has no presentation times; MP4 needs them.
    convert(source, target, {"fflags": "+genpts"}, {**MP4, "codec": "copy"}, timeout=timeout)


def transcode_mp4(source: Path, target: Path, *, timeout: timedelta) -> None:
    """H.264 and AAC in an MP4 that plays while it loads. Raises `FfmpegFailed`; then `target` is untouched."""
    options = {**MP4, **H264, **AAC, "vf": f"scale={EVEN}"}
    convert(source, target, {}, options, timeout=timeout)


def convert(path: Path, target: Path, reading: dict[str, Any], writing: dict[str, Any], *, timeout: timedelta) -> None:
    with source_of(path) as source, write_to(target) as part:
        arguments = command(source, part, reading, writing, streams=("V:0", "a:0?"))
        run(arguments, timeout=timeout, pass_fds=[source.descriptor])


def command(
    source: Source,
    part: Path | None,
    reading: dict[str, Any],
    writing: dict[str, Any],
    *,
    streams: tuple[str, ...] = ("V:0",),
) -> list[str]:
    """Built by ffmpeg-python, which knows where each option stands; it never runs anything here.

    Without `part` it writes to its output. `streams` are ffmpeg's specifiers: `V` is a moving picture, not a cover;
    `?` may be missing.
    """
    import ffmpeg  # only where a video is touched: it costs the web process a tenth of its start-up

    # The cap lies on the decoder: a file that claims to be enormous fails before memory is taken for it.
    limits = {} if writing.get("codec") == "copy" else {"max_pixels": settings.NVR_MAX_IMAGE_PIXELS}
    video = ffmpeg.input(source.address, **source.options(), **limits, **reading)
    target = "pipe:1" if part is None else f"file:{part}"
    output = ffmpeg.output(*(video[stream] for stream in streams), target, **writing)
    return cast(list[str], output.global_args("-v", "error", "-nostdin").compile(overwrite_output=True))
