"""Create one MP4 that browsers can play, from parts of videos or from still images.

As everywhere, ffmpeg gets open files and one demuxer for each. It never reads the original stills: they are decoded
like all other images, and passed to ffmpeg as JPEGs of equal size.
"""

from __future__ import annotations

import io
import math
import os
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from fractions import Fraction
from pathlib import Path
from typing import Any, BinaryIO, cast

from django.conf import settings
from PIL import Image

from nvr.errors import Invalid
from nvr.media.ffmpeg import operations as ff
from nvr.media.ffmpeg.processes import (
    FfmpegFailed,
    run,
    timeout_error,
)
from nvr.media.ffmpeg.stream_copy import can_copy_stream
from nvr.media.images.decoder import pictures

MAX_HEIGHT_PX = 1080
MAX_WIDTH_PX = 3840  # two 1080p frames side by side; browsers decode up to 4096
MIN_FPS, MAX_FPS = Fraction(1), Fraction(30)
DEFAULT_FPS = Fraction(25)  # for files without a frame rate
MIN_SEEK_S = 1.0  # up to here, decode from the start instead of seeking
MAX_OVERRUN_S = 1.1  # a cut may be this much too long: one frame at the lowest frame rate, and a small margin
STILLS_PER_SECOND = 2
LAST_STILL_REPEATS = 2  # adds one second
LAST_STILL_DURATION_S = (1 + LAST_STILL_REPEATS) / STILLS_PER_SECOND
STILL_QUALITY = 92
AUDIO_FORMAT = {"sample_fmts": "fltp", "channel_layouts": "stereo"}


class NoReadableFootage(FfmpegFailed):
    title = "None of the footage could be read"


class Deadline:
    """The deadline for all steps of one clip; a step that starts in time gets at least 0.1 s."""

    def __init__(self, timeout: timedelta) -> None:
        self.timeout = timeout
        self.at = time.monotonic() + timeout.total_seconds()

    def remaining(self) -> timedelta:
        return timedelta(seconds=max(0.1, self.at - time.monotonic()))

    def check(self) -> None:
        """Raises `FfmpegTimedOut`."""
        if time.monotonic() >= self.at:
            raise timeout_error(self.timeout)


@dataclass(frozen=True)
class Cut:
    """The part of an open video that begins at `start` and is `length` long, both in seconds."""

    source: ff.Source
    info: ff.MediaInfo
    start: float
    length: float


def cut_videos(cuts: Sequence[Cut], part: Path, *, timeout: timedelta) -> None:
    """Write the cuts in sequence to `part`, in the size of the first. Only a single cut keeps its audio.

    Skips cuts that cannot be read. Raises `NoReadableFootage` if no cut has a frame, `FfmpegOutOfSpace` or OSError
    if the disk is full, and `FfmpegFailed` for other failures.
    """
    deadline = Deadline(timeout)
    if len(cuts) == 1:
        cut_single(cuts[0], part, deadline)
    else:
        concatenate(cuts, part, deadline)


def cut_single(cut: Cut, part: Path, deadline: Deadline) -> None:
    failed: FfmpegFailed = NoReadableFootage()
    for arguments in cut_commands(cut, part, deadline):
        try:
            run_on_cut(cut, arguments, deadline)
            check_duration(part, at_most_s=cut.length + MAX_OVERRUN_S)
            check_key_frames(part, deadline)
        except ff.ENVIRONMENT_ERRORS:
            raise
        except FfmpegFailed as error:
            failed = error
        else:
            return
    raise failed


def cut_commands(cut: Cut, part: Path, deadline: Deadline) -> Iterator[list[str]]:
    """Yield the commands that write the cut, the best first; each next one is the fallback for the one before.

    The fallbacks without audio serve for audio that cannot be decoded.
    """
    audio_options = (True, False) if cut.info.audio_stream else (False,)
    if can_copy_stream(cut.source, cut.info, cut.start, timeout=deadline.remaining()):
        yield from (copy_command(cut, part, with_audio=with_audio) for with_audio in audio_options)
    yield from (encode_command(cut, f"file:{part}", ff.MP4, with_audio=with_audio) for with_audio in audio_options)


def concatenate(cuts: Sequence[Cut], part: Path, deadline: Deadline) -> None:
    """Encode each cut separately, then concatenate: opening dozens of videos at once would take gigabytes of memory.

    H.264 streams of equal size and frame rate without B-frames can be concatenated without encoding them again.
    """
    size, fps = clip_size(cuts[0].info), common_fps(cuts)
    with tempfile.TemporaryFile(dir=part.parent) as reel:
        for cut in cuts:
            append_cut(cut, reel, size, fps, deadline)
        if not os.fstat(reel.fileno()).st_size:
            raise NoReadableFootage
        source = ff.Source(reel.fileno(), "h264")
        run(mux_command(source, part, fps), timeout=deadline.remaining(), pass_fds=[source.descriptor])
    check_duration(part)


