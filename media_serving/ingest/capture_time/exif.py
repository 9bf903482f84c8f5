"""Capture times in a picture's metadata: all EXIF time tags, and XMP, IPTC and PNG tags.

The decoder's child process extracts the tags; this module parses their text. Parsing accepts many formats, but the
whole text must be a time; otherwise the next tag is used.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any, Final, NamedTuple

from media_serving.ingest.capture_time.clues import Reading
from media_serving.ingest.capture_time.written import date_in, times_in, with_fraction
from media_serving.ingest.capture_time.zones import from_hours, zone_from
from nvr.media.images.decoder.pictures import Tags

Texts = Mapping[str, list[str]]
UNREADABLE: Final = (ValueError, ArithmeticError)


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
PNG_TIMES: Final = ("Creation Time", "creation time", "CreationTime")
IPTC_DATE, IPTC_TIME = (2, 55), (2, 60)
MAX_TEXT_LENGTH: Final = 64
BLANKS: Final = " :-/.,0\t\r\n"
REQUESTED_TAGS: Final[dict[str, list[Any]]] = {
    "exif": [*{number for tag in (*TIMES, PREVIEW_TIME) for number in tag[1:] if number}, TIME_ZONE_OFFSET],
    "gps": [GPS_DATE, GPS_TIME],
    "xmp": [*XMP_TIMES],
    "iptc": [IPTC_DATE, IPTC_TIME],
    "png": [*PNG_TIMES],
}


def readings_of(tags: Tags) -> tuple[Reading, ...]:
    """The readings in order of precedence."""
    exif = tags.get("exif", {})
    return (
        *filter(None, (of_tag(tag, exif) for tag in TIMES)),
        *of_gps(tags.get("gps", {})),
        *filter(None, (of_tag(PREVIEW_TIME, exif),)),
        *(reading_of(f"XMP {name}", text) for name, text in each(XMP_TIMES, tags.get("xmp", {}))),
        *of_iptc(tags.get("iptc", {})),
        *(reading_of(f"PNG {name}", text) for name, text in each(PNG_TIMES, tags.get("png", {}))),
    )


def each(names: Iterable[str], texts: Texts) -> Iterator[tuple[str, str]]:
    return ((name, first(texts, name)) for name in names if name in texts)


def of_tag(tag: TimeTag, tags: Texts) -> Reading | None:
    """The tag's reading; None if the tag does not exist."""
    if str(tag.number) not in tags:
        return None
    zone, fraction = zone_of(tag, tags), text_of(first(tags, tag.fraction))

    def completed(at: datetime) -> datetime:
        at = at if at.microsecond else with_fraction(at, fraction)
        return at if at.tzinfo else at.replace(tzinfo=zone)

    return reading_of(f"EXIF {tag.name}", first(tags, tag.number), completed)


def reading_of(where: str, value: str, completed: Callable[[datetime], datetime] = lambda at: at) -> Reading:
    text = text_of(value)
    if not text.strip(BLANKS):
        return Reading(where, problem="is blank")
    found = times_in(text) or times_in(text_of(value, after_nul=True))
    if not found:
        return Reading(where, problem=f'is not a time ("{shown(text)}")')
    return Reading(where, tuple(completed(at) for at in found))


def zone_of(tag: TimeTag, tags: Texts) -> tzinfo | None:
    """The tag's own offset, or another tag's: a camera has one clock."""
    for number in (tag.offset, *OFFSETS):
        if zone := zone_from(text_of(first(tags, number))):
            return zone
    with suppress(*UNREADABLE):
        return from_hours(int(first(tags, TIME_ZONE_OFFSET)))
    return None


def of_gps(tags: Texts) -> Iterator[Reading]:
    """Satellite time in UTC: the first to be right after a power cut, but hours old where there is no reception."""
    clock = tags.get(str(GPS_TIME))
    if str(GPS_DATE) not in tags or clock is None:
        return
    date = date_in(text_of(first(tags, GPS_DATE)))
    if date is None:
        yield Reading("EXIF GPS time", problem="is not a time")
        return
    with suppress(*UNREADABLE):
        hours, minutes, seconds = (float(part) for part in clock)
        midnight = datetime.fromisoformat("-".join(date)).replace(tzinfo=UTC)
        yield Reading("EXIF GPS time", (midnight + timedelta(hours=hours, minutes=minutes, seconds=seconds),))


def of_iptc(tags: Texts) -> Iterator[Reading]:
    date, time = (text_of(first(tags, pair)) for pair in (IPTC_DATE, IPTC_TIME))
    if str(IPTC_DATE) in tags and str(IPTC_TIME) in tags:
        yield reading_of("IPTC", f"{date} {time}")


def first(tags: Texts, name: object) -> str:
    """The tag's first value; empty if it has none."""
    return next(iter(tags.get(str(name), ())), "")


def text_of(value: str, *, after_nul: bool = False) -> str:
    """The text up to its first NUL, which ends text in EXIF, or, with `after_nul`, all of it without NULs."""
    text = value.strip("\0")
    return (text.replace("\0", "") if after_nul else text.partition("\0")[0])[:MAX_TEXT_LENGTH].strip()


def shown(text: str) -> str:
    """The text for a message in the database: printable and short."""
    return "".join(character if character.isprintable() and character.isascii() else "?" for character in text)[:32]
