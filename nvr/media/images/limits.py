"""How much of a picture is read at all: a setting of the installation, which a child process is given."""

from __future__ import annotations

from typing import Final

MAX_SIDE_PX: Final = 65_535  # of JPEG; what is longer (a line of 100 000 000 pixels) costs memory for each row

_override: int | None = None


def max_pixels() -> int:
    """NVR_MAX_IMAGE_PIXELS, or what `limit_pixels` was told."""
    if _override is not None:
        return _override
    from django.conf import settings  # absent where pictures are decoded

    return int(settings.NVR_MAX_IMAGE_PIXELS)


def limit_pixels(count: int) -> None:
    global _override
    _override = count
