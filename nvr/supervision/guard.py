"""Ends the processes that a killed supervisor left running: `python guard.py MARK`, stdin is a pipe from it.

All processes of the installation, and those that they start in separate sessions (ffmpeg), have `NVR_UP=<mark>`
in the environment of their program. The pipe closes when the supervisor ends, for whatever reason. Uses only the
standard library to stay small.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

VARIABLE = "NVR_UP"
DONE = b"done"
TIMEOUT_SECONDS = 10.0


def marked_processes(mark: str) -> set[int]:
    """Return the ids of all processes with `mark` in their environment, except this one."""
    entry = f"{VARIABLE}={mark}".encode()
    found = set()
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # the process has ended or belongs to another user
            if entry in (folder / "environ").read_bytes().split(b"\0"):
                found.add(int(folder.name))
    return found - {os.getpid()}


def send(processes: set[int], signal_number: int) -> None:
    for process in processes:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(process, signal_number)


def end_marked(mark: str, *, timeout: float = TIMEOUT_SECONDS) -> int:
    """Send SIGTERM to all processes with `mark`, and SIGKILL after `timeout` seconds; return how many there were."""
    processes = marked_processes(mark)
    send(processes, signal.SIGTERM)
    deadline = time.monotonic() + timeout
    while (rest := marked_processes(mark)) and time.monotonic() < deadline + TIMEOUT_SECONDS:
        if time.monotonic() >= deadline:
            send(rest, signal.SIGKILL)
        time.sleep(0.1)
    return len(processes)


def start_guard(mark: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(  # noqa: S603 - our own arguments
        [sys.executable, "-I", "-S", __file__, mark],
        env={name: value for name, value in os.environ.items() if name != VARIABLE},
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def main(mark: str) -> None:
    for ignored in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(ignored, signal.SIG_IGN)
    if sys.stdin.buffer.read() != DONE:
        end_marked(mark)


if __name__ == "__main__":
    main(sys.argv[1])
