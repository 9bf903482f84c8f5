"""A process of an installation, which the supervisor forks and keeps running."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass

from nvr.supervision import guard
from nvr.supervision.forking import fork

BACKOFF_SECONDS = (1, 2, 4, 8, 16, 30)
STEADY_SECONDS = 60


@dataclass(eq=False)
class Process:
    """`restart_at` is in monotonic seconds; None while the process runs. `niceness` is the kernel's, 0 to 19.

    `main` runs in the forked process; the `descriptors` stay open in it.
    """

    name: str
    main: Callable[[], object]
    descriptors: tuple[int, ...] = ()
    niceness: int = 0
    pid: int | None = None
    started_at: float = 0.0
    restart_at: float | None = 0.0
    failures: int = 0

    def start(self) -> int:
        """Start it and return the descriptor of the pipe with its output."""
        reader, writer = os.pipe()
        try:
            self.pid = fork(self.name, self.main, writer, keep=self.descriptors, niceness=self.niceness)
        finally:
            os.close(writer)
        self.started_at = time.monotonic()
        self.restart_at = None
        return reader

    def ended(self) -> int | None:
        """Return the exit status if it has just ended, after killing the rest of its group; otherwise None.

        The status is negative for a signal.
        """
        if self.pid is None:
            return None
        pid, status = os.waitpid(self.pid, os.WNOHANG)
        if pid == 0:
            return None
        self.send_to_group(signal.SIGKILL)
        self.pid = None
        return os.waitstatus_to_exitcode(status)

    def schedule_restart(self) -> int:
        """Schedule the restart with exponential backoff; return the delay in seconds.

        The backoff starts over after a run of `STEADY_SECONDS`.
        """
        if time.monotonic() - self.started_at >= STEADY_SECONDS:
            self.failures = 0
        pause = BACKOFF_SECONDS[min(self.failures, len(BACKOFF_SECONDS) - 1)]
        self.failures += 1
        self.restart_at = time.monotonic() + pause
        return pause

    def send(self, signal_number: int) -> None:
        if self.pid is not None:
            guard.send({self.pid}, signal_number)

    def send_to_group(self, signal_number: int) -> None:
        if self.pid is not None:
            try:
                os.killpg(self.pid, signal_number)
            except (ProcessLookupError, PermissionError):
                return
