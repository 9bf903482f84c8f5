"""Keeps the processes running, forwards their output, and ends all of them when it ends."""

from __future__ import annotations

import os
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Callable

from nvr.supervision.guard import DONE, end_marked, marked_processes, start_guard
from nvr.supervision.processes import Process

READ_BYTES = 64 * 1024
MAX_LINE_BYTES = 16 * 1024
IDLE_SECONDS = 5.0
# All within 15 s: a graceful stop, a quick stop (Celery drops its task, whose row is retried later), then SIGKILL.
STOP_STEPS = ((0.0, signal.SIGTERM), (9.0, signal.SIGQUIT), (12.0, signal.SIGKILL))


def print_line(name: str, line: str) -> None:
    sys.stdout.write(f"{name:<11} | {line}\n")
    sys.stdout.flush()


class Lines:
    """Splits the output of a process into lines."""

    def __init__(self, name: str, print_line: Callable[[str, str], None]) -> None:
        self.name = name
        self.print_line = print_line
        self.rest = b""

    def add(self, data: bytes) -> None:
        *lines, self.rest = (self.rest + data).split(b"\n")
        for line in lines:
            self._print(line)
        if len(self.rest) > MAX_LINE_BYTES:
            self.finish()

    def finish(self) -> None:
        self._print(self.rest)
        self.rest = b""

    def _print(self, line: bytes) -> None:
        text = line.decode(errors="replace").rstrip()
        if text:
            self.print_line(self.name, text)


class Supervisor:
    """Single-threaded: it forks processes, and a fork in a threaded process can deadlock.

    `print_line` is called with the name of a process and one line of its output.
    """

    def __init__(self, processes: list[Process], mark: str, print_line: Callable[[str, str], None]) -> None:
        self.processes = processes
        self.mark = mark
        self.print_line = print_line
        self.stop_requests = 0
        self.selector = selectors.DefaultSelector()
        self.guard: subprocess.Popen[bytes] | None = None

    def run(self) -> None:
        """Run until SIGTERM or SIGINT; return when all processes have ended."""
        self._listen_to_signals()
        try:
            while not self.stop_requests:
                self._ensure_guard()
                self._start_due()
                self._wait(self._until_next_start())
                self._restart_ended()
        finally:
            self._stop()

    def _listen_to_signals(self) -> None:
        reader, writer = os.pipe()
        os.set_blocking(reader, False)
        os.set_blocking(writer, False)
        self.selector.register(reader, selectors.EVENT_READ)
        signal.set_wakeup_fd(writer)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, self._request_stop)

    def _request_stop(self, *_: object) -> None:
        self.stop_requests += 1

    def _ensure_guard(self) -> None:
        if self.guard is None or self.guard.poll() is not None:
            self.guard = start_guard(self.mark)

    def _start_due(self) -> None:
        now = time.monotonic()
        for process in self.processes:
            if process.restart_at is not None and process.restart_at <= now:
                output = process.start()
                os.set_blocking(output, False)
                self.selector.register(output, selectors.EVENT_READ, Lines(process.name, self.print_line))

    def _until_next_start(self) -> float:
        due = [process.restart_at for process in self.processes if process.restart_at is not None]
        return max(0.0, min([*due, time.monotonic() + IDLE_SECONDS]) - time.monotonic())

    def _wait(self, seconds: float) -> None:
        """Wait for output, a signal, or at most `seconds`."""
        for key, _ in self.selector.select(seconds):
            if isinstance(key.data, Lines):
                self._forward(key.fd, key.data)
            else:
                os.read(key.fd, 1024)

    def _forward(self, output: int, lines: Lines) -> None:
        try:
            data = os.read(output, READ_BYTES)
        except BlockingIOError:
            return
        if data:
            lines.add(data)
            return
        lines.finish()
        self.selector.unregister(output)
        os.close(output)

    def _restart_ended(self) -> None:
        for process in self.processes:
            status = process.ended()
            if status is not None:
                pause = process.schedule_restart()
                self.print_line("supervisor", f"{process.name} {describe_exit(status)}; restarting in {pause} s")

    def _stop(self) -> None:
        self.print_line("supervisor", "stopping")
        started, seen_requests = time.monotonic(), self.stop_requests
        steps = list(STOP_STEPS)
        while any(process.pid for process in self.processes):
            if self.stop_requests > seen_requests:  # a second request: stop at once
                steps = [(0.0, signal.SIGKILL)]
                seen_requests = self.stop_requests
            while steps and steps[0][0] <= time.monotonic() - started:
                self._send(steps.pop(0)[1])
            self._wait(0.2)
            for process in self.processes:
                process.ended()
        self._end_leftovers()
        self.print_line("supervisor", "stopped")

    def _send(self, signal_number: int) -> None:
        for process in self.processes:
            if signal_number == signal.SIGKILL:
                process.send_to_group(signal_number)
            else:
                process.send(signal_number)

    def _end_leftovers(self) -> None:
        """End processes that were started in separate sessions, and the guard, which is no longer needed."""
        if marked_processes(self.mark):
            end_marked(self.mark, timeout=1.0)
        if self.guard is not None and self.guard.stdin is not None:
            try:
                self.guard.communicate(DONE, timeout=2)
            except (BrokenPipeError, subprocess.TimeoutExpired):
                self.guard.kill()


def describe_exit(status: int) -> str:
    """Describe the exit `status` of a process, which is negative for a signal."""
    if status >= 0:
        return f"ended with status {status}"
    return f"was ended by {signal.Signals(-status).name}"
