"""Time zones as cameras write them."""

from __future__ import annotations

import re
from datetime import UTC, timedelta, timezone, tzinfo
from typing import Final

OFFSET: Final = re.compile(r"(?:UTC|GMT)?\s*([+\-\u2212])\s*(\d{1,2})(?:[:_.]?(\d{2}))?(?::\d{2})?", re.ASCII)
# Only unambiguous names: CST is used in Chicago and China, IST in India, Ireland and Israel.
NAMES: Final = {
    **dict.fromkeys(("Z", "UTC", "GMT", "UT", "WET"), 0),
    **dict.fromkeys(("CET", "WEST", "BST"), 1),
    **dict.fromkeys(("CEST", "EET"), 2),
    **dict.fromkeys(("EEST", "MSK"), 3),
    **{"JST": 9, "EDT": -4, "EST": -5, "CDT": -5, "MDT": -6, "MST": -7, "PDT": -7, "PST": -8},
}
WEST, EAST = timedelta(hours=-12), timedelta(hours=14)
STEP: Final = timedelta(minutes=15)  # of all time zones; other offsets are misread numbers


def zone_from(text: str) -> tzinfo | None:
    """The time zone of `+01:00`, `-5:00`, `+0100`, `+1`, `Z`, `UTC+1`, `CET`; None for anything else."""
    text = text.strip().upper()
    if text in NAMES:
        return from_hours(NAMES[text])
    match = OFFSET.fullmatch(text)
    if match is None:
        return None
    sign, hours, minutes = match.groups()
    offset = timedelta(hours=int(hours), minutes=int(minutes or 0))
    return from_offset(offset if sign == "+" else -offset)


def from_hours(hours: float) -> tzinfo | None:
    return from_offset(timedelta(hours=hours))


def from_offset(offset: timedelta) -> tzinfo | None:
    """The time zone; None if no place on Earth has this offset."""
    if not WEST <= offset <= EAST or offset % STEP:
        return None
    return timezone(offset) if offset else UTC
