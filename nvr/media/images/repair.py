"""Pictures that lack only their last bytes: all rows are there, and every viewer shows them.

A camera that forgets the end marker, a transfer that lost the last packet. What lacks rows is not repaired: a grey
bottom is no picture.
"""

from __future__ import annotations

import hashlib
import io
import zlib
from typing import Final

from PIL import Image

from nvr.media.images.truncation import PNG_END, gif_lacks_only_trailer, walk_gif

JPEG_END: Final = b"\xff\xd9"
# Read as pixels this shows; behind the last pixel nobody reads it. Without FF, which would begin a marker.
NOISE: Final = b"".join(hashlib.sha256(bytes([n])).digest() for n in range(64)).replace(b"\xff", b"\x5a")
PNG_SIGNATURE: Final = b"\x89PNG\r\n\x1a\n"
PNG_CHANNELS: Final = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
MIN_PADDING_ZEROS: Final = 16  # more at the end are what a file system holds in place of what was not written


def repair(data: bytes) -> bytes | None:
    """`data` with its end, if nothing else is missing; None if it has it, or lacks more."""
    if data.startswith(b"\xff\xd8"):
        return repair_jpeg(data)
    if data.startswith(PNG_SIGNATURE):
        return repair_png(data)
    if data.startswith(b"GIF8") and gif_lacks_only_trailer(data):
        return data + (b";" if walk_gif(data)[1] == len(data) else b"\0;")
    return None


def repair_jpeg(data: bytes) -> bytes | None:
    """Whether the last pixel is there shows in this: what follows it changes nothing."""
    body = data.rstrip(b"\0")
    body = data if len(data) - len(body) < MIN_PADDING_ZEROS else body
    body = body[:-1] if body.endswith(b"\xff") else body
    ended = body + JPEG_END
    shown = decode_jpeg(ended)
    return ended if shown is not None and shown == decode_jpeg(body + NOISE + JPEG_END) else None


def decode_jpeg(data: bytes) -> bytes | None:
    """At full size and with colours, which come last: less would not tell of the last block."""
    try:
        with Image.open(io.BytesIO(data), formats=("JPEG",)) as image:
            image.load()
            return image.tobytes()
    except (OSError, SyntaxError, ValueError):
        return None


def repair_png(data: bytes) -> bytes | None:
    """Its rows in one chunk, if they are all there; of interlaced ones, which come seven times, nobody knows."""
    chunks, rows = read_png(data)
    if rows is None:
        return None
    return PNG_SIGNATURE + b"".join(chunks) + png_chunk(b"IDAT", zlib.compress(rows, 1)) + PNG_END


def read_png(data: bytes) -> tuple[list[bytes], bytes | None]:
    """The chunks before the pixels, and the rows as they are coded; None if not all of them are there."""
    chunks: list[bytes] = []
    inflate, rows, needed, position = zlib.decompressobj(), bytearray(), 0, len(PNG_SIGNATURE)
    while position + 8 <= len(data):
        length, kind = int.from_bytes(data[position : position + 4]), data[position + 4 : position + 8]
        content = data[position + 8 : position + 8 + length]
        if kind == b"IHDR":
            needed = png_row_bytes(content)
        if kind == b"IDAT":
            if needed <= len(rows):
                break
            try:
                rows += inflate.decompress(content, needed - len(rows))
            except zlib.error:
                return chunks, None
        elif not rows:
            chunks.append(png_chunk(kind, content))
        position += 12 + length
    return chunks, bytes(rows) if needed and len(rows) >= needed else None


def png_row_bytes(header: bytes) -> int:
    """Of all rows, each with the byte that names its filter; 0 if it is not known."""
    if len(header) != 13 or header[12] != 0 or header[9] not in PNG_CHANNELS:
        return 0
    width, height = int.from_bytes(header[:4]), int.from_bytes(header[4:8])
    return height * (1 + (width * header[8] * PNG_CHANNELS[header[9]] + 7) // 8)


def png_chunk(kind: bytes, content: bytes) -> bytes:
    return len(content).to_bytes(4) + kind + content + zlib.crc32(kind + content).to_bytes(4)
