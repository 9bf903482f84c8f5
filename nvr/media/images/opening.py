"""Pictures: opened only as formats that we name, never larger than the cap, made small before anything else.

What came from outside is decoded by the child processes of `nvr.media.images.decoder`, which use this module without
Django's settings; the process that serves or ingests asks those.
"""

from __future__ import annotations

import io
import logging
import struct
import warnings
import zlib
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import BinaryIO

from PIL import ExifTags, Image, PngImagePlugin

from nvr.errors import Invalid, NvrError
from nvr.media.files.paths import error_for, open_regular
from nvr.media.images.color_profiles import to_srgb
from nvr.media.images.errors import DamagedImage, ImageTooLarge, NotAnImage
from nvr.media.images.limits import MAX_SIDE_PX, max_pixels

# Of a broken file Pillow has a word to say of each of its tags; what it amounts to is raised.
warnings.filterwarnings("ignore", module=r"PIL\.")
logging.getLogger("PIL").setLevel(logging.ERROR)
FORMATS = ("JPEG", "PNG", "GIF", "BMP", "TIFF", "WEBP")
JPEG_QUALITY = 82
# A JPEG is decoded at 1/2, 1/4 or 1/8 when that leaves this many times the width wanted. At 1.9 a 4000-pixel JPEG
# becomes 256 wide from 1/8: 50 to 52 dB (PSNR) from the result of decoding it whole, in a fifth of the time.
REDUCING_GAP = 1.9
# What Pillow's decoders raise on broken data, beside OSError (which covers UnidentifiedImageError).
DECODE_ERRORS = (
    *(OSError, SyntaxError, ValueError, TypeError, LookupError, EOFError, OverflowError, struct.error, zlib.error),
    *(AttributeError, AssertionError, RecursionError),
)
ORIENTATION_TRANSPOSES = {
    2: (Image.Transpose.FLIP_LEFT_RIGHT,),
    3: (Image.Transpose.ROTATE_180,),
    4: (Image.Transpose.FLIP_TOP_BOTTOM,),
    5: (Image.Transpose.TRANSPOSE,),
    6: (Image.Transpose.ROTATE_270,),
    7: (Image.Transpose.TRANSVERSE,),
    8: (Image.Transpose.ROTATE_90,),
}
ROTATED_ORIENTATIONS = {5, 6, 7, 8}


@contextmanager
def open_image(source: Path | bytes | BinaryIO) -> Iterator[Image.Image]:
    """The image, not decoded yet; an open file stays open.

    Raises `NotAnImage`, `ImageTooLarge`, `DamagedImage` for what the block meets, and what `open_regular` raises.
    """
    with open_stream(source) as file:
        try:
            image = identify(file)
        except Image.DecompressionBombError as error:  # of more than twice the cap, before its size is told
            raise ImageTooLarge(
                f"The image has more than {2 * max_pixels():,} pixels; at most "
                f"{max_pixels():,} are read (NVR_MAX_IMAGE_PIXELS)."
            ) from error
        except DECODE_ERRORS as error:
            raise translate_error(error, NotAnImage) from error
        try:
            yield image
        except DECODE_ERRORS as error:
            raise translate_error(error, DamagedImage) from error


def open_stream(source: Path | bytes | BinaryIO) -> AbstractContextManager[BinaryIO]:
    if isinstance(source, Path):
        return open_regular(source)
    return io.BytesIO(source) if isinstance(source, bytes) else nullcontext(source)


def translate_error(error: Exception, of_bytes: type[Invalid]) -> NvrError:
    """Pillow's own OSErrors carry no number and speak of the bytes; one with a number is the storage's."""
    return error_for(error) if isinstance(error, OSError) and error.errno else of_bytes()


def identify(file: BinaryIO) -> Image.Image:
    Image.MAX_IMAGE_PIXELS = max_pixels()  # Pillow's own guard, within formats of which the size is told late
    image = Image.open(file, formats=FORMATS)
    if image.width * image.height > max_pixels():
        raise ImageTooLarge(
            f"The image has {image.width:,} by {image.height:,} pixels; at most "
            f"{max_pixels():,} in all are read (NVR_MAX_IMAGE_PIXELS)."
        )
    if max(image.size) > MAX_SIDE_PX:
        raise ImageTooLarge(
            f"The image has {image.width:,} by {image.height:,} pixels; neither side may have more than "
            f"{MAX_SIDE_PX:,}."
        )
    return image


def fit(image: Image.Image, width: int, height: int) -> Image.Image:
    """Upright, within `width` by `height` pixels, never enlarged, in mode L, RGB or RGBA."""
    turn = orientation(image)
    box = (height, width) if turn in ROTATED_ORIENTATIONS else (width, height)
    scale = min(1.0, box[0] / image.width, box[1] / image.height)
    across, down = (max(1, int(side * scale * REDUCING_GAP)) for side in image.size)
    image.draft(None, (across, down))
    image = to_resizable_mode(image)
    image.thumbnail(box, Image.Resampling.BICUBIC, reducing_gap=REDUCING_GAP)
    image = to_srgb(image)
    for method in ORIENTATION_TRANSPOSES.get(turn, ()):
        image = image.transpose(method)
    return image if image.mode in {"L", "RGB", "RGBA"} else image.convert("RGB")


def orientation(image: Image.Image) -> int:
    """EXIF's, 1 (upright) to 8; what cannot be read is upright."""
    try:
        return int(image.getexif().get(ExifTags.Base.Orientation, 1))
    except DECODE_ERRORS:
        return 1


def to_resizable_mode(image: Image.Image) -> Image.Image:
    """In a mode whose pixels can be averaged. A JPEG stays as it is, so that it is decoded small."""
    if image.mode in {"L", "RGB", "RGBA", "CMYK"}:
        return image
    if image.mode.startswith(("I", "F")):
        return image.point(lambda value: value * (1 / 256)).convert("L")
    if image.mode in {"LA", "PA", "La", "RGBa"} or "transparency" in image.info:
        return image.convert("RGBA")
    return image.convert("L" if image.mode == "1" else "RGB")


def thumbnail_png(source: Path | bytes, size: int = 256, *, text: dict[str, str] | None = None) -> bytes:
    """A PNG of at most `size` by `size` pixels; `text` becomes tEXt chunks.

    Level 1 with run lengths only: photographs come out no larger than at the default, in under half of the time.
    """
    notes = PngImagePlugin.PngInfo()
    for name, value in (text or {}).items():
        notes.add_text(name, value)
    buffer = io.BytesIO()
    with open_image(source) as image:
        fit(image, size, size).save(
            buffer, "PNG", compress_level=1, compress_type=zlib.Z_RLE, pnginfo=notes, exif=b"", icc_profile=None
        )
    return buffer.getvalue()


def encode(image: Image.Image, kind: str) -> bytes:
    buffer = io.BytesIO()
    if kind == "PNG":
        image.save(buffer, kind, compress_level=1, exif=b"", icc_profile=None)
    else:
        image.save(buffer, kind, quality=JPEG_QUALITY, exif=b"", icc_profile=None)
    return buffer.getvalue()
