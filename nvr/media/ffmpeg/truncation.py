"""Check whether a video file is as long as its container declares: ffmpeg accepts truncated files without an error."""

from __future__ import annotations

import math
import os
import re
from datetime import timedelta
from typing import BinaryIO, Final

from nvr.media.ffmpeg import operations as ffmpeg
from nvr.media.ffmpeg.containers import detect_demuxer

MAX_CHUNKS: Final = 200_000  # ten hours in one-second fragments take half of these
AVI_UNKNOWN_LENGTHS: Final = (0, 0xFFFFFFFF)  # placeholders until the recording ends
AVI_HEADER_BYTES: Final = 8  # some cameras wrongly include these in the length
BOX_TYPE: Final = re.compile(rb"[\x20-\x7e\xa9]{4}")
MATROSKA_SEGMENT: Final = 0x18538067
MARGIN_S: Final = 1.0  # frames that are displayed earlier may be stored later


def video_is_complete(file: BinaryIO) -> bool:
    """Whether the file is as long as declared; files without a length (MPEG-TS, unfinished recordings) are complete.

    Raises `UnknownContainer` and OSError.
    """
    descriptor = file.fileno()
    size = os.fstat(descriptor).st_size
    check = {"mov": mov_is_complete, "avi": avi_is_complete, "matroska": matroska_is_complete}.get(
        detect_demuxer(descriptor)
    )
    return check is None or check(descriptor, size)


def readable_duration(source: ffmpeg.Source, info: ffmpeg.MediaInfo, *, until: float, timeout: timedelta) -> float:
    """Return the seconds of video that can be read, at least within the first `until`, by counting frames.

    Ignores the declared duration. Infinite if unknown. Raises `FfmpegFailed`.
    """
    # Relative to the first frame, whatever its timestamp.
    counted = ("-select_streams", info.video_stream, "-count_packets", "-read_intervals", f"%+{until + MARGIN_S:.3f}")
    streams = ffmpeg.run_ffprobe(source, *counted, "-show_entries", "stream=nb_read_packets", timeout=timeout).get(
        "streams"
    )
    packets = str(streams[0].get("nb_read_packets")) if streams else ""
    if info.frame_rate is None or not packets.isdecimal():
        return math.inf
    return float(int(packets) / info.frame_rate)


def mov_is_complete(descriptor: int, size: int) -> bool:
    """Follow the boxes by their length (0: to the end of the file).

    Data without a valid box type is ignored: some recorders leave garbage after the last box.
    """
    position = 0
    for _ in range(MAX_CHUNKS):
        head = os.pread(descriptor, 16, position)
        length = int.from_bytes(head[:4])
        if length == 1:
            length = int.from_bytes(head[8:16])
        if length < 8 or not BOX_TYPE.fullmatch(head[4:8]):
            break
        position += length
        if position >= size:
            break
    return position <= size


def avi_is_complete(descriptor: int, size: int) -> bool:
    """Follow the RIFF chunks: a long recording has one per gigabyte."""
    position = 0
    for _ in range(MAX_CHUNKS):
        head = os.pread(descriptor, 8, position)
        length = int.from_bytes(head[4:], "little")
        if head[:4] != b"RIFF" or len(head) < 8 or length in AVI_UNKNOWN_LENGTHS:
            break
        position += AVI_HEADER_BYTES + length
    return position <= size + AVI_HEADER_BYTES


def matroska_is_complete(descriptor: int, size: int) -> bool:
    """Check the header and the one segment, whose length may be unknown."""
    position = 0
    for _ in range(2):
        head = os.pread(descriptor, 16, position)
        identity, after = read_ebml_number(head, keep_marker=True)
        length, begin = read_ebml_number(head[after:])
        if not after or not begin or length is None:
            return True
        position += after + begin + length
        if identity == MATROSKA_SEGMENT:
            return position <= size
    return True


def read_ebml_number(data: bytes, *, keep_marker: bool = False) -> tuple[int | None, int]:
    """Read EBML's variable-length integer; return it with its number of bytes.

    The number is None if all bits are set (unknown length); 0 bytes if there is no valid integer.
    """
    if not data or not data[0]:
        return None, 0
    width = 9 - data[0].bit_length()
    number = int.from_bytes(data[:width])
    if keep_marker:
        return number, width
    number &= (1 << 7 * width) - 1
    return (None if number == (1 << 7 * width) - 1 else number), width
