"""Capture times in a video's container (MP4, QuickTime, Matroska, AVI), by ffprobe's tag names.

`creation_time` is UTC by the standard, but many cameras write local time; QuickTime's creation date includes its zone.
Both are the start of the recording, or in some cameras its end.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final

from media_serving.ingest.capture_time.clues import Reading
from media_serving.ingest.capture_time.written import times_in

WITH_ZONE: Final = ("com.apple.quicktime.creationdate", "creationdate")
CREATED: Final = ("creation_time", "date", "date_recorded", "date_digitized", "icrd", "idit")
NOT_SET: Final = 1971  # MP4 counts from 1904, others from 1970: the field is unset


def readings_of(tags: Mapping[str, str]) -> tuple[Reading, ...]:
    lower = {name.lower(): text for name, text in tags.items()}
    found = [of_tag(name, lower[name]) for name in (*WITH_ZONE, *CREATED) if name in lower]
    return tuple(reading for reading in found if reading is not None)


def of_tag(name: str, text: str) -> Reading | None:
    """The tag's reading; None if it is unset: most encoders write nothing, or zero."""
    times = tuple(at for at in times_in(text[:64]) if at.year > NOT_SET)
    if not times:
        return None
    if name in CREATED and times[0].tzinfo is not None and times[0].utcoffset() == UTC.utcoffset(None):
        times = (*times, *(naive(at) for at in times))
    return Reading(f"The video's {name}", times, prefers_first=True)


def naive(at: datetime) -> datetime:
    return at.replace(tzinfo=None)
