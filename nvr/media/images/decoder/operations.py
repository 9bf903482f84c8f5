"""What a decoder can do with a picture. Each takes an open file and gives facts and bytes."""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from typing import Any, BinaryIO, Final, TypeVar, cast

from PIL import Image

from nvr.media.images import letterbox
from nvr.media.images.decoder.headers import header_of
from nvr.media.images.decoder.reading import PlacedFile
from nvr.media.images.decoder.tags import tags_in
from nvr.media.images.errors import ImageTooLarge, ImageTooSlow, NotAnImage, TornImage
from nvr.media.images.grayscale import grey, upright_size
from nvr.media.images.opening import encoded, fitted, opened
from nvr.media.images.repair import repaired
from nvr.media.images.truncation import has_its_end, jpeg_scans

Facts = dict[str, Any]
Result = tuple[Facts, bytes]
RequestedTags = dict[str, list[Any]]  # tags by their kind
T = TypeVar("T")

MAX_BYTES: Final = 256 * 2**20
MAX_HEADER_BYTES: Final = 8 * 2**20
# An honest picture comes in about ten scans; each costs time for every pixel.
MAX_SCANS: Final = 100
MAX_SCANNED_PIXELS: Final = 1_200_000_000


def perform(head: Facts, descriptor: int) -> Result:
    """Raises `NvrError`, MemoryError, and OSError where the storage does not answer."""
    operation = OPERATIONS[str(head.pop("do"))]
    return operation(descriptor, **head)


def header(descriptor: int) -> Result:
    """Size in pixels, how it is turned, and format, from as little of the file as tells it."""
    file = PlacedFile(descriptor, at_most=MAX_HEADER_BYTES)
    return header_of(file, cast(BinaryIO, io.BufferedReader(file, 16_384))), b""


def check(descriptor: int, tags: RequestedTags | None = None) -> Result:
    """Whether it decodes to its last row and has its end (`whole`), or lacks only that (`lacks_end`); with `tags`."""
    data = bytes_of(descriptor)
    try:
        facts = decoded(data, tags)
    except TornImage:
        facts = {"has_end": False, "width": 0}
    except NotAnImage:
        facts = {"has_end": False}
    if facts["has_end"]:
        return facts | {"state": "whole"}, b""
    mended = repaired(data)
    if mended is None:
        raise TornImage if "width" in facts else NotAnImage
    return decoded(mended, tags) | {"state": "lacks_end"}, b""


def decoded(data: bytes, tags: RequestedTags | None) -> Facts:
    with opened(checked(data)) as image:
        facts: Facts = {"width": image.width, "height": image.height, "format": image.format}
        is_png = image.format == "PNG"  # what it says may lie behind its pixels; others may close their file by then
        facts["tags"] = {} if is_png else tags_in(image, tags or {})
        image.draft("L", (1, 1))  # at 1/8 every coefficient is still read
        image.load()
        if is_png:
            facts["tags"] = tags_in(image, tags or {})
        return facts | {"has_end": has_its_end(data, image.format or "")}


def small(descriptor: int, width: int, height: int, kind: str = "") -> Result:
    """Within `width` by `height`, upright: JPEG, PNG, or without `kind` PNG if it has alpha and JPEG if not."""

    def made(image: Image.Image) -> Result:
        picture = fitted(image, width, height or image.width + image.height)
        form = kind or ("PNG" if picture.mode == "RGBA" else "JPEG")
        return {"kind": form}, encoded(picture, form)

    return on_picture(descriptor, made)


def raw(descriptor: int, width: int, height: int) -> Result:
    """The same in RGB, three bytes for each pixel."""

    def made(image: Image.Image) -> Result:
        longest = max(image.size)
        picture = fitted(image, width, height or image.width + image.height)
        flat = on_black(picture)
        return {"width": flat.width, "height": flat.height, "longest": longest}, flat.tobytes()

    return on_picture(descriptor, made)


def on_black(picture: Image.Image) -> Image.Image:
    if picture.mode != "RGBA":
        return picture.convert("RGB")
    ground = Image.new("RGB", picture.size)
    ground.paste(picture, (0, 0), picture)
    return ground


def grey_levels(descriptor: int, width: int) -> Result:
    """In grey, upright, at most `width` wide: a byte for each pixel; and the size of the whole, as it is shown."""

    def made(image: Image.Image) -> Result:
        full = upright_size(image)
        picture = grey(image, width)
        return {"width": picture.width, "height": picture.height, "full": full}, picture.tobytes()

    return on_picture(descriptor, made)


def square(descriptor: int, size: int, text: dict[str, str]) -> Result:
    """A thumbnail in the middle of a square, as the reviewer has them."""
    return on_picture(descriptor, lambda image: ({}, letterbox.square_png(image, size, text)))


def smaller(descriptor: int, size: int, text: dict[str, str]) -> Result:
    """The same from a larger one."""
    return {}, letterbox.smaller_png(bytes_of(descriptor), size, text=text)


def on_picture(descriptor: int, work: Callable[[Image.Image], T]) -> T:
    """`work` on the picture; on one that lacks only its last bytes, with those."""
    file = source_of(descriptor)
    try:
        with opened(file) as image:
            return work(image)
    except TornImage:
        mended = repaired(file.getvalue()) if isinstance(file, io.BytesIO) else None
        if mended is None:
            raise
    with opened(mended) as image:
        return work(image)


def source_of(descriptor: int) -> BinaryIO:
    """In memory what is small enough and may have to be mended or counted; the rest is read as it is needed."""
    start = os.pread(descriptor, 16, 0)
    if start.startswith((b"\xff\xd8", b"\x89PNG", b"GIF8")):
        return io.BytesIO(checked(bytes_of(descriptor)))
    return cast(BinaryIO, io.BufferedReader(PlacedFile(descriptor)))


def bytes_of(descriptor: int) -> bytes:
    size = os.fstat(descriptor).st_size
    if size > MAX_BYTES:
        raise ImageTooLarge(f"The image has {size:,} bytes; at most {MAX_BYTES:,} are read.")
    with io.BufferedReader(PlacedFile(descriptor)) as file:
        return file.read()


def checked(data: bytes) -> bytes:
    """Raises `ImageTooSlow` for a JPEG that comes in absurdly many scans."""
    if not data.startswith(b"\xff\xd8"):
        return data
    scans = jpeg_scans(data)
    if scans > MAX_SCANS:
        raise ImageTooSlow(f"The image comes in {scans:,} scans; at most {MAX_SCANS} are decoded.")
    if scans > 1:
        with opened(data) as image:
            if scans * image.width * image.height > MAX_SCANNED_PIXELS:
                raise ImageTooSlow(f"The image of {image.width:,} by {image.height:,} pixels comes in {scans} scans.")
    return data


OPERATIONS: Final[dict[str, Callable[..., Result]]] = {
    "header": header,
    "check": check,
    "small": small,
    "raw": raw,
    "grey": grey_levels,
    "square": square,
    "smaller": smaller,
}
