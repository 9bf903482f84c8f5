"""Whether a video file is as long as its container says: ffmpeg is content with the first half of one."""

from __future__ import annotations

import math
import os
import re
from datetime import timedelta
from typing import BinaryIO, Final

from nvr.media.ffmpeg import operations as ffmpeg
from nvr.media.ffmpeg.containers import detect_demuxer

MAX_CHUNKS: Final = 200_000  # ten hours in fragments of a second are half of that
AVI_UNKNOWN_LENGTHS: Final = (0, 0xFFFFFFFF)  # what is filled in when the recording ends
AVI_HEADER_BYTES: Final = 8  # which the lengths that some cameras write count too, though they should not
BOX_TYPE: Final = re.compile(rb"[\x20-\x7e\xa9]{4}")
MATROSKA_SEGMENT: Final = 0x18538067
MARGIN_S: Final = 1.0  # pictures that are shown earlier may be stored behind


def video_is_complete(file: BinaryIO) -> bool:
    """What carries no length (MPEG-TS, a recording that was never closed) has its end wherever it ends.

    Raises `UnknownContainer` and OSError.
    """
    descriptor = file.fileno()
    size = os.fstat(descriptor).st_size
    check = {"mov": mov_is_complete, "avi": avi_is_complete, "matroska": matroska_is_complete}.get(
        detect_demuxer(descriptor)
    )
    return check is None or check(descriptor, size)


def readable_duration(source: ffmpeg.Source, facts: ffmpeg.MediaInfo, *, until: float, timeout: timedelta) -> float:
    """Seconds of it that can be read, at least of its first `until`: by counting pictures, whatever it says of itself.

    Infinite if that cannot be told. Raises `FfmpegFailed`.
    """
    # From its first picture on, whatever the file's clock shows there.
    counted = ("-select_streams", facts.picture, "-count_packets", "-read_intervals", f"%+{until + MARGIN_S:.3f}")
    streams = ffmpeg.run_ffprobe(source, *counted, "-show_entries", "stream=nb_read_packets", timeout=timeout).get(
        "streams"
    )
    pictures = str(streams[0].get("nb_read_packets")) if streams else ""
    if facts.frame_rate is None or not pictures.isdecimal():
        return math.inf
    return float(int(pictures) / facts.frame_rate)


def mov_is_complete(descriptor: int, size: int) -> bool:
    """From box to box, each of which tells its length (0: to the end of the file) and its kind in letters.

    What has no kind is no box: rubbish that some recorders leave behind the last one.
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
    """One RIFF after the other: of a long recording each holds a gigabyte."""
    position = 0
    for _ in range(MAX_CHUNKS):
        head = os.pread(descriptor, 8, position)
        length = int.from_bytes(head[4:], "little")
        if head[:4] != b"RIFF" or len(head) < 8 or length in AVI_UNKNOWN_LENGTHS:
            break
        position += AVI_HEADER_BYTES + length
    return position <= size + AVI_HEADER_BYTES


def matroska_is_complete(descriptor: int, size: int) -> bool:
    """A header and one segment, whose length need not be known."""
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
    """EBML's number of variable length at the beginning, and its bytes; all ones: None, not known; no bytes: none."""
    if not data or not data[0]:
        return None, 0
    width = 9 - data[0].bit_length()
    number = int.from_bytes(data[:width])
    if keep_marker:
        return number, width
    number &= (1 << 7 * width) - 1
    return (None if number == (1 << 7 * width) - 1 else number), width
