"""Colour profiles: derivatives contain none, so their pixels are converted to sRGB, which viewers assume then."""

from __future__ import annotations

import io
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from PIL import Image

if TYPE_CHECKING:
    from PIL import ImageCms

# The colour space signature in the profile's header, and the image modes that it applies to.
COLOR_SPACE_MODES = {b"RGB ": {"RGB", "RGBA"}, b"CMYK": {"CMYK"}, b"GRAY": {"L"}}
SRGB_NAMES = (b"sRGB", "sRGB".encode("utf-16-be"))
MAX_NAME_OFFSET = 4096
MAX_PROFILE_BYTES = 4 * 2**20
HEADER_BYTES = 128


def to_srgb(image: Image.Image) -> Image.Image:
    """Convert `image` to sRGB if it has another, readable profile; otherwise return it unchanged."""
    profile = image.info.get("icc_profile")
    if not profile or not isinstance(profile, bytes) or is_srgb(profile):
        return image
    if image.mode not in COLOR_SPACE_MODES.get(profile[16:20], set()):
        return image
    target = "RGBA" if image.mode == "RGBA" else "L" if image.mode == "L" else "RGB"
    # littlecms and Pillow raise these for malicious profiles.
    try:
        return apply_transform(image, build_transform(profile, image.mode, target))
    except (OSError, ValueError, TypeError, SyntaxError, LookupError):
        return image


def is_srgb(profile: bytes) -> bool:
    """Whether the profile's name is sRGB; one that is too short or too long to be valid counts as sRGB, too."""
    if not HEADER_BYTES < len(profile) <= MAX_PROFILE_BYTES:
        return True
    return any(name in profile[:MAX_NAME_OFFSET] for name in SRGB_NAMES)


@lru_cache(maxsize=4)
def build_transform(profile: bytes, mode: str, target: str) -> ImageCms.ImageCmsTransform:
    from PIL import ImageCms  # imported late: few images need it

    source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
    # There is no grayscale sRGB: convert to RGB, then drop the colours.
    aim: Any = ImageCms.createProfile("sRGB")
    return ImageCms.buildTransform(source, aim, mode, "RGB" if target == "L" else target)


def apply_transform(image: Image.Image, change: ImageCms.ImageCmsTransform) -> Image.Image:
    from PIL import ImageCms

    changed = ImageCms.applyTransform(image, change)
    if changed is None:
        return image
    return changed.convert("L") if image.mode == "L" else changed
