"""Keeps the parts running, passes on what they say, and ends all of them when it ends."""

from __future__ import annotations

import os
import selectors
import signal
import subprocess
import time
from collections.abc import Callable
from typing import IO, cast

from nvr.supervision.guard import DONE, end_marked, marked_processes
from nvr.supervision.processes import Part, start_guard

READ_BYTES = 64 * 1024
MAX_LINE_BYTES = 16 * 1024
IDLE_SECONDS = 5.0
# All within 15 s: first a request, then an order (Celery drops its task, whose row remembers it), then force.
STOP_STEPS = ((0.0, signal.SIGTERM), (9.0, signal.SIGQUIT), (12.0, signal.SIGKILL))


class Lines:
    """Splits what a part writes into lines."""

    def __init__(self, name: str, say: Callable[[str, str], None]) -> None:
        self.name = name
        self.say = say
        self.rest = b""

    def add(self, data: bytes) -> None:
        *lines, self.rest = (self.rest + data).split(b"\n")
        for line in lines:
            self._say(line)
        if len(self.rest) > MAX_LINE_BYTES:
            self.finish()

    def finish(self) -> None:
        self._say(self.rest)
        self.rest = b""

    def _say(self, line: bytes) -> None:
        text = line.decode(errors="replace").rstrip()
        if text:
            self.say(self.name, text)


class Supervisor:
    """Single-threaded: it starts processes, and a fork in a threaded process can deadlock.

    `say` is called with the name of a part and a line.
    """

    def __init__(self, parts: list[Part], mark: str, say: Callable[[str, str], None]) -> None:
        self.parts = parts
        self.mark = mark
        self.say = say
        self.stops_asked = 0
        self.selector = selectors.DefaultSelector()
        self.guard: subprocess.Popen[bytes] | None = None

    def run(self) -> None:
        """Returns after SIGTERM or SIGINT, when all parts have ended."""
        self._listen_to_signals()
        try:
            while not self.stops_asked:
                self._keep_guarded()
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
        for ending in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(ending, self._ask_to_stop)

    def _ask_to_stop(self, *_: object) -> None:
        self.stops_asked += 1

    def _keep_guarded(self) -> None:
        if self.guard is None or self.guard.poll() is not None:
            self.guard = start_guard(self.mark)

    def _start_due(self) -> None:
        now = time.monotonic()
        for part in self.parts:
            if part.restart_at is not None and part.restart_at <= now:
                output = cast(IO[bytes], part.start(self.mark).stdout)
                os.set_blocking(output.fileno(), False)
                self.selector.register(output, selectors.EVENT_READ, Lines(part.name, self.say))

    def _until_next_start(self) -> float:
        due = [part.restart_at for part in self.parts if part.restart_at is not None]
        return max(0.0, min([*due, time.monotonic() + IDLE_SECONDS]) - time.monotonic())

    def _wait(self, seconds: float) -> None:
        """Until something is said, a signal comes, or `seconds` have gone."""
        for key, _ in self.selector.select(seconds):
            if isinstance(key.data, Lines):
                self._pass_on(cast(IO[bytes], key.fileobj), key.data)
            else:
                os.read(key.fd, 1024)

    def _pass_on(self, output: IO[bytes], lines: Lines) -> None:
        try:
            data = os.read(output.fileno(), READ_BYTES)
        except BlockingIOError:
            return
        if data:
            lines.add(data)
            return
        lines.finish()
        self.selector.unregister(output)
        output.close()

    def _restart_ended(self) -> None:
        for part in self.parts:
            status = part.ended()
            if status is not None:
                pause = part.schedule_restart()
                self.say("supervisor", f"{part.name} {how_it_ended(status)}; starting it again in {pause} s")

    def _stop(self) -> None:
        self.say("supervisor", "stopping")
        started, asked = time.monotonic(), self.stops_asked
        steps = list(STOP_STEPS)
        while any(part.process for part in self.parts):
            if self.stops_asked > asked:  # asked again: no more timeout
                steps = [(0.0, signal.SIGKILL)]
                asked = self.stops_asked
            while steps and steps[0][0] <= time.monotonic() - started:
                self._send(steps.pop(0)[1])
            self._wait(0.2)
            for part in self.parts:
                part.ended()
        self._end_the_rest()
        self.say("supervisor", "stopped")

    def _send(self, signal_number: int) -> None:
        for part in self.parts:
            if signal_number == signal.SIGKILL:
                part.send_to_group(signal_number)
            else:
                part.send(signal_number)

    def _end_the_rest(self) -> None:
        """What a part had started in a session of its own, and the guard, which is not needed any more."""
        if marked_processes(self.mark):
            end_marked(self.mark, timeout=1.0)
        if self.guard is not None and self.guard.stdin is not None:
            try:
                self.guard.communicate(DONE, timeout=2)
            except (BrokenPipeError, subprocess.TimeoutExpired):
                self.guard.kill()


def how_it_ended(status: int) -> str:
    """`status` as `subprocess` gives it: negative for a signal."""
    if status >= 0:
        return f"ended with status {status}"
    return f"was ended by {signal.Signals(-status).name}"
