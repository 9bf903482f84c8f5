"""Probe videos with ffprobe: container, tracks, duration and size.

We open the file and pass its descriptor, so that ffprobe reads the same file that was checked. Only one demuxer,
chosen by the file's first bytes, may read it, and it can open no other file.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass, field, replace
from datetime import timedelta
from fractions import Fraction
from pathlib import Path
from typing import Any, BinaryIO

from nvr.media.ffmpeg import tracks
from nvr.media.ffmpeg.containers import ELEMENTARY_STREAMS, detect_demuxer
from nvr.media.ffmpeg.mp4_metadata import Reader, UnreadableMp4, video_tracks
from nvr.media.ffmpeg.processes import FfmpegFailed, FfmpegTimedOut, run
from nvr.media.ffmpeg.tracks import parse_seconds
from nvr.media.files.paths import open_regular, translate_os_errors

PROBE_TIMEOUT = timedelta(seconds=15)
DEMUXERS_WITHOUT_DURATION = {"mpeg", *ELEMENTARY_STREAMS}  # often without a stored duration
TRACK_TABLE_BYTES = 65_536  # AVI and Matroska describe their tracks within these
MATROSKA_VIDEO_TRACK = b"\x83\x81\x01"  # a track of the type "video"
MIN_PLAUSIBLE_BYTES_PER_S = 100  # low enough for time lapses with a frame every few minutes


@dataclass(frozen=True)
class MediaInfo:
    """Size in pixels as displayed (after rotation), duration in seconds, and ffmpeg's names of codecs and formats.

    `frame_rate` is the average per second; `pixel_aspect_ratio` is the displayed width of a pixel divided by its
    height; `has_b_frames` if frames are not stored in display order. `video_stream` and `audio_stream` are ffmpeg's
    specifiers of the selected tracks; `audio_codec` is None if no audio can be decoded. `start_time` is the first
    timestamp in the file, in seconds. `tags` are those of the video track and of the file. `has_other_tracks` if
    there are more video or audio tracks: a browser might choose another of them, or fail on it.
    """

    width: int
    height: int
    duration: float | None
    video_codec: str
    audio_codec: str | None
    container: str
    pix_fmt: str | None
    frame_rate: Fraction | None = None
    pixel_aspect_ratio: float = 1.0
    size_bytes: int = 0
    has_b_frames: bool = False
    video_stream: str = "V:0"
    audio_stream: str | None = None
    start_time: float = 0.0
    has_other_tracks: bool = False
    tags: dict[str, str] = field(default_factory=dict, compare=False)

    @property
    def plausible_duration(self) -> float | None:
        """The duration; None if the file is far too small for it (hours declared, hardly any data)."""
        is_plausible = self.duration is not None and self.duration * MIN_PLAUSIBLE_BYTES_PER_S <= self.size_bytes
        return self.duration if is_plausible else None


@dataclass(frozen=True)
class Source:
    """An open video, its address for ffmpeg, and the only demuxer that may read it."""

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
def open_source(video: Path | BinaryIO, *, root: Path | None = None) -> Iterator[Source]:
    """Open a video; a file that is passed open stays open. Raises `UnknownContainer` and what `open_regular` raises."""
    with open_regular(video, root=root) if isinstance(video, Path) else nullcontext(video) as file:
        yield source_for(file)


def source_for(file: BinaryIO) -> Source:
    """Return a source that is valid while `file` is open. Raises `UnknownContainer` and `StorageFault`."""
    with translate_os_errors():
        return Source(file.fileno(), detect_demuxer(file.fileno()))


def probe(video: Path | BinaryIO, *, root: Path | None = None, timeout: timedelta = PROBE_TIMEOUT) -> MediaInfo:
    """Probe a video. Raises `FfmpegFailed`, also if it has no video track, and what `open_source` raises."""
    with open_source(video, root=root) as source:
        return probe_source(source, timeout=timeout)


def probe_source(source: Source, *, timeout: timedelta = PROBE_TIMEOUT) -> MediaInfo:
    output = run_ffprobe(source, "-show_format", "-show_streams", timeout=timeout)
    info = parse_probe(output, source.demuxer, os.fstat(source.descriptor).st_size)
    if source.demuxer in DEMUXERS_WITHOUT_DURATION and not tracks.has_duration(output["streams"], info.video_stream):
        with suppress(FfmpegTimedOut):  # for very long files, the declared duration has to do
            info = replace(info, duration=count_duration(source, info, timeout=timeout) or info.duration)
    return info


def count_duration(source: Source, info: MediaInfo, *, timeout: timedelta) -> float | None:
    """Return the duration in s by counting frames: the audio may be much longer than the video."""
    count = ("-select_streams", info.video_stream, "-count_packets", "-show_entries", "stream=nb_read_packets")
    streams = run_ffprobe(source, *count, timeout=timeout).get("streams")
    packets = str(streams[0].get("nb_read_packets")) if streams else ""
    return float(int(packets) / info.frame_rate) if info.frame_rate and packets.isdecimal() else None


def run_ffprobe(source: Source, *show_options: str, timeout: timedelta) -> dict[str, Any]:
    """Run ffprobe and return its JSON output. Raises `FfmpegFailed`."""
    options = source.options()
    arguments = ["ffprobe", "-v", "error", "-f", options.pop("format")]
    for name, value in options.items():
        arguments += [f"-{name}", value]
    arguments += ["-print_format", "json", *show_options, source.address]
    output: dict[str, Any] = json.loads(run(arguments, timeout=timeout, pass_fds=[source.descriptor]) or b"{}")
    return output


def parse_probe(output: dict[str, Any], container: str, size_bytes: int) -> MediaInfo:
    streams = output.get("streams", [])
    video = tracks.select_video_track(streams, container)
    if video is None:
        raise FfmpegFailed("The file contains no video.")
    audio = tracks.select_audio_track(streams)
    width, height = int(video["width"]), int(video["height"])
    rotated = is_rotated(video)
    aspect_ratio = parse_pixel_aspect_ratio(video)
    return MediaInfo(
        width=height if rotated else width,
        height=width if rotated else height,
        duration=tracks.video_duration(output.get("format", {}), video, container),
        size_bytes=size_bytes,
        video_codec=str(video.get("codec_name", "unknown")),
        audio_codec=str(audio["codec_name"]) if audio else None,
        container=container,
        pix_fmt=video.get("pix_fmt"),
        frame_rate=parse_ratio(video.get("avg_frame_rate"), "/"),
        pixel_aspect_ratio=1 / aspect_ratio if rotated else aspect_ratio,
        has_b_frames=bool(video.get("has_b_frames")),
        video_stream=str(tracks.stream_index(video)),
        audio_stream=str(tracks.stream_index(audio)) if audio else None,
        start_time=parse_seconds(output.get("format", {}).get("start_time")) or 0.0,
        has_other_tracks=tracks.count_tracks(streams) > (2 if audio else 1),
        tags=parse_tags(video) | parse_tags(output.get("format", {})),
    )


def parse_tags(part: dict[str, Any]) -> dict[str, str]:
    return {str(name): str(text) for name, text in part.get("tags", {}).items()}


def is_rotated(video: dict[str, Any]) -> bool:
    rotations = [data["rotation"] for data in video.get("side_data_list", []) if "rotation" in data]
    return bool(rotations) and int(rotations[0]) % 180 != 0


def parse_pixel_aspect_ratio(video: dict[str, Any]) -> float:
    """Return the pixel aspect ratio, which is not 1 for analogue cameras. Implausible values count as 1."""
    ratio = parse_ratio(video.get("sample_aspect_ratio"), ":")
    return float(ratio) if ratio is not None and 0.5 <= ratio <= 2 else 1.0


def parse_ratio(text: object, separator: str) -> Fraction | None:
    """Parse ffmpeg's `30000/1001` or `12:11`; None for unknown values (`0/0`, `N/A`)."""
    numerator, _, denominator = str(text).partition(separator)
    if not (numerator.isdecimal() and denominator.isdecimal() and int(numerator) and int(denominator)):
        return None
    return Fraction(int(numerator), int(denominator))


