"""Square thumbnails: a picture in the middle of a light square, smaller where it must be and never enlarged."""

from __future__ import annotations

import io
import zlib
from functools import lru_cache
from pathlib import Path
from typing import BinaryIO

from PIL import Image, ImageDraw, ImageFont, PngImagePlugin

from nvr.media.images.opening import fit, open_image

BACKGROUND = (237, 243, 246)
TEXT_COLOR = (112, 124, 132)  # can be read on light and on dark
CONTENT_SIZE_KEY = "X-NVR::Content"  # the picture's size within the square, as `256x192`


def thumbnail_png(source: Path | bytes | BinaryIO, size: int, *, text: dict[str, str]) -> bytes:
    """A PNG of `size` by `size` pixels with `text` in tEXt chunks. Raises what `open_image` raises."""
    with open_image(source) as image:
        return square_png(image, size, text)


def square_png(image: Image.Image, size: int, text: dict[str, str]) -> bytes:
    return letterbox_png(fit(image, size, size), size, text)


def downscale_png(thumbnail: bytes, size: int, *, text: dict[str, str]) -> bytes:
    """The same from a larger thumbnail: what that shows is scaled, and only as far as it must be."""
    with open_image(thumbnail) as image:
        return letterbox_png(fit(image.crop(content_box(image)), size, size), size, text)


def letterbox_png(picture: Image.Image, size: int, text: dict[str, str]) -> bytes:
    square = Image.new("RGB", (size, size), BACKGROUND)
    mask = picture if picture.mode == "RGBA" else None
    square.paste(picture, ((size - picture.width) // 2, (size - picture.height) // 2), mask)
    notes = PngImagePlugin.PngInfo()
    for name, value in (text | {CONTENT_SIZE_KEY: f"{picture.width}x{picture.height}"}).items():
        notes.add_text(name, value)
    buffer = io.BytesIO()
    square.save(buffer, "PNG", compress_level=1, compress_type=zlib.Z_RLE, pnginfo=notes)
    return buffer.getvalue()


def content_box(thumbnail: Image.Image) -> tuple[int, int, int, int]:
    """Where the picture stands; of a thumbnail that another program made, all of it."""
    words = str(thumbnail.info.get(CONTENT_SIZE_KEY, "")).split("x")
    width, height = map(int, words) if len(words) == 2 and all(map(str.isdecimal, words)) else thumbnail.size
    if not (0 < width <= thumbnail.width and 0 < height <= thumbnail.height):
        width, height = thumbnail.size
    left, top = (thumbnail.width - width) // 2, (thumbnail.height - height) // 2
    return left, top, left + width, top + height


@lru_cache(maxsize=16)
def placeholder_png(label: str, size: int) -> bytes:
    """A transparent square that says `label` (lines of text), as large as fits: whatever frames it is its ground."""
    square = Image.new("RGBA", (size, size), (*TEXT_COLOR, 0))
    draw = ImageDraw.Draw(square)
    largest = ImageFont.load_default(100)
    left, top, right, bottom = draw.multiline_textbbox((0, 0), label, font=largest, align="center")
    font = ImageFont.load_default(max(1.0, 70 * size / max(right - left, bottom - top)))
    draw.multiline_text((size / 2, size / 2), label, fill=TEXT_COLOR, font=font, anchor="mm", align="center")
    buffer = io.BytesIO()
    square.save(buffer, "PNG")
    return buffer.getvalue()
