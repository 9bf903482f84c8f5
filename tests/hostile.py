"""Images that take far more resources to decode than normal ones."""

from __future__ import annotations

import io
import random
import struct

from PIL import Image


def progressive_jpeg(side: int = 64) -> bytes:
    buffer = io.BytesIO()
    small = Image.frombytes("RGB", (40, 30), random.Random(5).randbytes(3600))
    small.resize((side, side)).save(buffer, "JPEG", progressive=True)
    return buffer.getvalue()


def jpeg_with_many_scans(scans: int, size: tuple[int, int] = (9999, 9999)) -> bytes:
    """Return a progressive JPEG that repeats its last scan; each scan covers all pixels."""
    data = progressive_jpeg()
    last = data.rindex(b"\xff\xda")
    frame = data.index(b"\xff\xc2")
    resized = data[: frame + 5] + struct.pack(">HH", size[1], size[0]) + data[frame + 9 :]
    return resized[:-2] + resized[last:-2] * scans + b"\xff\xd9"
