"""When a file is whole enough to be looked into: its size and times have held for a while."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import timedelta

from media_serving.ingest.sweep import Sighting

DAY_NS = 86_400_000_000_000


@dataclass(slots=True)
class Held:
    """A sighting, and since when it has not changed (monotonic seconds)."""

    sighting: Sighting
    since: float


class Settling:
    """The files of one camera that have not settled yet, by name."""

    def __init__(self, span: timedelta) -> None:
        self.span_s = span.total_seconds()
        self._held: dict[bytes, Held] = {}

    def __len__(self) -> int:
        return len(self._held)

    def names(self) -> list[bytes]:
        return list(self._held)

    def has_settled(self, now: Sighting) -> bool:
        """Whether it has; if not, it is remembered as it is now, and to be asked about again."""
        if has_been_still(now, self.span_s):
            self._held.pop(now.raw, None)
            return True
        held = self._held.get(now.raw)
        if held is None or held.sighting != now:
            self._held[now.raw] = Held(now, time.monotonic())
            return False
        if time.monotonic() - held.since < self.span_s:
            return False
        del self._held[now.raw]
        return True

    def hold(self, now: Sighting) -> None:
        """Ask about it again, although it has settled."""
        self._held[now.raw] = Held(now, time.monotonic())

    def forget(self, raw: bytes) -> None:
        self._held.pop(raw, None)


def has_been_still(sighting: Sighting, span_s: float) -> bool:
    """Whether the inode itself says so: nobody can set its change time, and each write sets it.

    A clock that stands elsewhere (another machine's, or ours before it was set) says nothing.
    """
    age_ns = time.time_ns() - sighting.ctime_ns
    return span_s * 1e9 <= age_ns < 20_000 * DAY_NS
