"""Read an image's metadata: the requested tags of EXIF, GPS, XMP, IPTC and PNG text.

The metadata is untrusted, so values are truncated, and tags that cannot be read are skipped.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any, Final

from PIL import ExifTags, Image, ImageFile, IptcImagePlugin

from nvr.media.images.opening import DECODE_ERRORS

Texts = dict[str, list[str]]

READ_ERRORS: Final = (*DECODE_ERRORS, ArithmeticError)
MAX_VALUES: Final = 3  # of one tag, such as hours, minutes and seconds
MAX_TEXT_LENGTH: Final = 256
MAX_XMP_BYTES: Final = 2**20


def read_tags(image: Image.Image, requested: dict[str, list[Any]]) -> dict[str, Texts]:
    """Return the first values by kind of tag and tag name. Load a PNG first: text may follow its pixels."""
    found: dict[str, Texts] = {}
    for kind, names in requested.items():
        with suppress(*READ_ERRORS):
            found[kind] = READERS[kind](image, names)
    return found


def exif(image: Image.Image, numbers: list[int]) -> Texts:
    tags = image.getexif()
    found = read_texts(tags.get, numbers)
    with suppress(*READ_ERRORS):
        found |= read_texts(tags.get_ifd(ExifTags.IFD.Exif).get, numbers)
    return found


def gps(image: Image.Image, numbers: list[int]) -> Texts:
    return read_texts(image.getexif().get_ifd(ExifTags.IFD.GPSInfo).get, numbers)


def xmp(image: Image.Image, names: list[str]) -> Texts:
    packet = (image.info.get("xmp") or image.info.get("XML:com.adobe.xmp") or b"")[:MAX_XMP_BYTES]
    text = packet.decode("utf-8", "replace") if isinstance(packet, bytes) else str(packet)
    return read_texts(lambda name: xmp_value(text, name), names)


def xmp_value(xml: str, name: str) -> str | None:
    """Return the value of an attribute or an element."""
    match = re.search(rf"{name}\s*(?:=\s*[\"']([^\"'<>]{{1,64}})[\"']|>([^<>]{{1,64}})<)", xml)
    return (match[1] or match[2]) if match else None


def iptc(image: Image.Image, pairs: list[list[int]]) -> Texts:
    found = IptcImagePlugin.getiptcinfo(image) if isinstance(image, ImageFile.ImageFile) else None
    return read_texts((found or {}).get, map(tuple, pairs))


def png(image: Image.Image, names: list[str]) -> Texts:
    return read_texts(image.info.get, names)


def read_texts(value_of: Callable[[Any], Any], names: Iterable[Any]) -> Texts:
    found: Texts = {}
    for name in names:
        with suppress(*READ_ERRORS):
            value = value_of(name)
            if value is not None:
                several = value if isinstance(value, (tuple, list)) else (value,)
                found[str(name)] = [to_text(each) for each in several[:MAX_VALUES]]
    return found


def to_text(value: Any) -> str:
    """Convert a value of any type to text. Bytes have no known encoding: each becomes one character."""
    plain = value.decode("latin-1") if isinstance(value, bytes) else str(value)
    return plain.strip("\0")[:MAX_TEXT_LENGTH]


READERS: Final[dict[str, Callable[[Image.Image, list[Any]], Texts]]] = {
    "exif": exif,
    "gps": gps,
    "xmp": xmp,
    "iptc": iptc,
    "png": png,
}
