"""Check, scale and decode untrusted images in a child process; Pillow is not imported here.

All functions raise `NotAnImage`, `DamagedImage`, `ImageTooLarge` and `ImageTooSlow` for the image;
`NoSuchFile` and `StorageFault` for its file; `Unavailable` if too many images are being read.
"""

from __future__ import annotations

import io
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from nvr.media.files.atomic_write import write_to
from nvr.media.files.paths import open_regular
from nvr.media.images.decoder.messages import Message
from nvr.media.images.decoder.pool import pool

PictureSource = Path | bytes | BinaryIO
Tags = dict[str, dict[str, list[str]]]
ROTATED_ORIENTATIONS = {5, 6, 7, 8}


@dataclass(frozen=True)
class Header:
    """The size in pixels as displayed."""

    width: int
    height: int


@dataclass(frozen=True)
class CheckResult:
    """An image whose rows all decode; size in pixels as stored. `has_end` is False if only its last bytes are missing.

    `tags` are the first values of the requested tags as truncated text, by kind (`exif`, `gps`, `xmp`, `iptc`,
    `png`) and name.
    """

    width: int
    height: int
    format: str
    has_end: bool
    tags: Tags = field(default_factory=dict)


@dataclass(frozen=True)
class Pixels:
    """Rows of RGB or grayscale pixels; `full_size` is the size of the original as displayed."""

    width: int
    height: int
    data: bytes
    full_size: tuple[int, int] = (0, 0)


def read_header(source: PictureSource) -> Header:
    response, _ = request(source, "header")
    width, height = int(response["width"]), int(response["height"])
    return Header(height, width) if response["orientation"] in ROTATED_ORIENTATIONS else Header(width, height)


def check(source: PictureSource, *, tags: Mapping[str, Sequence[Any]] | None = None) -> CheckResult:
    response, _ = request(source, "check", tags=tags)
    is_whole = response["state"] == "whole"
    return CheckResult(
        int(response["width"]), int(response["height"]), str(response["format"]), is_whole, response["tags"]
    )


def write_resized(source: PictureSource, width: int, target: Path) -> Path:
    """Write the image at most `width` pixels wide to `target` with suffix `.jpg` (`.png` with alpha); return the path.

    A narrower image keeps its size. Raises OSError if the disk is full.
    """
    response, data = request(source, "small", width=width, height=0)
    place = target.with_suffix(".png" if response["kind"] == "PNG" else ".jpg")
    with write_to(place) as part:
        part.write_bytes(data)
    return place


def decode_rgb(source: PictureSource, width: int, height: int = 0) -> Pixels:
    """Return RGB pixels, upright, at most `width` by `height` (0: any); `full_size` has the longest side twice."""
    response, data = request(source, "raw", width=width, height=height)
    longest = int(response["longest"])
    return Pixels(int(response["width"]), int(response["height"]), data, (longest, longest))


def decode_grayscale(source: PictureSource, width: int) -> Pixels:
    """Return grayscale pixels, upright, at most `width` wide, averaged."""
    response, data = request(source, "grey", width=width)
    full_width, full_height = response["full"]
    return Pixels(int(response["width"]), int(response["height"]), data, (int(full_width), int(full_height)))


def square_png(source: PictureSource, size: int, *, text: dict[str, str]) -> bytes:
    """Return the reviewer's thumbnail: the image centred on `size` by `size` pixels."""
    return request(source, "square", size=size, text=text)[1]


def downscale_png(source: PictureSource, size: int, *, text: dict[str, str]) -> bytes:
    """Return a smaller square thumbnail from a larger one."""
    return request(source, "smaller", size=size, text=text)[1]


def request(source: PictureSource, do: str, **options: Any) -> tuple[Message, bytes]:
    with open_descriptor(source) as descriptor:
        return pool.request({"do": do, **options}, descriptor)


@contextmanager
def open_descriptor(source: PictureSource) -> Iterator[int]:
    """Yield a descriptor of the source; a file that is passed open stays open, and its position is not changed."""
    if isinstance(source, Path):
        with open_regular(source) as file:
            yield file.fileno()
    elif isinstance(source, (bytes, io.BytesIO)):
        descriptor = os.memfd_create("picture", os.MFD_CLOEXEC)
        try:
            with os.fdopen(os.dup(descriptor), "wb") as file:
                file.write(source if isinstance(source, bytes) else source.getbuffer())
            yield descriptor
        finally:
            os.close(descriptor)
    else:
        yield source.fileno()
