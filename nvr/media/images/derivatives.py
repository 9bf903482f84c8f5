"""Smaller copies of pictures, made once and kept in the cache directory."""

from __future__ import annotations

from pathlib import Path

from nvr.media.files.cached_files import made_once, place_of
from nvr.media.files.paths import named_errors
from nvr.media.images.verdicts import remembered

WIDTHS = (160, 320, 640, 1280)  # pixels
FOLDER = "derivatives"


def derivative_of(path: Path, width: int) -> Path:
    """The picture at `path` (resolved) at most `width` pixels wide; a changed file gets a new one.

    Raises what `pictures.small_copy` and `made_once` raise, and `NoSuchFile` if the file is gone.
    """
    with named_errors():
        facts = path.stat()
    return kept(path, f"{path}-{facts.st_ino:x}-{facts.st_size:x}-{facts.st_mtime_ns:x}", width)


def derivative_of_bytes(data: bytes, identity: str, width: int) -> Path:
    """The same for bytes in memory; `identity` is another whenever the bytes are."""
    return kept(data, identity, width)


def kept(source: Path | bytes, identity: str, width: int) -> Path:
    place = place_of(FOLDER, f"{identity}-{width}")

    def make() -> Path:
        from nvr.media.images.decoder.pictures import small_copy  # not for what has been made already

        with remembered(identity):  # also by who waited for another to make it
            return small_copy(source, width, place)

    return made_once([place.with_suffix(".jpg"), place.with_suffix(".png")], make)
