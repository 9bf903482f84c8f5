"""Check whether a camera's time is plausible."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from nvr.media.files.mtime import MAX_CLOCK_DIFFERENCE

EARLIEST: Final = datetime(2005, 1, 1, tzinfo=UTC)  # clocks that were never set start in 1970, 1980 or 2000
# A clock without a battery starts at its factory date after each power cut: midnight of a 1 January, in UTC or in the
# maker's time zone.
FACTORY_DAY: Final = (1, 1)
MAX_UPTIME: Final = timedelta(hours=12)  # how long after that midnight
MAX_DELIVERY_DELAY: Final = timedelta(
    days=180
)  # a file of a factory date that arrives later than this is not a delayed upload
FILE_TIME_TOLERANCE: Final = timedelta(days=1)  # to the file's modification time, whatever their time zones
GPS_ROLLOVER: Final = timedelta(weeks=1024)  # receivers count weeks with ten bits: old ones are late by this much


@dataclass(frozen=True)
class Arrival:
    """When the file arrived, and when it was written according to its modification time (UTC)."""

    received: datetime
    written: datetime


def implausibility(at: datetime, as_written: datetime, arrival: Arrival) -> str:
    """Why the time `at` (UTC), `as_written` in the clue, is implausible, as the end of a sentence; else empty.

    A time that the file's modification time confirms is plausible: a picture of a New Year's night, copied years later.
    """
    if at < EARLIEST:
        return f"is before {EARLIEST.year}: the clock was never set"
    if at > arrival.received + MAX_CLOCK_DIFFERENCE:
        return "is after the file's arrival: the clock is ahead, or the camera is in another time zone"
    if abs(at - arrival.written) <= FILE_TIME_TOLERANCE:
        return ""
    if at < arrival.received - MAX_DELIVERY_DELAY and (is_factory_date(as_written) or is_factory_date(at)):
        return "is a factory date: the clock was reset"
    if abs(at + GPS_ROLLOVER - arrival.received) <= FILE_TIME_TOLERANCE:
        return "is 1024 weeks too early: the GPS receiver is too old for this year"
    return ""


def is_factory_date(at: datetime) -> bool:
    midnight = at.replace(hour=0, minute=0, second=0, microsecond=0)
    return (at.month, at.day) == FACTORY_DAY and at - midnight < MAX_UPTIME
