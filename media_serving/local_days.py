"""Days in a camera's time zone: 23, 24 or 25 hours long."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from nvr.errors import Invalid

DATE_FORMAT = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)
MIN_DAY, MAX_DAY = date(1970, 1, 2), date(8999, 12, 30)  # within the searchable range in every zone
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


@dataclass(frozen=True)
class TimeRange:
    """From `start` (included) to `end` (excluded), both UTC."""

    start: datetime
    end: datetime


def parse_day(text: str) -> date:
    """Parse a date such as 2026-01-31. Raises `Invalid` (422) for anything else."""
    try:
        day = date.fromisoformat(text if DATE_FORMAT.fullmatch(text) else "")
    except ValueError:
        raise Invalid.field("day", "must be a date, as in 2026-01-31.") from None
    if not MIN_DAY <= day <= MAX_DAY:
        raise Invalid.field("day", f"must be from {MIN_DAY} to {MAX_DAY}.")
    return day


def today_in(zone: ZoneInfo, now: datetime) -> date:
    return now.astimezone(zone).date()


def day_range(day: date, zone: ZoneInfo) -> TimeRange:
    return TimeRange(_midnight(day, zone), _midnight(day + DAY, zone))


def hour_ranges(day: date, zone: ZoneInfo) -> list[TimeRange]:
    """Return the hours of the day in order; a day on which the clocks change has 23 or 25."""
    whole = day_range(day, zone)
    # Rounded up: Lord Howe Island changes its clocks by half an hour.
    count = -(-(whole.end - whole.start) // HOUR)
    starts = [whole.start + HOUR * number for number in range(count)]
    return [TimeRange(start, min(start + HOUR, whole.end)) for start in starts]


def _midnight(day: date, zone: ZoneInfo) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=zone).astimezone(UTC)
