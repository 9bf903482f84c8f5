"""What a picture says itself: EXIF in all its tags, and what stands for EXIF where there is none (XMP, IPTC, PNG).

Reading is tolerant of the form and strict about the whole: a tag is a time from its first character to its last, or
it is no clue and the next one is asked.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any, Final, NamedTuple

from PIL import ExifTags, Image, ImageFile, IptcImagePlugin

from media_serving.ingest.capture_time.clues import Reading
from media_serving.ingest.capture_time.written import date_in, times_in, with_fraction
from media_serving.ingest.capture_time.zones import from_hours, zone_from
from nvr.media.images import BROKEN

Tags = dict[int, Any]
UNREADABLE: Final = (*BROKEN, ArithmeticError, AttributeError, RecursionError)


class TimeTag(NamedTuple):
    name: str
    number: int
    offset: int
    fraction: int


TIMES: Final = (
    TimeTag("DateTimeOriginal", 0x9003, 0x9011, 0x9291),
    TimeTag("DateTimeDigitized", 0x9004, 0x9012, 0x9292),
    TimeTag("DateTime", 0x0132, 0x9010, 0x9290),
)
PREVIEW_TIME: Final = TimeTag("PreviewDateTime", 0xC71B, 0x9010, 0)
OFFSETS: Final = (0x9010, 0x9011, 0x9012)
TIME_ZONE_OFFSET: Final = 0x882A  # whole hours; of TIFF/EP
GPS_DATE, GPS_TIME = 29, 7
XMP_TIMES: Final = (
    "exif:DateTimeOriginal",
    "xmp:CreateDate",
    "photoshop:DateCreated",
    "exif:DateTimeDigitized",
    "xmp:ModifyDate",
    "tiff:DateTime",
)
IPTC_DATE, IPTC_TIME = (2, 55), (2, 60)
MOST_XMP_BYTES: Final = 2**20
LONGEST_TEXT: Final = 64
BLANKS: Final = " :-/.,0\t\r\n"


def readings_in(image: Image.Image) -> tuple[Reading, ...]:
    """In the order in which they count. A PNG has to be loaded: what it says may lie behind its pixels."""
    readings: list[Reading] = []
    for source in (of_exif, of_xmp, of_iptc, of_png):
        with suppress(*UNREADABLE):
            for reading in source(image):
                readings.append(reading)
    return tuple(readings)


def of_exif(image: Image.Image) -> Iterator[Reading]:
    exif = image.getexif()
    tags: Tags = {}
    with suppress(*UNREADABLE):
        tags |= dict(exif)
    with suppress(*UNREADABLE):
        tags |= exif.get_ifd(ExifTags.IFD.Exif)
    yield from (reading for tag in TIMES if (reading := of_tag(tag, tags)))
    with suppress(*UNREADABLE):
        yield from of_gps(exif.get_ifd(ExifTags.IFD.GPSInfo))
    if reading := of_tag(PREVIEW_TIME, tags):
        yield reading


def of_tag(tag: TimeTag, tags: Tags) -> Reading | None:
    """None for a tag that is not there."""
    if tag.number not in tags:
        return None
    zone, fraction = zone_of(tag, tags), text_of(tags.get(tag.fraction, ""))

    def completed(at: datetime) -> datetime:
        at = at if at.microsecond else with_fraction(at, fraction)
        return at if at.tzinfo else at.replace(tzinfo=zone)

    return reading_of(f"EXIF {tag.name}", tags[tag.number], completed)


def reading_of(where: str, value: Any, completed: Callable[[datetime], datetime] = lambda at: at) -> Reading:
    text = text_of(value)
    if not text.strip(BLANKS):
        return Reading(where, problem="is blank")
    found = times_in(text) or times_in(text_of(value, all_of_it=True))
    if not found:
        return Reading(where, problem=f'is no time ("{shown(text)}")')
    return Reading(where, tuple(completed(at) for at in found))


def zone_of(tag: TimeTag, tags: Tags) -> tzinfo | None:
    """The tag's own offset, else another's: a camera has one clock."""
    for number in (tag.offset, *OFFSETS):
        if zone := zone_from(text_of(tags.get(number, ""))):
            return zone
    hours = first(tags.get(TIME_ZONE_OFFSET))
    return from_hours(hours) if isinstance(hours, int) else None


def of_gps(tags: Tags) -> Iterator[Reading]:
    """In UTC, by the satellites: after a power cut the first to be right, under a roof hours old."""
    if GPS_DATE not in tags or GPS_TIME not in tags:
        return
    date = date_in(text_of(tags[GPS_DATE]))
    if date is None:
        yield Reading("EXIF GPS time", problem="is no time")
        return
    hours, minutes, seconds = (float(part) for part in tags[GPS_TIME])
    midnight = datetime.fromisoformat("-".join(date)).replace(tzinfo=UTC)
    yield Reading("EXIF GPS time", (midnight + timedelta(hours=hours, minutes=minutes, seconds=seconds),))


def of_xmp(image: Image.Image) -> Iterator[Reading]:
    packet = image.info.get("xmp") or image.info.get("XML:com.adobe.xmp") or b""
    text = packet.decode("utf-8", "replace") if isinstance(packet, bytes) else str(packet)
    for name in XMP_TIMES:
        form = rf"{name}\s*(?:=\s*[\"']([^\"'<>]{{1,64}})[\"']|>([^<>]{{1,64}})<)"
        if match := re.search(form, text[:MOST_XMP_BYTES]):
            yield reading_of(f"XMP {name}", match[1] or match[2])


def of_iptc(image: Image.Image) -> Iterator[Reading]:
    found = IptcImagePlugin.getiptcinfo(image) or {} if isinstance(image, ImageFile.ImageFile) else {}
    if IPTC_DATE in found and IPTC_TIME in found:
        yield reading_of("IPTC", f"{text_of(found[IPTC_DATE])} {text_of(found[IPTC_TIME])}")


def of_png(image: Image.Image) -> Iterator[Reading]:
    for name in ("Creation Time", "creation time", "CreationTime"):
        if name in image.info:
            yield reading_of(f"PNG {name}", image.info[name])


def text_of(value: Any, *, all_of_it: bool = False) -> str:
    """Of whatever type a tag is: up to its NUL, which ends text in EXIF, or with all NULs left out."""
    value = first(value)
    text = value.decode("latin-1") if isinstance(value, bytes) else "" if value is None else str(value)
    text = text.strip("\0")
    return (text.replace("\0", "") if all_of_it else text.partition("\0")[0])[:LONGEST_TEXT].strip()


def first(value: Any) -> Any:
    return (value[0] if value else None) if isinstance(value, (tuple, list)) else value


def shown(text: str) -> str:
    """For a sentence that the database keeps: printable, and short."""
    return "".join(sign if sign.isprintable() and sign.isascii() else "?" for sign in text)[:32]
