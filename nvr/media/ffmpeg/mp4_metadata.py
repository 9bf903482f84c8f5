"""Size and duration of MP4 and QuickTime files, read from their boxes (ISO 14496-12) in a few small reads.

Only box headers and small metadata boxes are read, never the media data. The number of boxes and bytes that are read
is limited, whatever the file claims.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO, Final

HEADER_BYTES: Final = 8
LARGE_HEADER_BYTES: Final = 16
MAX_BOXES: Final = 2000
MAX_TABLE_BYTES: Final = 2**20
# In a track's sample description: the header of `stsd`, then the entry up to its width.
STSD_WIDTH_OFFSET: Final = 8 + 8 + 24
# In a track header, by its version: timestamps, track ID and duration precede the transformation matrix.
TKHD_MATRIX_OFFSETS: Final = {0: 40, 1: 52}

# Offset and format of the duration by box version, with the preceding timescale or (in `tkhd`) track ID.
MDHD_LAYOUTS: Final = {0: (12, ">II"), 1: (20, ">IQ")}
TKHD_LAYOUTS: Final = {0: (16, ">II"), 1: (24, ">IQ")}
UNKNOWN_DURATIONS: Final = {2**32 - 1, 2**64 - 1}


class UnreadableMp4(ValueError):
    """The file has no valid boxes, lacks metadata, or exceeds the limits of this parser."""


@dataclass(frozen=True)
class MovieInfo:
    """`width` and `height` in pixels as displayed, None without a video track; `duration_s` None if unknown."""

    width: int | None
    height: int | None
    duration_s: float | None


@dataclass(frozen=True)
class Box:
    """`start` and `end` are the byte offsets of the box's content in the file."""

    kind: bytes
    start: int
    end: int


class Reader:
    """Read the boxes of an open file of `size` bytes, at most `MAX_BOXES` of them."""

    def __init__(self, file: BinaryIO, size: int) -> None:
        self.file, self.size = file, size
        self.left = MAX_BOXES
        self.bytes_left = MAX_TABLE_BYTES

    def spend_bytes(self, count: int) -> None:
        self.bytes_left -= count
        if self.bytes_left < 0:
            raise UnreadableMp4("The file's tables are too long.")

    def read(self, start: int, length: int) -> bytes:
        self.file.seek(start)
        data = self.file.read(length)
        if len(data) < length:
            raise UnreadableMp4("The file ends in the middle of a box.")
        return data

    def boxes(self, start: int, end: int) -> Iterator[Box]:
        while start + HEADER_BYTES <= end:
            self.left -= 1
            if self.left < 0:
                raise UnreadableMp4("The file has too many boxes.")
            box, start = self.box_at(start, end)
            yield box

    def box_at(self, start: int, end: int) -> tuple[Box, int]:
        length, kind = struct.unpack(">I4s", self.read(start, HEADER_BYTES))
        header = HEADER_BYTES
        if length == 1:
            header = LARGE_HEADER_BYTES
            (length,) = struct.unpack(">Q", self.read(start + HEADER_BYTES, 8))
        elif length == 0:  # to the end
            length = end - start
        if length < header:
            raise UnreadableMp4("A box is shorter than its own header.")
        return Box(kind, start + header, min(start + length, end)), start + length

    def find(self, path: tuple[bytes, ...], start: int, end: int) -> Box | None:
        """The first box at `path`, such as (mdia, mdhd)."""
        for box in self.boxes(start, end):
            if box.kind == path[0]:
                return box if len(path) == 1 else self.find(path[1:], box.start, box.end)
        return None


def read_movie_info(file: BinaryIO, size: int) -> MovieInfo:
    """Read the size and duration of the video track in `file` (of `size` bytes).

    Raises `UnreadableMp4`, also if there are several video tracks (ffprobe has to choose), and OSError.
    """
    reader = Reader(file, size)
    movie = reader.find((b"moov",), 0, size)
    if movie is None:
        raise UnreadableMp4("The file has no moov box.")
    # `mvhd` has the same layout as `mdhd`.
    whole = read_duration(reader, reader.find((b"mvhd",), movie.start, movie.end), MDHD_LAYOUTS)
    tracks = video_tracks(reader, movie)
    if len(tracks) > 1:
        raise UnreadableMp4("The file has several video tracks.")
    if not tracks:
        return MovieInfo(None, None, whole[0] / whole[1] if all(whole) else None)
    width, height = display_size(reader, tracks[0])
    return MovieInfo(width, height, video_duration(reader, movie, tracks[0], scale=whole[1]))


def video_tracks(reader: Reader, movie: Box) -> list[Box]:
    tracks = [box for box in reader.boxes(movie.start, movie.end) if box.kind == b"trak"]
    return [track for track in tracks if is_video_track(reader, track)]


def is_video_track(reader: Reader, track: Box) -> bool:
    handler = reader.find((b"mdia", b"hdlr"), track.start, track.end)
    return handler is not None and reader.read(handler.start + 8, 4) == b"vide"


def video_duration(reader: Reader, movie: Box, track: Box, *, scale: int) -> float | None:
    """Return the displayed duration of the track in s, with all its fragments; None if unknown."""
    extends = reader.find((b"mvex",), movie.start, movie.end)
    if extends is not None:
        return fragmented_duration(reader, extends, track)
    media = read_duration(reader, reader.find((b"mdia", b"mdhd"), track.start, track.end), MDHD_LAYOUTS)
    shown = read_duration(reader, reader.find((b"tkhd",), track.start, track.end), TKHD_LAYOUTS)
    lengths = [media[0] / media[1] if media[1] else None, shown[0] / scale if scale else None]
    return min((length for length in lengths if length), default=None)