def append_cut(cut: Cut, reel: BinaryIO, size: tuple[int, int], fps: Fraction, deadline: Deadline) -> None:
    before = os.lseek(reel.fileno(), 0, os.SEEK_END)
    raw = {"format": "h264", "bf": 0}
    try:
        run_on_cut(cut, encode_command(cut, f"pipe:{reel.fileno()}", raw, size=size, fps=fps), deadline, reel.fileno())
    except ff.ENVIRONMENT_ERRORS:
        raise
    except FfmpegFailed:
        os.ftruncate(reel.fileno(), before)


def run_on_cut(cut: Cut, arguments: list[str], deadline: Deadline, *fds: int) -> None:
    run(arguments, timeout=deadline.remaining(), pass_fds=[cut.source.descriptor, *fds])


def render_stills(files: Iterable[BinaryIO], part: Path, *, timeout: timedelta) -> None:
    """Write the stills to `part` at two per second, the last for one second longer, in the size of the first.

    Skips damaged stills. Raises `NoReadableFootage` if all are damaged; otherwise as `cut_videos`.
    """
    deadline = Deadline(timeout)
    with tempfile.TemporaryFile(dir=part.parent) as reel:
        for frame in repeat_last(jpegs_of_equal_size(files)):
            deadline.check()
            reel.write(frame)
        reel.flush()
        if not reel.tell():
            raise NoReadableFootage
        source = ff.Source(reel.fileno(), "mjpeg")
        run(stills_command(source, part), timeout=deadline.remaining(), pass_fds=[source.descriptor])
    check_duration(part)


def check_duration(part: Path, *, at_most_s: float = math.inf) -> None:
    """Raise `NoReadableFootage` if `part` has no frames or is too long.

    ffmpeg reports success when it wrote no frame, and when broken timestamps made the output too long.
    """
    try:
        shown = ff.probe(part).duration
    except ff.ENVIRONMENT_ERRORS:
        raise
    except FfmpegFailed as error:
        raise NoReadableFootage from error
    if not shown or shown > at_most_s:
        raise NoReadableFootage


def check_key_frames(part: Path, deadline: Deadline) -> None:
    """Decode the key frames: copied video may be damaged, which only decoding reveals. Raises `FfmpegFailed`."""
    import ffmpeg  # as in `nvr.media.ffmpeg.operations`

    with ff.open_source(part) as source:
        stream = ffmpeg.input(source.address, **source.options(), skip_frame="nokey")
        arguments = ffmpeg_arguments([stream["V:0"]], "pipe:1", {"format": "null"}, "-xerror")
        run(arguments, timeout=deadline.remaining(), pass_fds=[source.descriptor])


def encode_command(
    cut: Cut,
    target: str,
    writing: dict[str, Any],
    *,
    size: tuple[int, int] | None = None,
    fps: Fraction | None = None,
    with_audio: bool = False,
) -> list[str]:
    stream = ffmpeg_input(cut)
    streams = [filter_video(stream[cut.info.video_stream], cut, size or clip_size(cut.info), fps or common_fps([cut]))]
    if with_audio:
        streams.append(filter_audio(stream[cut.info.audio_stream], cut))
    return ffmpeg_arguments(streams, target, {**ff.H264, **(ff.AAC if with_audio else {"an": None}), **writing})


def copy_command(cut: Cut, part: Path, *, with_audio: bool) -> list[str]:
    import ffmpeg

    stream = ffmpeg.input(cut.source.address, **cut.source.options(), ss=f"{cut.start:.6f}")
    streams = [
        stream[cut.info.video_stream],
        *([filter_audio(stream[cut.info.audio_stream], cut)] if with_audio else []),
    ]
    writing = {**ff.MP4, **(ff.AAC if with_audio else {"an": None}), "vcodec": "copy", "t": f"{cut.length:.6f}"}
    return ffmpeg_arguments(streams, f"file:{part}", writing)


def mux_command(source: ff.Source, part: Path, fps: Fraction) -> list[str]:
    import ffmpeg

    stream = ffmpeg.input(source.address, **source.options(), framerate=format_fps(fps), fflags="+genpts")
    return ffmpeg_arguments([stream["V:0"]], f"file:{part}", {**ff.MP4, "codec": "copy"})


def stills_command(source: ff.Source, part: Path) -> list[str]:
    import ffmpeg

    stream = ffmpeg.input(source.address, **source.options(), framerate=STILLS_PER_SECOND)
    # A key frame every two seconds, so that seeking in the player shows the right still.
    writing = {**ff.MP4, **ff.H264, "an": None, "g": 2 * STILLS_PER_SECOND}
    return ffmpeg_arguments([stream["V:0"]], f"file:{part}", writing)


