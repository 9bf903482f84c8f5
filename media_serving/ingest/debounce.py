"""When a file is whole enough to be looked into: its size and times have held for a while.

A picture that is rewritten all the time never holds that long. When its name has been on the way for as long, a new
inode or two looks that saw the same are enough; whether it is whole is seen when it is read.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import timedelta

from media_serving.ingest.scanner import Sighting
from nvr.media.files.content_types import is_image

ALIKE_S = 0.2  # between two looks that see the same
DAY_NS = 86_400_000_000_000


@dataclass(slots=True)
class Held:
    """A sighting, since when it has not changed, and since when its name has not settled (monotonic seconds)."""

    sighting: Sighting
    since: float
    first: float
    is_rewritten: bool = False


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
        if held is None:
            self.hold(now)
            return False
        if not self._is_ready(held, now, time.monotonic()):
            return False
        del self._held[now.raw]
        return True

    def _is_ready(self, held: Held, now: Sighting, at: float) -> bool:
        is_late = at - held.first >= self.span_s and now.size_bytes > 0 and is_picture(now)
        if held.sighting != now:
            is_another_file = held.sighting.inode != now.inode
            held.is_rewritten |= is_another_file or is_rewritten(held.sighting, now)
            held.sighting, held.since = now, at
            return is_late and is_another_file
        return at - held.since >= (ALIKE_S if is_late and held.is_rewritten else self.span_s)

    def hold(self, now: Sighting) -> None:
        """Ask about it again, although it has settled."""
        at = time.monotonic()
        self._held[now.raw] = Held(now, at, first=at)

    def forget(self, raw: bytes) -> None:
        self._held.pop(raw, None)


def is_rewritten(before: Sighting, now: Sighting) -> bool:
    """Whether the file began anew: what is merely on its way only grows."""
    return now.mtime_ns != before.mtime_ns and now.size_bytes <= before.size_bytes


def is_picture(sighting: Sighting) -> bool:
    """Pictures say where they end, as not every video does."""
    return is_image(sighting.raw.decode("utf-8", "replace"))


def has_been_still(sighting: Sighting, span_s: float) -> bool:
    """Whether the inode itself says so: nobody can set its change time, and each write sets it.

    A clock that stands elsewhere (another machine's, or ours before it was set) says nothing.
    """
    age_ns = time.time_ns() - sighting.ctime_ns
    return span_s * 1e9 <= age_ns < 20_000 * DAY_NS
