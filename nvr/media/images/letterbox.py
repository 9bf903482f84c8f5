"""Square thumbnails: the image centred on a light square, scaled down if necessary and never enlarged."""

from __future__ import annotations

import io
import zlib
from functools import lru_cache

from PIL import Image, ImageDraw, ImageFont, PngImagePlugin

from nvr.media.images.opening import fit, open_image

BACKGROUND = (237, 243, 246)
TEXT_COLOR = (112, 124, 132)  # readable on light and dark backgrounds
CONTENT_SIZE_KEY = "X-NVR::Content"  # the image's size within the square, such as `256x192`


def square_png(image: Image.Image, size: int, text: dict[str, str]) -> bytes:
    """Return a PNG of `size` by `size` pixels with `text` in tEXt chunks."""
    return letterbox_png(fit(image, size, size), size, text)


def downscale_png(thumbnail: bytes, size: int, *, text: dict[str, str]) -> bytes:
    """Return a smaller thumbnail from a larger one, scaling only its content, and only as far as necessary."""
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
    # Run-length encoding: photographs are no larger than at the default level, in under half of the time.
    square.save(buffer, "PNG", compress_level=1, compress_type=zlib.Z_RLE, pnginfo=notes)
    return buffer.getvalue()


def content_box(thumbnail: Image.Image) -> tuple[int, int, int, int]:
    """Return the box of the image within the square; for thumbnails of other programs, the whole square."""
    sides = str(thumbnail.info.get(CONTENT_SIZE_KEY, "")).split("x")
    width, height = map(int, sides) if len(sides) == 2 and all(map(str.isdecimal, sides)) else thumbnail.size
    if not (0 < width <= thumbnail.width and 0 < height <= thumbnail.height):
        width, height = thumbnail.size
    left, top = (thumbnail.width - width) // 2, (thumbnail.height - height) // 2
    return left, top, left + width, top + height


@lru_cache(maxsize=16)
def placeholder_png(label: str, size: int) -> bytes:
    """Return a transparent square with `label` (lines of text) as large as fits; the page supplies the background."""
    square = Image.new("RGBA", (size, size), (*TEXT_COLOR, 0))
    draw = ImageDraw.Draw(square)
    largest = ImageFont.load_default(100)
    left, top, right, bottom = draw.multiline_textbbox((0, 0), label, font=largest, align="center")
    font = ImageFont.load_default(max(1.0, 70 * size / max(right - left, bottom - top)))
    draw.multiline_text((size / 2, size / 2), label, fill=TEXT_COLOR, font=font, anchor="mm", align="center")
    buffer = io.BytesIO()
    square.save(buffer, "PNG")
    return buffer.getvalue()
