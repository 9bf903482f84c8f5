"""How long a camera usually pauses between two pictures, learned from its past pauses.

A camera that uploads on motion is silent for hours and then sends a dozen pictures within seconds; only its long pauses
show which silence is unusual. They are stored as they end, because a burst pushes them out of the list of the newest
files. A camera that sends continuously has pauses too, when it was offline: they count as usual only if they make up a
large part of its time.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any, Self

from django.conf import settings

MAX_PAUSES = 60  # pauses
WINDOW_S = timedelta(days=14).total_seconds()
MIN_SILENT_SHARE = 1 / 3  # of the time; below this, pauses are exceptions
USUAL_SHARE = 0.9  # of the pauses are not longer than the usual pause
TOLERANCE = 1.25  # a picture of a camera that sends every hour may be a little late


@dataclass(frozen=True)
class Rhythm:
    """Pauses longer than `NVR_STALE_AFTER` as (end, length), oldest first; `since` is when monitoring began.

    Times are in seconds since the epoch, lengths in seconds.
    """

    since: float
    pauses: tuple[tuple[float, float], ...] = ()

    @classmethod
    def from_json(cls, stored: dict[str, Any] | None, now: datetime) -> Self:
        if not stored:
            return cls(now.timestamp())
        return cls(stored["since"], tuple((ended, length) for ended, length in stored["pauses"]))

    def as_json(self) -> dict[str, Any]:
        return {"since": self.since, "pauses": [[round(ended), round(length)] for ended, length in self.pauses]}

    def with_times(self, times: Iterable[datetime]) -> Self:
        """A copy with the pauses between `times` added; `times` must not leave out any picture in their range."""
        timestamps = sorted(at.timestamp() for at in times)
        if not timestamps:
            return self
        minimum = settings.NVR_STALE_AFTER.total_seconds()
        known_until = self.pauses[-1][0] + 1 if self.pauses else 0.0  # stored to the second
        # A pause that is known already would be counted twice.
        found = [
            (end, end - begin) for begin, end in pairwise(timestamps) if end - begin > minimum and end > known_until
        ]
        kept = [pause for pause in (*self.pauses, *found) if pause[0] > timestamps[-1] - WINDOW_S]
        return type(self)(min(self.since, timestamps[0]), tuple(kept[-MAX_PAUSES:]))

    def usual_pause(self, newest: datetime | None) -> timedelta | None:
        """The length that nine of ten pauses did not exceed; None for a camera that hardly ever pauses."""
        if not self.pauses or newest is None:
            return None
        lengths = sorted(length for _, length in self.pauses)
        began = self.pauses[0][0] - self.pauses[0][1]
        if len(self.pauses) < MAX_PAUSES:  # otherwise older pauses have been dropped
            began = max(min(self.since, began), newest.timestamp() - WINDOW_S)
        if sum(lengths) < MIN_SILENT_SHARE * (newest.timestamp() - began):
            return None
        return timedelta(seconds=lengths[min(int(USUAL_SHARE * len(lengths)), len(lengths) - 1)])


def age_limit(usual_pause: timedelta | None) -> timedelta:
    """The age above which a camera's last picture counts as old: longer than its usual pause."""
    minimum: timedelta = settings.NVR_STALE_AFTER
    return max(minimum, usual_pause * TOLERANCE) if usual_pause else minimum
