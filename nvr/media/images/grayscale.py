"""Pictures as detectors see them: grey, upright and no larger than needed."""

from __future__ import annotations

from PIL import Image

from nvr.media.images.opening import SIDEWAYS, TURNS, orientation, resizable

TIMES_HIGH = 4  # as wide, at most: no camera's picture is, and looking at one of 60 000 rows would take a gigabyte


def upright_size(image: Image.Image) -> tuple[int, int]:
    """Width and height in pixels as people see the picture; ask before anything is decoded."""
    width, height = image.size
    return (height, width) if orientation(image) in SIDEWAYS else (width, height)


def grey(image: Image.Image, width_px: int) -> Image.Image:
    """The picture in mode L, upright, at most `width_px` wide and four times as high (never enlarged, at least 1 by 1).

    A JPEG is decoded at 1/2, 1/4 or 1/8 and without its colours when that is enough.
    """
    turn = orientation(image)
    size = scaled(upright_size(image), width_px)
    if turn in SIDEWAYS:
        size = size[::-1]
    image.draft("L", size)
    image = resizable(image)
    if image.mode not in {"L", "RGB", "CMYK"}:
        image = image.convert("RGB")
    if image.size != size:
        # Averages, not samples: noise becomes smaller with the picture.
        image = image.resize(size, Image.Resampling.BOX)
    image = image.convert("L")
    for method in TURNS.get(turn, ()):
        image = image.transpose(method)
    return image


def scaled(size: tuple[int, int], width_px: int) -> tuple[int, int]:
    width, height = size
    scale = min(1.0, width_px / width, TIMES_HIGH * width_px / height)
    return max(1, round(width * scale)), max(1, round(height * scale))