def video_specifier(source: Source, *, timeout: timedelta = PROBE_TIMEOUT) -> str:
    """Return ffmpeg's specifier of the selected video track; runs ffprobe only if there may be several.

    Raises `FfmpegFailed`.
    """
    return (
        probe_source(source, timeout=timeout).video_stream
        if may_have_several_video_tracks(source)
        else MediaInfo.video_stream
    )


def may_have_several_video_tracks(source: Source) -> bool:
    head = os.pread(source.descriptor, TRACK_TABLE_BYTES, 0)
    if source.demuxer == "mov":
        return mov_has_several_video_tracks(source)
    if source.demuxer == "avi":
        return head.count(b"strh\x38\0\0\0vids") > 1
    if source.demuxer == "matroska":
        return head.count(MATROSKA_VIDEO_TRACK) > 1
    return source.demuxer in {"mpegts", "asf"}


def mov_has_several_video_tracks(source: Source) -> bool:
    # Opened again, so that the file position is separate.
    with Path(f"/proc/self/fd/{source.descriptor}").open("rb", buffering=0) as file, suppress(UnreadableMp4):
        reader = Reader(file, os.fstat(source.descriptor).st_size)
        movie = reader.find((b"moov",), 0, reader.size)
        return movie is not None and len(video_tracks(reader, movie)) > 1
    return False
