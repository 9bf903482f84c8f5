"""Open images: only of listed formats, never above the size limit, and scaled down before any other processing.

Untrusted images are decoded by the child processes of `nvr.media.images.decoder`, which use this module without
Django's settings; processes that serve or ingest send requests to them.
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

from PIL import ExifTags, Image

from nvr.errors import Invalid, NvrError
from nvr.media.files.paths import error_for, open_regular
from nvr.media.images.color_profiles import to_srgb
from nvr.media.images.errors import DamagedImage, ImageTooLarge, NotAnImage
from nvr.media.images.limits import MAX_SIDE_PX, max_pixels

# For broken files Pillow warns about every tag; the resulting error is raised anyway.
warnings.filterwarnings("ignore", module=r"PIL\.")
logging.getLogger("PIL").setLevel(logging.ERROR)
FORMATS = ("JPEG", "PNG", "GIF", "BMP", "TIFF", "WEBP")
JPEG_QUALITY = 82
# A JPEG is decoded at 1/2, 1/4 or 1/8 if that leaves this many times the requested width. At 1.9, a 4000-pixel JPEG is
# scaled to 256 from 1/8: 50 to 52 dB (PSNR) relative to full decoding, in a fifth of the time.
REDUCING_GAP = 1.9
# What Pillow's decoders raise for broken data; OSError covers UnidentifiedImageError.
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
    """Yield the image, not decoded yet; a file that is passed open stays open.

    Raises `NotAnImage`, `ImageTooLarge`, `DamagedImage` if decoding fails in the block, and what `open_regular` raises.
    """
    with open_stream(source) as file:
        try:
            image = identify(file)
        except Image.DecompressionBombError as error:  # above twice the limit, before the size is known
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
    """Translate an exception: an OSError with errno is a storage fault; Pillow's own OSErrors have none."""
    return error_for(error) if isinstance(error, OSError) and error.errno else of_bytes()


def identify(file: BinaryIO) -> Image.Image:
    Image.MAX_IMAGE_PIXELS = max_pixels()  # Pillow's own limit, for formats whose size is known late
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
    """Return the image upright, within `width` by `height` pixels, never enlarged, in mode L, RGB or RGBA."""
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
    """Return EXIF's orientation, 1 (upright) to 8; 1 if it cannot be read."""
    try:
        return int(image.getexif().get(ExifTags.Base.Orientation, 1))
    except DECODE_ERRORS:
        return 1


def to_resizable_mode(image: Image.Image) -> Image.Image:
    """Convert to a mode whose pixels can be averaged. JPEGs are not decoded yet: that happens at reduced size."""
    if image.mode in {"L", "RGB", "RGBA", "CMYK"}:
        return image
    if image.mode.startswith(("I", "F")):
        return image.point(lambda value: value * (1 / 256)).convert("L")
    if image.mode in {"LA", "PA", "La", "RGBa"} or "transparency" in image.info:
        return image.convert("RGBA")
    return image.convert("L" if image.mode == "1" else "RGB")


def encode(image: Image.Image, kind: str) -> bytes:
    buffer = io.BytesIO()
    if kind == "PNG":
        image.save(buffer, kind, compress_level=1, exif=b"", icc_profile=None)
    else:
        image.save(buffer, kind, quality=JPEG_QUALITY, exif=b"", icc_profile=None)
    return buffer.getvalue()
