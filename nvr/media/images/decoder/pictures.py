"""What is asked of a picture from outside. All of it is found out in a child process; Pillow is not imported here.

Everything here raises `NotAnImage`, `DamagedImage`, `ImageTooLarge` and `ImageTooSlow` for the picture;
`NoSuchFile` and `StorageFault` for its file; `Unavailable` where too many are being read.
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
    """In pixels as it is shown."""

    width: int
    height: int


@dataclass(frozen=True)
class CheckResult:
    """A picture that decodes to its last row; in pixels as coded. `has_end` is False if only its last bytes lack.

    `tags` are the first values of those that were asked for, as text and cut, by kind (`exif`, `gps`, `xmp`, `iptc`,
    `png`) and name.
    """

    width: int
    height: int
    format: str
    has_end: bool
    tags: Tags = field(default_factory=dict)


@dataclass(frozen=True)
class Pixels:
    """Rows of pixels, in RGB or grey; `full_size` is that of the whole, as it is shown."""

    width: int
    height: int
    data: bytes
    full_size: tuple[int, int] = (0, 0)


def read_header(source: PictureSource) -> Header:
    facts, _ = request(source, "header")
    width, height = int(facts["width"]), int(facts["height"])
    return Header(height, width) if facts["orientation"] in ROTATED_ORIENTATIONS else Header(width, height)


def check(source: PictureSource, *, tags: Mapping[str, Sequence[Any]] | None = None) -> CheckResult:
    facts, _ = request(source, "check", tags=tags)
    is_whole = facts["state"] == "whole"
    return CheckResult(int(facts["width"]), int(facts["height"]), str(facts["format"]), is_whole, facts["tags"])


def write_resized(source: PictureSource, width: int, target: Path) -> Path:
    """Write the picture at most `width` pixels wide beside `target`; answers where: `.jpg`, or `.png` with alpha.

    A picture that is narrower keeps its size. Raises OSError when the disk is full.
    """
    facts, data = request(source, "small", width=width, height=0)
    place = target.with_suffix(".png" if facts["kind"] == "PNG" else ".jpg")
    with write_to(place) as part:
        part.write_bytes(data)
    return place


def decode_rgb(source: PictureSource, width: int, height: int = 0) -> Pixels:
    """Upright, at most `width` by `height` (0: as high as it comes); `full_size` holds the longest side twice."""
    facts, data = request(source, "raw", width=width, height=height)
    longest = int(facts["longest"])
    return Pixels(int(facts["width"]), int(facts["height"]), data, (longest, longest))


def decode_grayscale(source: PictureSource, width: int) -> Pixels:
    """Upright, at most `width` wide, averaged."""
    facts, data = request(source, "grey", width=width)
    full_width, full_height = facts["full"]
    return Pixels(int(facts["width"]), int(facts["height"]), data, (int(full_width), int(full_height)))


def square_png(source: PictureSource, size: int, *, text: dict[str, str]) -> bytes:
    """The reviewer's thumbnail: `size` by `size` pixels, the picture in the middle."""
    return request(source, "square", size=size, text=text)[1]


def downscale_png(source: PictureSource, size: int, *, text: dict[str, str]) -> bytes:
    """The same from a larger one."""
    return request(source, "smaller", size=size, text=text)[1]


def request(source: PictureSource, do: str, **options: Any) -> tuple[Message, bytes]:
    with open_descriptor(source) as descriptor:
        return pool.request({"do": do, **options}, descriptor)


@contextmanager
def open_descriptor(source: PictureSource) -> Iterator[int]:
    """An open file stays open, and its place is not moved."""
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
