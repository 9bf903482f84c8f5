"""Derivatives: smaller copies of images, created once and kept in the cache directory."""

from __future__ import annotations

from pathlib import Path

from nvr.media.files.cached_files import cache_path, get_or_create
from nvr.media.files.identity import FileIdentity
from nvr.media.files.paths import translate_os_errors
from nvr.media.images.verdicts import remember_failure

WIDTHS = (160, 320, 640, 1280)  # pixels
FOLDER = "derivatives"


def derivative_of(path: Path, width: int) -> Path:
    """Return the image at `path` (resolved) at most `width` pixels wide; a changed file gets a new derivative.

    Raises what `pictures.write_resized` and `get_or_create` raise, and `NoSuchFile` if the file is gone.
    """
    with translate_os_errors():
        stat_result = path.stat()
    return cached_derivative(path, f"{path}-{FileIdentity.of(stat_result)}", width)


def derivative_of_bytes(data: bytes, identity: str, width: int) -> Path:
    """Like `derivative_of`, for bytes in memory; `identity` must differ whenever the bytes do."""
    return cached_derivative(data, identity, width)


def cached_derivative(source: Path | bytes, identity: str, width: int) -> Path:
    place = cache_path(FOLDER, f"{identity}-{width}")

    def make() -> Path:
        from nvr.media.images.decoder.pictures import write_resized  # not needed for cached derivatives

        with remember_failure(identity):  # also for requests that waited for another to create it
            return write_resized(source, width, place)

    return get_or_create([place.with_suffix(".jpg"), place.with_suffix(".png")], make)
