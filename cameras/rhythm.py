"""How long a camera usually pauses between two pictures, learned from the pauses that it made.

A camera that uploads on motion is silent for hours and then sends a dozen pictures within seconds; only its long pauses
say when to wonder. They are noted as they end, since a burst pushes them out of what is known of its folder. A camera
that sends all the time has pauses too, when it was away: they are its usual way only if they make up much of its time.
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
MIN_SILENT_SHARE = 1 / 3  # of the time: with less, the pauses are exceptions
USUAL_SHARE = 0.9  # of the pauses are not longer than the usual one
TOLERANCE = 1.25  # of a camera that sends each hour, one picture may come a little late


@dataclass(frozen=True)
class Rhythm:
    """Pauses longer than `NVR_STALE_AFTER` as (when it ended, how long it was), oldest first; `since` when we watch.

    All in seconds since the epoch.
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
        """With the pauses between these times, of which none may be missing in between."""
        moments = sorted(at.timestamp() for at in times)
        if not moments:
            return self
        least = settings.NVR_STALE_AFTER.total_seconds()
        known_until = self.pauses[-1][0] + 1 if self.pauses else 0.0  # stored to the second
        found = [(end, end - begin) for begin, end in pairwise(moments) if end - begin > least and end > known_until]
        kept = [pause for pause in (*self.pauses, *found) if pause[0] > moments[-1] - WINDOW_S]
        return type(self)(min(self.since, moments[0]), tuple(kept[-MAX_PAUSES:]))

    def usual_pause(self, newest: datetime | None) -> timedelta | None:
        """The pause that nine of ten did not exceed; None of a camera that hardly ever pauses."""
        if not self.pauses or newest is None:
            return None
        lengths = sorted(length for _, length in self.pauses)
        began = self.pauses[0][0] - self.pauses[0][1]
        if len(self.pauses) < MAX_PAUSES:  # else there were more before, of which nothing is known any more
            began = max(min(self.since, began), newest.timestamp() - WINDOW_S)
        if sum(lengths) < MIN_SILENT_SHARE * (newest.timestamp() - began):
            return None
        return timedelta(seconds=lengths[min(int(USUAL_SHARE * len(lengths)), len(lengths) - 1)])


def age_limit(usual_pause: timedelta | None) -> timedelta:
    """The age from which a camera's last picture is worth a look: longer than it usually pauses."""
    least: timedelta = settings.NVR_STALE_AFTER
    return max(least, usual_pause * TOLERANCE) if usual_pause else least
