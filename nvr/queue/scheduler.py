"""Celery's scheduler, made robust against clock changes and a full disk."""

from __future__ import annotations

import json
import logging
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from celery import beat

from nvr.log_throttle import LogThrottle

logger = logging.getLogger(__name__)

JUMP = timedelta(seconds=5)  # smaller backward steps of the clock are ignored


class Scheduler(beat.Scheduler):
    """Stores the last run of each task in a file, so that daily tasks run even if the machine is off at night.

    Without the file (it is new, or cannot be written) all intervals start when the scheduler starts.
    """

    def __init__(self, app: Any, *args: Any, schedule_filename: str, **kwargs: Any) -> None:
        self._file = Path(schedule_filename)
        self._latest: datetime = app.now()
        self._cannot_write = LogThrottle(timedelta(hours=1))
        super().__init__(app, *args, **kwargs)

    def setup_schedule(self) -> None:
        super().setup_schedule()
        for name, ran_at in self._read().items():
            if name in self.schedule:
                self.schedule[name].last_run_at = ran_at
        self._limit_last_runs_to_now()

    def tick(self, *args: Any, **kwargs: Any) -> float:
        now = self.app.now()
        if now < self._latest - JUMP:
            logger.warning("the clock was set back by %s", self._latest - now)
            self._limit_last_runs_to_now()
        self._latest = now
        return float(super().tick(*args, **kwargs))

    def sync(self) -> None:
        ran = {name: entry.last_run_at.isoformat() for name, entry in self.schedule.items() if entry.last_run_at}
        unseen = self._file.with_name(f"{self._file.name}.new")
        try:
            unseen.write_text(json.dumps(ran))
            unseen.replace(self._file)
        except OSError as error:
            if self._cannot_write.should_log():
                logger.warning("cannot write %s: %s", self._file, error.strerror)

    def _read(self) -> dict[str, datetime]:
        try:
            return {name: datetime.fromisoformat(at) for name, at in json.loads(self._file.read_bytes()).items()}
        except (OSError, ValueError, AttributeError, TypeError):
            return {}

    def _limit_last_runs_to_now(self) -> None:
        """Move last runs in the future to now; otherwise a task would not run until the clock has caught up."""
        now = self.app.now()
        for entry in self.schedule.values():
            entry.last_run_at = min(entry.last_run_at or now, now)
        self.populate_heap()