def read_duration(reader: Reader, box: Box | None, layouts: dict[int, tuple[int, str]]) -> tuple[int, int]:
    """Return the duration in a header box (0 if unknown) and the number that precedes it."""
    if box is None or box.end == box.start:
        return 0, 0
    place, layout = layouts[1 if reader.read(box.start, 1)[0] == 1 else 0]
    before, duration = struct.unpack(layout, reader.read(box.start + place, struct.calcsize(layout)))
    return (0 if duration in UNKNOWN_DURATIONS else duration), before


def display_size(reader: Reader, track: Box) -> tuple[int | None, int | None]:
    """Return width and height as displayed, from the first sample description of a video track."""
    table = reader.find((b"mdia", b"minf", b"stbl", b"stsd"), track.start, track.end)
    if table is None or table.end - table.start < STSD_WIDTH_OFFSET + 4:
        return None, None
    width, height = struct.unpack(">HH", reader.read(table.start + STSD_WIDTH_OFFSET, 4))
    if not (width and height):
        return None, None
    return (height, width) if is_rotated(reader, track) else (width, height)


def is_rotated(reader: Reader, track: Box) -> bool:
    """Whether players rotate the video by 90°, as videos from a phone held upright request."""
    head = reader.find((b"tkhd",), track.start, track.end)
    if head is None or head.end == head.start:
        return False
    place = TKHD_MATRIX_OFFSETS.get(reader.read(head.start, 1)[0], 0)
    if not place or head.end - head.start < place + 8:
        return False
    along, across = map(abs, struct.unpack(">ii", reader.read(head.start + place, 8)))
    return bool(across > along)


def fragmented_duration(reader: Reader, extends: Box, track: Box) -> float | None:
    """Return the seconds from the first sample to the end of the last fragment; `mvhd` does not include fragments.

    For files with more than `MAX_BOXES` boxes, ffprobe has to determine the duration.
    """
    duration, scale = read_duration(reader, reader.find((b"mdia", b"mdhd"), track.start, track.end), MDHD_LAYOUTS)
    if not scale:
        return None
    (number,) = struct.unpack(">I", reader.read(track_id_offset(reader, track), 4))
    usual = default_sample_duration(reader, extends, number)
    begins, end = (0 if duration else None), duration
    for fragment in track_fragments(reader, number):
        begin, length = fragment_times(reader, fragment, usual, follows=end)
        begins, end = begin if begins is None else begins, max(end, begin + length)
    return (end - (begins or 0)) / scale or None


def track_id_offset(reader: Reader, track: Box) -> int:
    head = reader.find((b"tkhd",), track.start, track.end)
    if head is None or head.end == head.start:
        raise UnreadableMp4("A track has no header.")
    return head.start + (20 if reader.read(head.start, 1)[0] == 1 else 12)


def default_sample_duration(reader: Reader, extends: Box, number: int) -> int:
    """Return the duration of samples whose fragment does not specify one."""
    for box in reader.boxes(extends.start, extends.end):
        if box.kind == b"trex" and reader.read(box.start + 4, 4) == struct.pack(">I", number):
            return int.from_bytes(reader.read(box.start + 12, 4))
    return 0


def track_fragments(reader: Reader, number: int) -> Iterator[Box]:
    """Yield the `traf` boxes of the track in file order."""
    for top in reader.boxes(0, reader.size):
        if top.kind != b"moof":
            continue
        for box in reader.boxes(top.start, top.end):
            if box.kind != b"traf":
                continue
            head = reader.find((b"tfhd",), box.start, box.end)
            if head is not None and reader.read(head.start + 4, 4) == struct.pack(">I", number):
                yield box


def fragment_times(reader: Reader, fragment: Box, usual: int, *, follows: int) -> tuple[int, int]:
    """Return start and duration of a fragment; without a start time, it begins where the previous one ended."""
    begin, length = follows, 0
    for box in reader.boxes(fragment.start, fragment.end):
        if box.kind == b"tfhd":
            usual = fragment_default_duration(reader, box, usual)
        elif box.kind == b"tfdt":
            is_wide = reader.read(box.start, 1)[0] == 1
            begin = int.from_bytes(reader.read(box.start + 4, 8 if is_wide else 4))
        elif box.kind == b"trun":
            length += run_duration(reader, box, usual)
    return begin, length


def fragment_default_duration(reader: Reader, head: Box, usual: int) -> int:
    flags = int.from_bytes(reader.read(head.start + 1, 3))
    if not flags & 0x8:
        return usual
    place = head.start + 8 + (8 if flags & 0x1 else 0) + (4 if flags & 0x2 else 0)
    return int.from_bytes(reader.read(place, 4))


def run_duration(reader: Reader, box: Box, usual: int) -> int:
    flags, samples = int.from_bytes(reader.read(box.start + 1, 3)), int.from_bytes(reader.read(box.start + 4, 4))
    if not flags & 0x100:
        return samples * usual
    fields = (flags >> 8 & 0xF).bit_count()
    start = box.start + 8 + (4 if flags & 0x1 else 0) + (4 if flags & 0x4 else 0)
    reader.spend_bytes(size := 4 * fields * samples)
    values = struct.unpack(f">{fields * samples}I", reader.read(start, size))
    return sum(values[::fields])
