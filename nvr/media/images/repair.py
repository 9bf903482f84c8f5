"""Repair images that lack only their last bytes but have all rows, so that every viewer displays them.

Causes are a camera that omits the end marker, or a transfer that lost the last packet. Images with missing rows are
not repaired: they would have a grey bottom.
"""

from __future__ import annotations

import hashlib
import io
import zlib
from typing import Final

from PIL import Image

from nvr.media.images.truncation import PNG_END, gif_lacks_only_trailer, walk_gif

JPEG_END: Final = b"\xff\xd9"
# Visible if decoded as pixels, but ignored after the last pixel. Without FF, which would start a marker.
NOISE: Final = b"".join(hashlib.sha256(bytes([n])).digest() for n in range(64)).replace(b"\xff", b"\x5a")
PNG_SIGNATURE: Final = b"\x89PNG\r\n\x1a\n"
PNG_CHANNELS: Final = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
MIN_PADDING_ZEROS: Final = 16  # this many trailing zeros are unwritten data, not part of the image


def repair(data: bytes) -> bytes | None:
    """Return `data` with its end added, if only that is missing; None if it is complete or lacks more."""
    if data.startswith(b"\xff\xd8"):
        return repair_jpeg(data)
    if data.startswith(PNG_SIGNATURE):
        return repair_png(data)
    if data.startswith(b"GIF8") and gif_lacks_only_trailer(data):
        return data + (b";" if walk_gif(data)[1] == len(data) else b"\0;")
    return None


def repair_jpeg(data: bytes) -> bytes | None:
    """Add the end marker if the last pixel exists, which is the case if appended data does not change the pixels."""
    body = data.rstrip(b"\0")
    body = data if len(data) - len(body) < MIN_PADDING_ZEROS else body
    body = body[:-1] if body.endswith(b"\xff") else body
    ended = body + JPEG_END
    shown = decode_jpeg(ended)
    return ended if shown is not None and shown == decode_jpeg(body + NOISE + JPEG_END) else None


def decode_jpeg(data: bytes) -> bytes | None:
    """Decode at full size and with colours, which come last: otherwise the last block would not be checked."""
    try:
        with Image.open(io.BytesIO(data), formats=("JPEG",)) as image:
            image.load()
            return image.tobytes()
    except (OSError, SyntaxError, ValueError):
        return None


def repair_png(data: bytes) -> bytes | None:
    """Return a PNG with the rows in one chunk, if all of them exist; interlaced PNGs are not supported."""
    chunks, rows = read_png(data)
    if rows is None:
        return None
    return PNG_SIGNATURE + b"".join(chunks) + png_chunk(b"IDAT", zlib.compress(rows, 1)) + PNG_END


def read_png(data: bytes) -> tuple[list[bytes], bytes | None]:
    """Return the chunks before the pixels, and the encoded rows, or None for these unless all rows exist."""
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
    """Return the bytes of all rows including their filter bytes; 0 if unknown."""
    if len(header) != 13 or header[12] != 0 or header[9] not in PNG_CHANNELS:
        return 0
    width, height = int.from_bytes(header[:4]), int.from_bytes(header[4:8])
    return height * (1 + (width * header[8] * PNG_CHANNELS[header[9]] + 7) // 8)


def png_chunk(kind: bytes, content: bytes) -> bytes:
    return len(content).to_bytes(4) + kind + content + zlib.crc32(kind + content).to_bytes(4)
