"""Find the end of an image file by its structure: decoders accept truncated files without an error."""

from __future__ import annotations

import re
from collections.abc import Iterator

PNG_END = b"\x00\x00\x00\x00IEND\xaeB\x60\x82"
# In JPEG's scans FF is followed by 00 (stuffing), a restart marker or a fill byte; anything else is a marker.
JPEG_MARKER = re.compile(rb"\xff([^\x00\xd0-\xd7\xff])", re.DOTALL)
JPEG_MARKERS_WITHOUT_LENGTH = {0x01, 0xD8}  # TEM, SOI: without a length
JPEG_END, JPEG_SCAN = 0xD9, 0xDA
GIF_EXTENSION, GIF_IMAGE, GIF_END = 0x21, 0x2C, 0x3B


def has_end_marker(data: bytes, image_format: str) -> bool:
    """Whether the data has its end; bytes after it do not matter.

    True for formats without an end marker and those whose decoder checks it.
    """
    check = {"JPEG": jpeg_has_end, "PNG": png_has_end, "GIF": gif_has_end}.get(image_format)
    return check is None or check(data)


def png_has_end(data: bytes) -> bool:
    return PNG_END in data


def jpeg_has_end(data: bytes) -> bool:
    """Follow the markers and skip each segment, so that the end of an embedded preview does not count."""
    return any(marker == JPEG_END for marker in jpeg_markers(data))


def count_jpeg_scans(data: bytes) -> int:
    """Return the number of scans; a progressive JPEG has about ten."""
    return sum(marker == JPEG_SCAN for marker in jpeg_markers(data))


def jpeg_markers(data: bytes) -> Iterator[int]:
    """Yield the markers up to the end of the image, or of the data."""
    position = 0
    while match := JPEG_MARKER.search(data, position):
        marker, position = match[1][0], match.end()
        yield marker
        if marker == JPEG_END:
            return
        if marker not in JPEG_MARKERS_WITHOUT_LENGTH:
            position += int.from_bytes(data[position : position + 2])


def gif_has_end(data: bytes) -> bool:
    """Follow the blocks up to the trailer."""
    return walk_gif(data)[0]


def gif_lacks_only_trailer(data: bytes) -> bool:
    """Whether the data ends where the trailer would be, or before the empty block that precedes it."""
    ends, position = walk_gif(data)
    return not ends and len(data) <= position <= len(data) + 1


def walk_gif(data: bytes) -> tuple[bool, int]:
    """Follow the blocks; return whether the trailer was found, and the final position."""
    position = 13 + color_table_bytes(data[10:11])
    while position < len(data):
        kind = data[position]
        if kind == GIF_END:
            return True, position
        if kind == GIF_IMAGE:
            position += 10 + color_table_bytes(data[position + 9 : position + 10]) + 1
        elif kind == GIF_EXTENSION:
            position += 2
        else:
            return False, 0
        position = skip_sub_blocks(data, position)
    return False, position


def color_table_bytes(flags: bytes) -> int:
    if not flags or not flags[0] & 0x80:
        return 0
    return int(3 * 2 ** ((flags[0] & 7) + 1))


def skip_sub_blocks(data: bytes, position: int) -> int:
    """Return the position after the empty block that ends the sub-blocks; past the data if there is none."""
    while position < len(data) and data[position]:
        position += 1 + data[position]
    return position + 1
