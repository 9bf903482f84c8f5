"""What the client of an emptying gets: the lines as the worker records them, while the client is there."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator
from typing import Any, Final

from reviewer.models import RunState, TrashLines, TrashRun
from reviewer.trash.messages import ERROR, done_line, line_of
from reviewer.trash.runs import NoWorker, cancel, end

TAKEN_WITHIN_S: Final = 5.0
EAGER_S: Final = 1.0  # for which it is looked often
EAGER_PAUSE_S: Final = 0.01
PAUSE_S: Final = 0.05
BLOCKS: Final = 16  # of lines, read at once


def wait_for_worker(run: TrashRun, is_gone: Callable[[], bool]) -> None:
    """Until a worker has taken the run, or the client has left. Raises `NoWorker` after five seconds."""
    deadline = time.monotonic() + TAKEN_WITHIN_S
    while run.state == RunState.WAITING:
        if is_gone():
            cancel(run)
            return
        if time.monotonic() > deadline and end(run, RunState.FAILED, "No worker took it up.", state=RunState.WAITING):
            raise NoWorker
        time.sleep(EAGER_PAUSE_S)
        run.refresh_from_db(fields=["state"])


class Stream:
    """To be iterated once. Closed before its end, it cancels the run: whoever asked has left."""

    def __init__(self, run: TrashRun, is_gone: Callable[[], bool]) -> None:
        self.run, self.is_gone, self.last = run, is_gone, 0

    def __iter__(self) -> Iterator[bytes]:
        started = time.monotonic()
        while not self.is_gone():
            self.run.refresh_from_db(fields=["state"])
            over = self.run.is_over
            blocks = self.blocks()
            if blocks:
                yield b"".join(blocks)
            elif over:
                yield self.ending()
                return
            else:
                time.sleep(EAGER_PAUSE_S if time.monotonic() - started < EAGER_S else PAUSE_S)
        self.close()

    def blocks(self) -> list[bytes]:
        found = TrashLines.objects.filter(run=self.run, pk__gt=self.last).values_list("pk", "text")[:BLOCKS]
        texts = []
        for self.last, text in found:
            texts.append(text.encode())
        return texts

    def ending(self) -> bytes:
        self.run.refresh_from_db()
        done = done_line(deleted=self.run.deleted, errors=self.run.errors)
        if self.run.state != RunState.FAILED:
            return done
        place = self.run.path or next(iter(self.run.roots), "/")
        return line_of({"type": ERROR, "path": place, "message": self.run.reason}) + done

    def close(self) -> None:
        """The server calls it when the answer is through, or the client has left."""
        self.run.refresh_from_db(fields=["state"])
        if not self.run.is_over:
            cancel(self.run)


def departure_of(environ: dict[str, Any]) -> Callable[[], bool]:
    """Whether the request's client has closed its end; where the server shows no socket nobody knows."""
    connection = environ.get("gunicorn.socket")
    return (lambda: has_left(connection)) if isinstance(connection, socket.socket) else (lambda: False)


def has_left(connection: socket.socket) -> bool:
    """A look that takes nothing and never waits, whatever the server made of `recv`."""
    try:
        return socket.socket.recv(connection, 1, socket.MSG_PEEK | socket.MSG_DONTWAIT) == b""
    except BlockingIOError:
        return False
    except OSError:
        return True
