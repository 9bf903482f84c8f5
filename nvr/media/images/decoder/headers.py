"""Read an image's header without decoding its pixels."""

from __future__ import annotations

from typing import Any, BinaryIO, Final

from PIL import ExifTags, Image

from nvr.media.images.decoder.reading import PreadFile
from nvr.media.images.errors import DamagedImage, ImageTooLarge
from nvr.media.images.limits import max_pixels
from nvr.media.images.opening import DECODE_ERRORS, open_image, orientation

MAX_CHUNKS: Final = 64
MAX_EXIF_BYTES: Final = 2**20


def read_header(raw: PreadFile, file: BinaryIO) -> dict[str, Any]:
    """Return `width` and `height` in pixels as stored, EXIF's `orientation`, and `format`."""
    head = file.read(12)
    file.seek(0)
    if head[:4] == b"RIFF" and head[8:] == b"WEBP":
        return read_webp_header(raw)  # Pillow would read, and prepare to decode, all of it
    with open_image(file) as image:
        turn = 1 if image.format == "PNG" and "exif" not in image.info else orientation(image)
        return {"width": image.width, "height": image.height, "orientation": turn, "format": image.format}


def read_webp_header(file: PreadFile) -> dict[str, Any]:
    """Read the header from the chunks (developers.google.com/speed/webp/docs/riff_container)."""
    width = height = 0
    turn, place = 1, 12
    for _ in range(MAX_CHUNKS):
        kind, length, head = read_chunk(file, place)
        if not kind:
            break
        if not width:
            width, height = webp_size(kind, head)
        if kind == b"EXIF" and length <= MAX_EXIF_BYTES:
            file.seek(place + 8)
            turn = parse_orientation(read_all(file, length))
        place += 8 + length + length % 2
    if not (width and height):
        raise DamagedImage
    if width * height > max_pixels():
        raise ImageTooLarge
    return {"width": width, "height": height, "orientation": turn, "format": "WEBP"}


def read_chunk(file: PreadFile, place: int) -> tuple[bytes, int, bytes]:
    file.seek(place)
    data = read_all(file, 18)
    return (data[:4], int.from_bytes(data[4:8], "little"), data[8:]) if len(data) == 18 else (b"", 0, b"")


def read_all(file: PreadFile, length: int) -> bytes:
    data = b""
    while len(data) < length and (piece := file.read(length - len(data))):
        data += piece
    return data


def webp_size(kind: bytes, head: bytes) -> tuple[int, int]:
    if kind == b"VP8X":
        return 1 + int.from_bytes(head[4:7], "little"), 1 + int.from_bytes(head[7:10], "little")
    if kind == b"VP8L" and head[0] == 0x2F:
        bits = int.from_bytes(head[1:5], "little")
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    if kind == b"VP8 " and head[3:6] == b"\x9d\x01\x2a":
        return int.from_bytes(head[6:8], "little") & 0x3FFF, int.from_bytes(head[8:10], "little") & 0x3FFF
    return 0, 0


def parse_orientation(data: bytes) -> int:
    exif = Image.Exif()
    try:
        exif.load(data)
        return int(exif.get(ExifTags.Base.Orientation, 1))
    except DECODE_ERRORS:
        return 1
