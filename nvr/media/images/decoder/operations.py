"""The operations of the decoder on images. Each takes an open file and returns metadata and bytes."""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from typing import Any, BinaryIO, Final, TypeVar, cast

from PIL import Image

from nvr.media.images import letterbox
from nvr.media.images.decoder.headers import read_header
from nvr.media.images.decoder.reading import PreadFile
from nvr.media.images.decoder.tags import read_tags
from nvr.media.images.errors import DamagedImage, ImageTooLarge, ImageTooSlow, NotAnImage
from nvr.media.images.grayscale import to_grayscale, upright_size
from nvr.media.images.opening import encode, fit, open_image
from nvr.media.images.repair import repair
from nvr.media.images.truncation import count_jpeg_scans, has_end_marker

Metadata = dict[str, Any]
Result = tuple[Metadata, bytes]
RequestedTags = dict[str, list[Any]]  # tags by their kind
T = TypeVar("T")

MAX_BYTES: Final = 256 * 2**20
MAX_HEADER_BYTES: Final = 8 * 2**20
# A normal image has about ten scans; each takes time for every pixel.
MAX_SCANS: Final = 100
MAX_SCANNED_PIXELS: Final = 1_200_000_000


def perform(head: Metadata, descriptor: int) -> Result:
    """Perform the requested operation. Raises `NvrError`, MemoryError, and OSError if the storage does not respond."""
    operation = OPERATIONS[str(head.pop("do"))]
    return operation(descriptor, **head)


def header(descriptor: int) -> Result:
    """Return size in pixels, orientation and format, reading as little of the file as possible."""
    file = PreadFile(descriptor, max_bytes=MAX_HEADER_BYTES)
    return read_header(file, cast(BinaryIO, io.BufferedReader(file, 16_384))), b""


def check(descriptor: int, tags: RequestedTags | None = None) -> Result:
    """Decode all rows; return whether the image is `whole` or lacks only its end (`lacks_end`), and its `tags`."""
    data = read_bytes(descriptor)
    try:
        metadata = decode(data, tags)
    except DamagedImage:
        metadata = {"has_end": False, "width": 0}
    except NotAnImage:
        metadata = {"has_end": False}
    if metadata["has_end"]:
        return metadata | {"state": "whole"}, b""
    complete = repair(data)
    if complete is None:
        raise DamagedImage if "width" in metadata else NotAnImage
    return decode(complete, tags) | {"state": "lacks_end"}, b""


def decode(data: bytes, tags: RequestedTags | None) -> Metadata:
    with open_image(check_scans(data)) as image:
        metadata: Metadata = {"width": image.width, "height": image.height, "format": image.format}
        is_png = image.format == "PNG"  # its text may follow the pixels; other formats may have closed the file by then
        metadata["tags"] = {} if is_png else read_tags(image, tags or {})
        image.draft("L", (1, 1))  # at 1/8 every coefficient is still read
        image.load()
        if is_png:
            metadata["tags"] = read_tags(image, tags or {})
        return metadata | {"has_end": has_end_marker(data, image.format or "")}


def resize(descriptor: int, width: int, height: int, kind: str = "") -> Result:
    """Scale to `width` by `height`, upright, as JPEG or PNG; without `kind` as PNG if it has alpha, else as JPEG."""

    def made(image: Image.Image) -> Result:
        picture = fit(image, width, height or image.width + image.height)
        form = kind or ("PNG" if picture.mode == "RGBA" else "JPEG")
        return {"kind": form}, encode(picture, form)

    return with_image(descriptor, made)


def decode_rgb(descriptor: int, width: int, height: int) -> Result:
    """Scale to `width` by `height`, upright, and return RGB pixels, three bytes each."""

    def made(image: Image.Image) -> Result:
        longest = max(image.size)
        picture = fit(image, width, height or image.width + image.height)
        flat = flatten(picture)
        return {"width": flat.width, "height": flat.height, "longest": longest}, flat.tobytes()

    return with_image(descriptor, made)


def flatten(picture: Image.Image) -> Image.Image:
    if picture.mode != "RGBA":
        return picture.convert("RGB")
    ground = Image.new("RGB", picture.size)
    ground.paste(picture, (0, 0), picture)
    return ground


def decode_grayscale(descriptor: int, width: int) -> Result:
    """Return grayscale pixels, upright, at most `width` wide, one byte each, and the full size as displayed."""

    def made(image: Image.Image) -> Result:
        full = upright_size(image)
        picture = to_grayscale(image, width)
        return {"width": picture.width, "height": picture.height, "full": full}, picture.tobytes()

    return with_image(descriptor, made)


def square(descriptor: int, size: int, text: dict[str, str]) -> Result:
    """Return the reviewer's thumbnail, centred on a square."""
    return with_image(descriptor, lambda image: ({}, letterbox.square_png(image, size, text)))


def downscale_square(descriptor: int, size: int, text: dict[str, str]) -> Result:
    """Return a smaller square thumbnail from a larger one."""
    return {}, letterbox.downscale_png(read_bytes(descriptor), size, text=text)


def with_image(descriptor: int, work: Callable[[Image.Image], T]) -> T:
    """Call `work` with the image; an image that lacks only its last bytes is repaired first."""
    file = open_descriptor(descriptor)
    try:
        with open_image(file) as image:
            return work(image)
    except DamagedImage:
        complete = repair(file.getvalue()) if isinstance(file, io.BytesIO) else None
        if complete is None:
            raise
    with open_image(complete) as image:
        return work(image)


def open_descriptor(descriptor: int) -> BinaryIO:
    """Read JPEG, PNG and GIF into memory, for repair and scan counting; read other formats on demand."""
    start = os.pread(descriptor, 16, 0)
    if start.startswith((b"\xff\xd8", b"\x89PNG", b"GIF8")):
        return io.BytesIO(check_scans(read_bytes(descriptor)))
    return cast(BinaryIO, io.BufferedReader(PreadFile(descriptor)))


def read_bytes(descriptor: int) -> bytes:
    size = os.fstat(descriptor).st_size
    if size > MAX_BYTES:
        raise ImageTooLarge(f"The image has {size:,} bytes; at most {MAX_BYTES:,} are read.")
    with io.BufferedReader(PreadFile(descriptor)) as file:
        return file.read()


def check_scans(data: bytes) -> bytes:
    """Return `data`. Raises `ImageTooSlow` for a JPEG with too many scans."""
    if not data.startswith(b"\xff\xd8"):
        return data
    scans = count_jpeg_scans(data)
    if scans > MAX_SCANS:
        raise ImageTooSlow(f"The image has {scans:,} scans; at most {MAX_SCANS} are decoded.")
    if scans > 1:
        with open_image(data) as image:
            if scans * image.width * image.height > MAX_SCANNED_PIXELS:
                raise ImageTooSlow(f"The image of {image.width:,} by {image.height:,} pixels has {scans} scans.")
    return data


OPERATIONS: Final[dict[str, Callable[..., Result]]] = {
    "header": header,
    "check": check,
    "small": resize,
    "raw": decode_rgb,
    "grey": decode_grayscale,
    "square": square,
    "smaller": downscale_square,
}
