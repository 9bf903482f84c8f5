"""What a picture says about itself: EXIF, GPS, XMP, IPTC and a PNG's text, of which only what was asked for is given.

All of it comes from outside, so each value is cut, and a part that cannot be read costs nothing but itself.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any, Final

from PIL import ExifTags, Image, ImageFile, IptcImagePlugin

from nvr.media.images.opening import BROKEN

Texts = dict[str, list[str]]

UNREADABLE: Final = (*BROKEN, ArithmeticError)
MAX_VALUES: Final = 3  # of one tag, such as hours, minutes and seconds
MAX_TEXT_LENGTH: Final = 256
MAX_XMP_BYTES: Final = 2**20


def tags_in(image: Image.Image, wanted: dict[str, list[Any]]) -> dict[str, Texts]:
    """By the kind of tag, then by the tag as text, its first values. Load a PNG first: text may follow its pixels."""
    found: dict[str, Texts] = {}
    for kind, names in wanted.items():
        with suppress(*UNREADABLE):
            found[kind] = READERS[kind](image, names)
    return found


def exif(image: Image.Image, numbers: list[int]) -> Texts:
    tags = image.getexif()
    found = texts(tags.get, numbers)
    with suppress(*UNREADABLE):
        found |= texts(tags.get_ifd(ExifTags.IFD.Exif).get, numbers)
    return found


def gps(image: Image.Image, numbers: list[int]) -> Texts:
    return texts(image.getexif().get_ifd(ExifTags.IFD.GPSInfo).get, numbers)


def xmp(image: Image.Image, names: list[str]) -> Texts:
    packet = (image.info.get("xmp") or image.info.get("XML:com.adobe.xmp") or b"")[:MAX_XMP_BYTES]
    text = packet.decode("utf-8", "replace") if isinstance(packet, bytes) else str(packet)
    return texts(lambda name: value_in(text, name), names)


def value_in(xml: str, name: str) -> str | None:
    """Of an attribute or an element."""
    match = re.search(rf"{name}\s*(?:=\s*[\"']([^\"'<>]{{1,64}})[\"']|>([^<>]{{1,64}})<)", xml)
    return (match[1] or match[2]) if match else None


def iptc(image: Image.Image, pairs: list[list[int]]) -> Texts:
    found = IptcImagePlugin.getiptcinfo(image) if isinstance(image, ImageFile.ImageFile) else None
    return texts((found or {}).get, map(tuple, pairs))


def png(image: Image.Image, names: list[str]) -> Texts:
    return texts(image.info.get, names)


def texts(value_of: Callable[[Any], Any], names: Iterable[Any]) -> Texts:
    found: Texts = {}
    for name in names:
        with suppress(*UNREADABLE):
            value = value_of(name)
            if value is not None:
                several = value if isinstance(value, (tuple, list)) else (value,)
                found[str(name)] = [text(each) for each in several[:MAX_VALUES]]
    return found


def text(value: Any) -> str:
    """Of whatever type it is. Bytes are no text of a known kind: each is one character."""
    plain = value.decode("latin-1") if isinstance(value, bytes) else str(value)
    return plain.strip("\0")[:MAX_TEXT_LENGTH]


READERS: Final[dict[str, Callable[[Image.Image, list[Any]], Texts]]] = {
    "exif": exif,
    "gps": gps,
    "xmp": xmp,
    "iptc": iptc,
    "png": png,
}