def ffmpeg_arguments(streams: Sequence[Any], target: str, writing: dict[str, Any], *global_args: str) -> list[str]:
    import ffmpeg

    output = ffmpeg.output(*streams, target, **writing)
    return cast(list[str], output.global_args("-v", "error", "-nostdin", *global_args).compile(overwrite_output=True))


def ffmpeg_input(cut: Cut) -> Any:
    import ffmpeg

    lead = lead_in_s(cut)
    begin = cut.start - lead
    return ffmpeg.input(
        cut.source.address,
        **cut.source.options(),
        **({"ss": f"{begin:.6f}"} if begin else {}),
        max_pixels=settings.NVR_MAX_IMAGE_PIXELS,
        t=f"{lead + cut.length:.6f}",
    )


def lead_in_s(cut: Cut) -> float:
    """Return how many seconds before the cut to start decoding; these are dropped afterwards.

    Without an index, a seek ends after the requested position. In truncated Matroska files, a seek to the first
    frames finds none at all.
    """
    if cut.source.demuxer in ff.DEMUXERS_WITHOUT_INDEX:
        return ff.seek_lead(cut.source, cut.start)
    return cut.start if cut.start <= MIN_SEEK_S else 0.0


def filter_video(stream: Any, cut: Cut, size: tuple[int, int], fps: Fraction) -> Any:
    """Trim to the cut, with timestamps from 0, convert to `fps`, and letterbox to `size`."""
    lead, (width, height) = lead_in_s(cut), size
    inner_width, inner_height = fit(cut.info, size)
    if lead:
        stream = stream.filter("trim", start=f"{lead:.6f}").filter("setpts", f"PTS-{lead:.6f}/TB")
    # ffmpeg measures an input's length from the first frame that it finds, which may come late.
    return (
        stream.filter("fps", fps=format_fps(fps), start_time=0)
        .filter("trim", end=f"{cut.length:.6f}")
        .filter("scale", inner_width, inner_height)
        .filter("pad", width, height, "(ow-iw)/2", "(oh-ih)/2")
        .filter("setsar", 1)
        .filter("format", "yuv420p")
    )


def filter_audio(stream: Any, cut: Cut) -> Any:
    """Trim the audio like the video; fill a late start and gaps with silence."""
    lead = lead_in_s(cut)
    if lead:
        stream = stream.filter("atrim", start=f"{lead:.6f}").filter("asetpts", f"PTS-{lead:.6f}/TB")
    whole = stream.filter("aresample", 48000, **{"async": 1, "first_pts": 0})
    return whole.filter("atrim", end=f"{cut.length:.6f}").filter("aformat", **AUDIO_FORMAT)


def common_fps(cuts: Sequence[Cut]) -> Fraction:
    rates = [cut.info.frame_rate for cut in cuts if cut.info.frame_rate is not None]
    return max(MIN_FPS, min(max(rates, default=DEFAULT_FPS), MAX_FPS)).limit_denominator(1001)


def format_fps(fps: Fraction) -> str:
    return f"{fps.numerator}/{fps.denominator}"


def clip_size(info: ff.MediaInfo) -> tuple[int, int]:
    """Return width and height in square pixels, both even, within the maximum size of a clip."""
    return fit(info, (MAX_WIDTH_PX, MAX_HEIGHT_PX), enlarge=False)


def fit(info: ff.MediaInfo, box: tuple[int, int], *, enlarge: bool = True) -> tuple[int, int]:
    width, height = info.width * info.pixel_aspect_ratio, float(info.height)
    scale = min(box[0] / width, box[1] / height)
    if not enlarge:
        scale = min(1.0, scale)
    return min(box[0], round_to_even(width * scale)), min(box[1], round_to_even(height * scale))


def round_to_even(side: float) -> int:
    return max(2, round(side / 2) * 2)


def jpegs_of_equal_size(files: Iterable[BinaryIO]) -> Iterator[bytes]:
    size: tuple[int, int] | None = None
    for picture in files:
        try:
            pixels = pictures.decode_rgb(picture, *(size or (MAX_WIDTH_PX, MAX_HEIGHT_PX)))
        except Invalid:
            continue
        upright = Image.frombytes("RGB", (pixels.width, pixels.height), pixels.data)
        size = size or (round_to_even(upright.width), round_to_even(upright.height))
        yield encode_jpeg(letterbox(upright, size))


def letterbox(picture: Image.Image, size: tuple[int, int]) -> Image.Image:
    ground = Image.new("RGB", size)
    ground.paste(picture, ((size[0] - picture.width) // 2, (size[1] - picture.height) // 2))
    return ground


def encode_jpeg(picture: Image.Image) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=STILL_QUALITY)
    return buffer.getvalue()


def repeat_last(frames: Iterable[bytes]) -> Iterator[bytes]:
    """Repeat the last frame for one second, so that it is visible before playback ends."""
    last = b""
    for last in frames:
        yield last
    for _ in range(LAST_STILL_REPEATS):
        yield last
