"""News that would otherwise fill the log: of a fault that lasts, one line a while is enough."""

from __future__ import annotations

import threading
import time
from datetime import timedelta


class LogThrottle:
    """Whether something may be said again; in each process by itself."""

    def __init__(self, every: timedelta) -> None:
        self._every_s = every.total_seconds()
        self._lock = threading.Lock()
        self._said_at: float | None = None

    def should_log(self) -> bool:
        """True the first time, and then once in the span."""
        now = time.monotonic()
        with self._lock:
            if self._said_at is not None and now - self._said_at < self._every_s:
                return False
            self._said_at = now
            return True
