"""Size and duration of MP4 and QuickTime files, read from their boxes (ISO 14496-12) in a few small reads.

Only headers are read, never what they enclose: a box says how long it is, and the next one follows. Whatever a file
claims, the number of boxes and of bytes that are looked at is bounded.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO, Final

HEADER: Final = 8
WIDE_HEADER: Final = 16
MOST_BOXES: Final = 2000
# Of a track's sample description: `stsd`'s own head, then the entry's, up to its width.
WIDTH_IN_STSD: Final = 8 + 8 + 24
# Of a track's head, by its version: times, number and duration stand before the matrix that places its pictures.
MATRIX_IN_TKHD: Final = {0: 40, 1: 52}


class NoBoxes(ValueError):
    """The file is not built of boxes, or has none that tells."""


@dataclass(frozen=True)
class MovieFacts:
    """`width` and `height` in pixels as shown, None without pictures; `duration_s` None if it is not told."""

    width: int | None
    height: int | None
    duration_s: float | None


@dataclass(frozen=True)
class Box:
    """`start` and `end` of what it encloses, in bytes of the file."""

    kind: bytes
    start: int
    end: int


class Reader:
    """An open file of `size` bytes; of its boxes at most `MOST_BOXES` are looked at."""

    def __init__(self, file: BinaryIO, size: int) -> None:
        self.file, self.size = file, size
        self.left = MOST_BOXES

    def read(self, start: int, length: int) -> bytes:
        self.file.seek(start)
        data = self.file.read(length)
        if len(data) < length:
            raise NoBoxes("The file ends in the middle of a box.")
        return data

    def boxes(self, start: int, end: int) -> Iterator[Box]:
        while start + HEADER <= end:
            self.left -= 1
            if self.left < 0:
                raise NoBoxes("The file has too many boxes.")
            box, start = self.box_at(start, end)
            yield box

    def box_at(self, start: int, end: int) -> tuple[Box, int]:
        length, kind = struct.unpack(">I4s", self.read(start, HEADER))
        header = HEADER
        if length == 1:
            header = WIDE_HEADER
            (length,) = struct.unpack(">Q", self.read(start + HEADER, 8))
        elif length == 0:  # to the end
            length = end - start
        if length < header:
            raise NoBoxes("A box is shorter than its own head.")
        return Box(kind, start + header, min(start + length, end)), start + length

    def find(self, path: tuple[bytes, ...], start: int, end: int) -> Box | None:
        """The first box at `path`, such as (mdia, mdhd)."""
        for box in self.boxes(start, end):
            if box.kind == path[0]:
                return box if len(path) == 1 else self.find(path[1:], box.start, box.end)
        return None


def movie_facts(file: BinaryIO, size: int) -> MovieFacts:
    """What the boxes of `file` (of `size` bytes) tell. Raises `NoBoxes`, and OSError."""
    reader = Reader(file, size)
    movie = next((box for box in reader.boxes(0, size) if box.kind == b"moov"), None)
    if movie is None:
        raise NoBoxes("The file has no moov box.")
    duration_s, width, height = None, None, None
    for box in reader.boxes(movie.start, movie.end):
        if box.kind == b"mvhd":
            duration_s = header_duration(reader, box)
        elif box.kind == b"mvex" and not duration_s:
            duration_s = fragments_duration(reader, box, movie)
        elif box.kind == b"trak" and width is None:
            width, height = picture_size(reader, box)
    return MovieFacts(width, height, duration_s or None)


def header_duration(reader: Reader, box: Box) -> float | None:
    """Of `mvhd`, in s; None if it is unknown, as in a fragmented file."""
    version = reader.read(box.start, 1)[0]
    layout, skipped = (">IQ", 20) if version == 1 else (">II", 12)
    scale, duration = struct.unpack(layout, reader.read(box.start + skipped, struct.calcsize(layout)))
    unknown = duration in {0, 2**32 - 1, 2**64 - 1}
    return None if unknown or not scale else duration / scale


def fragments_duration(reader: Reader, box: Box, movie: Box) -> float | None:
    """Of `mehd`, which a fragmented file may have, in s; its unit is that of `mvhd`."""
    total, header = reader.find((b"mehd",), box.start, box.end), reader.find((b"mvhd",), movie.start, movie.end)
    if total is None or header is None:
        return None
    version = reader.read(header.start, 1)[0]
    (scale,) = struct.unpack(">I", reader.read(header.start + (20 if version == 1 else 12), 4))
    wide = reader.read(total.start, 1)[0] == 1
    (duration,) = struct.unpack(">Q" if wide else ">I", reader.read(total.start + 4, 8 if wide else 4))
    return duration / scale if scale else None


def picture_size(reader: Reader, track: Box) -> tuple[int | None, int | None]:
    """As it is shown, by the first sample description of a track of pictures; (None, None) of another track."""
    handler = reader.find((b"mdia", b"hdlr"), track.start, track.end)
    if handler is None or reader.read(handler.start + 8, 4) != b"vide":
        return None, None
    table = reader.find((b"mdia", b"minf", b"stbl", b"stsd"), track.start, track.end)
    if table is None or table.end - table.start < WIDTH_IN_STSD + 4:
        return None, None
    width, height = struct.unpack(">HH", reader.read(table.start + WIDTH_IN_STSD, 4))
    if not (width and height):
        return None, None
    return (height, width) if is_sideways(reader, track) else (width, height)


def is_sideways(reader: Reader, track: Box) -> bool:
    """Whether players turn its pictures by a quarter: a phone that was held upright says so."""
    head = reader.find((b"tkhd",), track.start, track.end)
    if head is None or head.end == head.start:
        return False
    place = MATRIX_IN_TKHD.get(reader.read(head.start, 1)[0], 0)
    if not place or head.end - head.start < place + 8:
        return False
    along, across = map(abs, struct.unpack(">ii", reader.read(head.start + place, 8)))
    return bool(across > along)
