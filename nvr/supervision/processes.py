"""A part of the installation: a command that is kept running."""

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
# glibc gives each thread a heap of its own, which a program of many short threads pays for in memory.
FRUGAL = {"MALLOC_ARENA_MAX": "2", "PYTHONUNBUFFERED": "1"}
# Celery warns root at each start; whether to run as root is the operator's decision, and no news to them.
QUIET = {"PYTHONWARNINGS": "ignore:You're running the worker with superuser privileges"}
# The web server has the machine to itself until it answers.
HEAD_START_SECONDS = 1.5


@dataclass(eq=False)
class Part:
    """`restart_at` is in monotonic seconds; None while the part runs. `niceness` is the kernel's, 0 to 19."""

    name: str
    command: list[str]
    environment: Mapping[str, str] = field(default_factory=dict)
    descriptors: tuple[int, ...] = ()
    niceness: int = 0
    process: subprocess.Popen[bytes] | None = None
    started_at: float = 0.0
    restart_at: float | None = 0.0
    failures: int = 0

    def start(self, mark: str) -> subprocess.Popen[bytes]:
        """Start it in a session of its own, its output on one pipe; it ends when this process does."""
        wrapper = [sys.executable, "-I", "-S", launch.__file__, str(os.getpid()), str(self.niceness)]
        self.process = subprocess.Popen(  # noqa: S603 - our own arguments
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
        return self.process

    def ended(self) -> int | None:
        """Its exit status if it has just ended, and then no process of its group is left; else None."""
        if self.process is None or self.process.poll() is None:
            return None
        status = self.process.returncode
        self.send_to_group(signal.SIGKILL)
        self.process = None
        return status

    def schedule_restart(self) -> int:
        """Seconds until it starts again: longer each time, unless it ran steadily."""
        if time.monotonic() - self.started_at >= STEADY_SECONDS:
            self.failures = 0
        pause = BACKOFF_SECONDS[min(self.failures, len(BACKOFF_SECONDS) - 1)]
        self.failures += 1
        self.restart_at = time.monotonic() + pause
        return pause

    def send(self, signal_number: int) -> None:
        if self.process is not None:
            guard.send({self.process.pid}, signal_number)

    def send_to_group(self, signal_number: int) -> None:
        if self.process is not None:
            try:
                os.killpg(self.process.pid, signal_number)
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


def worker(queue: str, processes: int, niceness: int) -> Part:
    """A Celery worker of one queue. Health comes from heartbeat rows, so its own chatter is switched off."""
    quiet = ["--without-gossip", "--without-mingle", "--without-heartbeat"]
    command = [sys.executable, "-m", "celery", "--quiet", "-A", "nvr", "worker", "-Q", queue]
    return Part(
        queue,
        [*command, "-n", f"{queue}@%h", "--concurrency", str(processes), *quiet],
        {"NVR_PROCESS": "worker", **QUIET},
        niceness=niceness,
        restart_at=time.monotonic() + HEAD_START_SECONDS,
    )


def installation(listener: int) -> list[Part]:
    """All parts of an installation on one machine; `listener` is the web server's listening descriptor."""
    gunicorn = [sys.executable, "-m", "gunicorn", "-c", "python:nvr.webserver.configuration"]
    beat = [sys.executable, "-m", "celery", "--quiet", "-A", "nvr", "beat", "--pidfile", ""]
    watcher = [sys.executable, "manage.py", "ingest"]
    soon = time.monotonic() + HEAD_START_SECONDS
    web = Part("web", [*gunicorn, "--bind", f"fd://{listener}", "nvr.wsgi"], {"NVR_PROCESS": "web"}, (listener,))
    return [
        web,
        worker("interactive", 2, niceness=0),
        worker("ingest", 2, niceness=5),  # a long video of one camera keeps no other waiting
        worker("bulk", 2, niceness=10),  # one of them may convert a video for half an hour
        Part("watcher", watcher, {"NVR_PROCESS": "watcher"}, niceness=5, restart_at=soon),
        Part("beat", beat, {"NVR_PROCESS": "beat"}, restart_at=soon),
    ]


def demo() -> Part:
    return Part("demo", [sys.executable, "manage.py", "demo"], {"NVR_PROCESS": "demo"}, niceness=10)
