"""The processes of an installation: commands that the supervisor keeps running."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from nvr.supervision import guard, launch

BACKOFF_SECONDS = (1, 2, 4, 8, 16, 30)
STEADY_SECONDS = 60
# glibc allocates a separate heap for each thread, which costs memory in programs with many short-lived threads.
FRUGAL = {"MALLOC_ARENA_MAX": "2", "PYTHONUNBUFFERED": "1"}
# Celery warns root at each start, but running as root is the operator's deliberate decision.
QUIET = {"PYTHONWARNINGS": "ignore:You're running the worker with superuser privileges"}
# Workers start later, so that the web server has the machine to itself until it responds.
HEAD_START_SECONDS = 1.5


@dataclass(eq=False)
class Process:
    """`restart_at` is in monotonic seconds; None while the process runs. `niceness` is the kernel's, 0 to 19."""

    name: str
    command: list[str]
    environment: Mapping[str, str] = field(default_factory=dict)
    descriptors: tuple[int, ...] = ()
    niceness: int = 0
    popen: subprocess.Popen[bytes] | None = None
    started_at: float = 0.0
    restart_at: float | None = 0.0
    failures: int = 0

    def start(self, mark: str) -> subprocess.Popen[bytes]:
        """Start it in a new session with its output on one pipe; it ends when this process ends."""
        wrapper = [sys.executable, "-I", "-S", launch.__file__, str(os.getpid()), str(self.niceness)]
        self.popen = subprocess.Popen(  # noqa: S603 - our own arguments
            [*wrapper, *self.command],
            env={**os.environ, **FRUGAL, **self.environment, guard.VARIABLE: mark},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            pass_fds=self.descriptors,
        )
        self.started_at = time.monotonic()
        self.restart_at = None
        return self.popen

    def ended(self) -> int | None:
        """Return the exit status if it has just ended, after killing the rest of its group; otherwise None."""
        if self.popen is None or self.popen.poll() is None:
            return None
        status = self.popen.returncode
        self.send_to_group(signal.SIGKILL)
        self.popen = None
        return status

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
        if self.popen is not None:
            guard.send({self.popen.pid}, signal_number)

    def send_to_group(self, signal_number: int) -> None:
        if self.popen is not None:
            try:
                os.killpg(self.popen.pid, signal_number)
            except (ProcessLookupError, PermissionError):
                return


def start_guard(mark: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(  # noqa: S603 - our own arguments
        [sys.executable, "-I", "-S", str(Path(guard.__file__)), mark],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def worker(queue: str, processes: int, niceness: int) -> Process:
    """Return a Celery worker for one queue, without Celery's own events: health uses the heartbeat rows."""
    quiet = ["--without-gossip", "--without-mingle", "--without-heartbeat"]
    command = [sys.executable, "-m", "celery", "--quiet", "-A", "nvr", "worker", "-Q", queue]
    return Process(
        queue,
        [*command, "-n", f"{queue}@%h", "--concurrency", str(processes), *quiet],
        {"NVR_PROCESS": "worker", **QUIET},
        niceness=niceness,
        restart_at=time.monotonic() + HEAD_START_SECONDS,
    )


def installation(listener: int) -> list[Process]:
    """Return all processes of a single-machine installation; `listener` is the web server's listening descriptor."""
    gunicorn = [sys.executable, "-m", "gunicorn", "-c", "python:nvr.webserver.configuration"]
    beat = [sys.executable, "-m", "celery", "--quiet", "-A", "nvr", "beat", "--pidfile", ""]
    watcher = [sys.executable, "manage.py", "ingest"]
    soon = time.monotonic() + HEAD_START_SECONDS
    web = Process("web", [*gunicorn, "--bind", f"fd://{listener}", "nvr.wsgi"], {"NVR_PROCESS": "web"}, (listener,))
    return [
        web,
        worker("interactive", 2, niceness=0),
        worker("ingest", 2, niceness=5),  # a long video of one camera does not delay the others
        worker("bulk", 2, niceness=10),  # one of them may convert a video for half an hour
        Process("watcher", watcher, {"NVR_PROCESS": "watcher"}, niceness=5, restart_at=soon),
        Process("beat", beat, {"NVR_PROCESS": "beat"}, restart_at=soon),
    ]


def demo() -> Process:
    return Process("demo", [sys.executable, "manage.py", "demo"], {"NVR_PROCESS": "demo"}, niceness=10)
