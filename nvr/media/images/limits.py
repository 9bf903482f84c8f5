"""The size limits of images: a setting of the installation, which is passed to child processes."""

from __future__ import annotations

from typing import Final

# The limit of JPEG. A longer side, such as a line of 100 000 000 pixels, would take memory for each row.
MAX_SIDE_PX: Final = 65_535

_override: int | None = None


def max_pixels() -> int:
    """Return NVR_MAX_IMAGE_PIXELS, or the value set with `limit_pixels`."""
    if _override is not None:
        return _override
    from django.conf import settings  # not configured in decoder processes

    return int(settings.NVR_MAX_IMAGE_PIXELS)


def limit_pixels(count: int) -> None:
    global _override
    _override = count
