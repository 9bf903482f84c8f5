"""The progress of a folder scan, for clients that wait for it. Any process may scan, so it is stored in the cache."""

from __future__ import annotations

import hashlib
import os
import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import Final

from django.core.cache import cache

from nvr.api.counters import CACHE_FAULTS

REPORT_INTERVAL_S: Final = 0.4  # shorter scans are not reported
EXPIRES_AFTER_S: Final = 5  # after the last report: the scanning process has died, or has finished


@dataclass(frozen=True)
class ScanProgress:
    """How many folders and files have been scanned."""

    folders: int = 0
    files: int = 0


class ScanReporter:
    """Reports the scan of one review path a few times per second. A call with (0, 0) ends the report."""

    def __init__(self, root: str) -> None:
        self.root = root
        self.reported_at, self.has_reported = 0.0, False

    def __call__(self, folders: int, files: int) -> None:
        now = time.monotonic()
        if not folders:
            self._finish()
        elif folders == 1:
            self.reported_at = now
        elif now - self.reported_at >= REPORT_INTERVAL_S:
            self.reported_at, self.has_reported = now, True
            save(self.root, ScanProgress(folders, files))

    def _finish(self) -> None:
        if self.has_reported:
            self.has_reported = False
            clear(self.root)


def key(root: str) -> str:
    return f"review-reading:{hashlib.sha256(os.fsencode(root)).hexdigest()[:32]}"


def save(root: str, reading: ScanProgress) -> None:
    with suppress(*CACHE_FAULTS):
        cache.set(key(root), asdict(reading), EXPIRES_AFTER_S)


def clear(root: str) -> None:
    with suppress(*CACHE_FAULTS):
        cache.delete(key(root))


def scan_progress(root: str) -> ScanProgress | None:
    """Return the progress, or None if no scan is running or the cache does not answer."""
    try:
        found = cache.get(key(root))
    except CACHE_FAULTS:
        return None
    return ScanProgress(**found) if found else None
