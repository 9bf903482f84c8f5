"""When a picture was taken: what it says itself, what its name says, else when it was written.

File names are those of Foscam (`MDAlarm_20260131-120000.jpg`, `Schedule_…`), Reolink (`Front_00_20260131120000.jpg`),
Hikvision (`192.168.1.64_01_20260131120000123_TIMING.jpg`), Dahua (`2026-01-31/001/jpg/12/00/00[M][0@0][0].jpg`,
`12.00.00-12.00.30[M][0@0][0].mp4`) and Axis (`26-01-31_12-00-00-00.jpg`, `20260131_120000_A1B2.mkv`).
"""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

EARLIEST: Final = datetime(2005, 1, 1, tzinfo=UTC)  # clocks that were never set begin in 1970, 1980 or 2000
FAST: Final = timedelta(minutes=10)  # by which a camera's clock may be ahead
DAY: Final = r"(?P<year>20\d\d)[-_.]?(?P<month>0[1-9]|1[0-2])[-_.]?(?P<day>0[1-9]|[12]\d|3[01])"
TIME: Final = (
    r"(?P<hour>[01]\d|2[0-3])[-_.:]?(?P<minute>[0-5]\d)[-_.:]?(?P<second>[0-5]\d)(?:[-_.]?(?P<fraction>\d{2,3}))?"
)
IN_NAME: Final = (
    re.compile(rf"(?<!\d){DAY}[-_T. ]?{TIME}(?!\d)"),
    re.compile(rf"(?<!\d){DAY.replace('20', '', 1)}[-_]{TIME}(?!\d)"),
)
DAHUA_DAY: Final = re.compile(rf"(?:^|/){DAY}(?:/|$)")
CLOCK: Final = r"(?P<hour>[01]\d|2[0-3]){0}(?P<minute>[0-5]\d){0}(?P<second>[0-5]\d)"
DAHUA_TIME: Final = (  # videos, pictures
    re.compile(rf"(?:^|/){CLOCK.format(chr(92) + '.')}[^/]*\[[^/]*$"),
    re.compile(rf"(?:^|/){CLOCK.format('/')}\[[^/]*$"),
)


@dataclass(frozen=True)
class CaptureTime:
    """`at` in UTC; `is_absurd` if the camera's clock said something else, which cannot be."""

    at: datetime
    is_absurd: bool = False


def capture_time(
    *, said: datetime | None, path: str, mtime: datetime, received: datetime, zone: ZoneInfo
) -> CaptureTime:
    """`said` is what the picture says itself (naive: by the camera's clock), `path` its name below the folder."""
    told = said or time_in_name(path)
    at = mtime if told is None else in_utc(told, zone, near=mtime)
    return CaptureTime(at) if at and is_credible(at, received) else CaptureTime(received, is_absurd=True)


def is_credible(at: datetime, received: datetime) -> bool:
    return EARLIEST <= at <= received + FAST


def in_utc(told: datetime, zone: ZoneInfo, *, near: datetime) -> datetime | None:
    """By the camera's clock; of an hour that comes twice, the one that is nearer to `near`.

    None at both ends of the calendar, where UTC would lie outside.
    """
    with suppress(OverflowError):
        if told.tzinfo is not None:
            return told.astimezone(UTC)
        both = [told.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1)]
        return min(both, key=lambda at: abs(at - near))
    return None


def time_in_name(path: str) -> datetime | None:
    """Naive, by the camera's clock."""
    name = path.rpartition("/")[2]
    for pattern in IN_NAME:
        if match := pattern.search(name):
            return moment(match)
    day = DAHUA_DAY.search(path)
    time = next((match for pattern in DAHUA_TIME if (match := pattern.search(path))), None)
    return moment(day, time) if day and time else None


def moment(*matches: re.Match[str]) -> datetime | None:
    found = {name: text for match in matches for name, text in match.groupdict().items() if text}
    year = int(found["year"])
    fraction = found.get("fraction", "0").ljust(6, "0")
    month, day, hour, minute, second = (int(found[name]) for name in ("month", "day", "hour", "minute", "second"))
    try:
        return datetime(year if year > 99 else 2000 + year, month, day, hour, minute, second, int(fraction))
    except ValueError:  # the 31st of February: some other number
        return None
