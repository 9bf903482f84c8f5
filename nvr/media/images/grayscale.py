"""Images for detectors: grayscale, upright and no larger than needed."""

from __future__ import annotations

from PIL import Image

from nvr.media.images.opening import ORIENTATION_TRANSPOSES, ROTATED_ORIENTATIONS, orientation, to_resizable_mode

# No camera's image is higher than this times its width; detection on 60 000 rows would take a gigabyte.
MAX_HEIGHT_RATIO = 4


def upright_size(image: Image.Image) -> tuple[int, int]:
    """Return width and height in pixels as displayed; call this before the image is decoded."""
    width, height = image.size
    return (height, width) if orientation(image) in ROTATED_ORIENTATIONS else (width, height)


def to_grayscale(image: Image.Image, width_px: int) -> Image.Image:
    """Return the image in mode L, upright, at most `width_px` wide and four times as high; never enlarged.

    A JPEG is decoded at 1/2, 1/4 or 1/8 of its size and without its colours if that is enough.
    """
    turn = orientation(image)
    size = scaled_size(upright_size(image), width_px)
    if turn in ROTATED_ORIENTATIONS:
        size = size[::-1]
    image.draft("L", size)
    image = to_resizable_mode(image)
    if image.mode not in {"L", "RGB", "CMYK"}:
        image = image.convert("RGB")
    if image.size != size:
        # Average pixels instead of sampling them: this reduces noise.
        image = image.resize(size, Image.Resampling.BOX)
    image = image.convert("L")
    for method in ORIENTATION_TRANSPOSES.get(turn, ()):
        image = image.transpose(method)
    return image


def scaled_size(size: tuple[int, int], width_px: int) -> tuple[int, int]:
    width, height = size
    scale = min(1.0, width_px / width, MAX_HEIGHT_RATIO * width_px / height)
    return max(1, round(width * scale)), max(1, round(height * scale))
