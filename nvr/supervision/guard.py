"""Ends what a killed supervisor left running: `python guard.py MARK`, its input a pipe from the supervisor.

All parts, and whatever they start in sessions of their own (ffmpeg), carry `NVR_UP=<mark>` in their
environment. The pipe closes when the supervisor ends, however that happens. Standard library only: small.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
from pathlib import Path

VARIABLE = "NVR_UP"
DONE = b"done"
TIMEOUT_SECONDS = 10.0


def marked_processes(mark: str) -> set[int]:
    """The ids of all processes that carry `mark`, except this one."""
    wanted = f"{VARIABLE}={mark}".encode()
    found = set()
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it has ended, or is not ours
            if wanted in (folder / "environ").read_bytes().split(b"\0"):
                found.add(int(folder.name))
    return found - {os.getpid()}


def send(processes: set[int], signal_number: int) -> None:
    for process in processes:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(process, signal_number)


def end_marked(mark: str, *, timeout: float = TIMEOUT_SECONDS) -> int:
    """Ask all that carry `mark` to end; after `timeout` seconds, end them. How many there were."""
    processes = marked_processes(mark)
    send(processes, signal.SIGTERM)
    deadline = time.monotonic() + timeout
    while (rest := marked_processes(mark)) and time.monotonic() < deadline + TIMEOUT_SECONDS:
        if time.monotonic() >= deadline:
            send(rest, signal.SIGKILL)
        time.sleep(0.1)
    return len(processes)


def main(mark: str) -> None:
    for ignored in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(ignored, signal.SIG_IGN)
    if sys.stdin.buffer.read() != DONE:
        end_marked(mark)


if __name__ == "__main__":
    main(sys.argv[1])
