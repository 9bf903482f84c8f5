"""Parse times as EXIF and similar metadata write them; the whole text must match."""

from __future__ import annotations

import re
from datetime import datetime, timedelta, tzinfo
from typing import Final

from media_serving.ingest.capture_time.zones import zone_from

MONTHS: Final = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
MONTH_NAME: Final = rf"(?P<month_name>{'|'.join(MONTHS)})[a-z]*\.?"
CLOCK: Final = (
    r"(?P<hour>\d{1,2})\s?[:.h-]\s?(?P<minute>\d{1,2})(?:\s?[:.m-]\s?(?P<second>\d{1,2}|))?s?\s*"
    r"(?:[.,:](?P<fraction>\d{1,9}))?\s*(?P<half>[ap]\.?m\.?)?"
)
ZONE: Final = r"\s*(?P<zone>[a-z]{0,4}\s?[+\u2212-]\s?\d{1,2}(?::?\d\d)?(?::\d\d)?|[a-z]{1,4})?"
FORMS: Final = tuple(
    re.compile(rf"{form}\s*", re.ASCII | re.IGNORECASE)
    for form in (
        rf"(?P<year>\d{{4}})[:/.,\s-]\s?(?P<month>\d{{1,2}})[:/.,\s-]\s?(?P<day>\d{{1,2}})(?:T|[\s_:,;-]+){CLOCK}{ZONE}",
        rf"(?P<one>\d{{1,2}})[:/.\s-](?P<two>\d{{1,2}})[:/.\s-](?P<year>\d{{4}})(?:T|[\s_:,;-]+){CLOCK}{ZONE}",
        r"(?P<year>\d{4})(?P<month>\d\d)(?P<day>\d\d)[T\s_-]?(?P<hour>\d\d)(?P<minute>\d\d)(?P<second>\d\d)"
        rf"(?:[.,](?P<fraction>\d{{1,9}}))?{ZONE}",
        rf"(?:[a-z]{{3,9}},?\s+)?(?P<day>\d{{1,2}})[\s-]{MONTH_NAME}[\s,-]+(?P<year>\d{{4}})[\s_,-]+{CLOCK}{ZONE}",
        rf"(?:[a-z]{{3,9}},?\s+)?{MONTH_NAME}\s+(?P<day>\d{{1,2}})\s+{CLOCK}{ZONE}\s+(?P<year>\d{{4}})",
    )
)
DATE: Final = re.compile(r"\s*(\d{4})[:/.-]?(\d\d)[:/.-]?(\d\d)\s*", re.ASCII)


def times_in(text: str) -> tuple[datetime, ...]:
    """The times that the whole `text` may mean: none, one, or two if day and month are ambiguous."""
    for form in FORMS:
        if match := form.fullmatch(text.strip()):
            return times_of({name: found for name, found in match.groupdict().items() if found})
    return ()


def times_of(parts: dict[str, str]) -> tuple[datetime, ...]:
    zone = zone_from(parts["zone"]) if "zone" in parts else None
    if "zone" in parts and zone is None:
        return ()
    if "one" in parts:
        ways = [(parts["two"], parts["one"]), (parts["one"], parts["two"])]
    elif "month_name" in parts:
        ways = [(str(month_number(parts["month_name"])), parts["day"])]
    else:
        ways = [(parts["month"], parts["day"])]
    found = (time_of(parts | {"month": month, "day": day}, zone) for month, day in ways)
    return tuple(dict.fromkeys(at for at in found if at is not None))


def month_number(name: str) -> int:
    return MONTHS.index(name[:3].lower()) + 1


def time_of(parts: dict[str, str], zone: tzinfo | None = None) -> datetime | None:
    """The time, or None if it is invalid. Seconds may be missing; hour 24 is the hour after midnight.

    Phones and cameras that write 24:08:19 mean eight minutes after midnight at the start of the day.
    """
    hour = hour_of(int(parts["hour"]), parts.get("half", ""))
    second = int(parts.get("second", 0))
    if hour is None or second > 60:
        return None
    try:
        minute = datetime(int(parts["year"]), int(parts["month"]), int(parts["day"]), hour, int(parts["minute"]))
        return with_fraction(minute.replace(tzinfo=zone) + timedelta(seconds=second), parts.get("fraction", ""))
    except (ValueError, OverflowError):
        return None


def hour_of(hour: int, half: str) -> int | None:
    """The hour on the 24-hour clock; None if `half` ("AM", "p.m.") contradicts it."""
    hour = 0 if hour == 24 else hour
    if not half:
        return hour
    if half[0] in "aA":
        return None if hour > 12 else hour % 12
    return None if hour == 0 else hour if hour > 12 else hour % 12 + 12


def with_fraction(at: datetime, digits: str) -> datetime:
    if not (digits.isascii() and digits.isdigit()):
        return at
    return at.replace(microsecond=int(digits[:6].ljust(6, "0")))


def date_in(text: str) -> tuple[str, str, str] | None:
    """Year, month and day of a text that is only a date."""
    match = DATE.fullmatch(text)
    return (match[1], match[2], match[3]) if match else None
