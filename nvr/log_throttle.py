"""Rate limit for log lines, so that a lasting fault does not fill the log."""

from __future__ import annotations

import threading
import time
from datetime import timedelta


class LogThrottle:
    """Allows one log line per interval, in each process separately."""

    def __init__(self, every: timedelta) -> None:
        self._every_s = every.total_seconds()
        self._lock = threading.Lock()
        self._logged_at: float | None = None

    def should_log(self) -> bool:
        """Return True the first time, and then once per interval."""
        now = time.monotonic()
        with self._lock:
            if self._logged_at is not None and now - self._logged_at < self._every_s:
                return False
            self._logged_at = now
            return True
