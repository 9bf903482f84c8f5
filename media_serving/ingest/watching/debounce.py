"""Wait until a file is stable, and so probably complete: its size and times have not changed for a while.

A picture that is constantly rewritten is never unchanged for that long. After its name has been pending for the same
time, a new inode or two equal checks suffice; processing validates that the file is complete.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import timedelta

from media_serving.ingest.scanner import ScannedFile
from nvr.media.files.content_types import is_image

RECHECK_S = 0.2  # between two equal checks
DAY_NS = 86_400_000_000_000


@dataclass(slots=True)
class PendingFile:
    """A file that is not stable yet: when it last changed, and when its name was first found (monotonic seconds)."""

    scanned_file: ScannedFile
    since: float
    first: float
    is_rewritten: bool = False


class Debouncer:
    """One camera's files that are not stable yet, by name."""

    def __init__(self, stable_time: timedelta) -> None:
        self.stable_s = stable_time.total_seconds()
        self._pending: dict[bytes, PendingFile] = {}

    def __len__(self) -> int:
        return len(self._pending)

    def names(self) -> list[bytes]:
        return list(self._pending)

    def is_stable(self, now: ScannedFile) -> bool:
        """Whether the file is stable; otherwise remember its current state, and expect another call."""
        if unchanged_for(now, self.stable_s):
            self._pending.pop(now.raw, None)
            return True
        pending = self._pending.get(now.raw)
        if pending is None:
            self.defer(now)
            return False
        if not self._is_ready(pending, now, time.monotonic()):
            return False
        del self._pending[now.raw]
        return True

    def _is_ready(self, pending: PendingFile, now: ScannedFile, at: float) -> bool:
        is_late = at - pending.first >= self.stable_s and now.size_bytes > 0 and is_picture(now)
        if pending.scanned_file != now:
            is_another_file = pending.scanned_file.inode != now.inode
            pending.is_rewritten |= is_another_file or is_rewritten(pending.scanned_file, now)
            pending.scanned_file, pending.since = now, at
            return is_late and is_another_file
        return at - pending.since >= (RECHECK_S if is_late and pending.is_rewritten else self.stable_s)

    def defer(self, now: ScannedFile) -> None:
        """Check the file again, even if it is stable."""
        at = time.monotonic()
        self._pending[now.raw] = PendingFile(now, at, first=at)

    def forget(self, raw: bytes) -> None:
        self._pending.pop(raw, None)


def is_rewritten(before: ScannedFile, now: ScannedFile) -> bool:
    """Whether the file was rewritten: a file that is being uploaded only grows."""
    return now.mtime_ns != before.mtime_ns and now.size_bytes <= before.size_bytes


def is_picture(scanned_file: ScannedFile) -> bool:
    """Whether the file is a picture: unlike some videos, pictures have an end marker."""
    return is_image(scanned_file.raw.decode("utf-8", "replace"))


def unchanged_for(scanned_file: ScannedFile, stable_s: float) -> bool:
    """Whether the inode's change time is that old: every write sets it, and programs cannot.

    Returns False for times of a wrong clock (another machine's, or the local one before it was set).
    """
    age_ns = time.time_ns() - scanned_file.ctime_ns
    return stable_s * 1e9 <= age_ns < 20_000 * DAY_NS
