"""Whether a camera's clock can have been right."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

EARLIEST: Final = datetime(2005, 1, 1, tzinfo=UTC)  # clocks that were never set begin in 1970, 1980 or 2000
FAST: Final = timedelta(minutes=10)  # by which a camera's clock may be ahead
# A clock without a battery begins at its factory date after each power cut: the midnight of a 1 January, by UTC or by
# the maker's own zone.
FACTORY_DAY: Final = (1, 1)
RESTARTED: Final = timedelta(hours=12)  # how long after that midnight
LONG_AGO: Final = timedelta(days=180)  # what arrives later than this, from such a morning, is no late delivery
AGREES: Final = timedelta(days=1)  # with the file's own time, whatever zone either was told in
GPS_ROLLOVER: Final = timedelta(weeks=1024)  # receivers count weeks with ten bits: old ones lie back so far


@dataclass(frozen=True)
class Arrival:
    """What a clue is judged by: when the file arrived, and when it was written by its own time (UTC)."""

    received: datetime
    written: datetime


def doubt(at: datetime, told: datetime, arrival: Arrival) -> str:
    """Why `at` (UTC), which a clue tells as `told`, cannot be: the end of a sentence; empty if it can.

    A time that the file's own confirms is no restarted clock: a picture of a New Year's night, copied years later.
    """
    if at < EARLIEST:
        return f"lies before {EARLIEST.year}: the clock was never set"
    if at > arrival.received + FAST:
        return "lies ahead of the arrival: the clock is ahead, or the camera's time zone is another"
    if abs(at - arrival.written) <= AGREES:
        return ""
    if at < arrival.received - LONG_AGO and (is_factory_morning(told) or is_factory_morning(at)):
        return "is a factory date: the clock began anew"
    if abs(at + GPS_ROLLOVER - arrival.received) <= AGREES:
        return "lies 1024 weeks back: the GPS receiver is too old for this year"
    return ""


def is_factory_morning(told: datetime) -> bool:
    midnight = told.replace(hour=0, minute=0, second=0, microsecond=0)
    return (told.month, told.day) == FACTORY_DAY and told - midnight < RESTARTED
