"""Streams the lines of a trash run to the client as the worker records them, until the client disconnects."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator
from typing import Any, Final

from reviewer.models import RunState, TrashLines, TrashRun
from reviewer.trash.messages import ERROR, done_line, line_of
from reviewer.trash.runs import NoWorker, cancel

WORKER_TIMEOUT_S: Final = 5.0
FAST_POLL_FOR_S: Final = 1.0  # poll faster for this time
FAST_POLL_INTERVAL_S: Final = 0.01
POLL_INTERVAL_S: Final = 0.05
MAX_BLOCKS: Final = 16  # blocks of lines to read at once


def wait_for_worker(run: TrashRun, client_left: Callable[[], bool]) -> None:
    """Wait until a worker has started the run, or the client has disconnected. Raises `NoWorker` after five seconds."""
    deadline = time.monotonic() + WORKER_TIMEOUT_S
    while run.state == RunState.WAITING:
        if client_left():
            cancel(run)
            return
        if time.monotonic() > deadline and run.finish(RunState.FAILED, "No worker started it.", state=RunState.WAITING):
            raise NoWorker
        time.sleep(FAST_POLL_INTERVAL_S)
        run.refresh_from_db(fields=["state"])


class Stream:
    """Yields lines; iterate it once. Closing it early cancels the run, because the client has disconnected."""

    def __init__(self, run: TrashRun, client_left: Callable[[], bool]) -> None:
        self.run, self.client_left, self.last_pk = run, client_left, 0

    def __iter__(self) -> Iterator[bytes]:
        started = time.monotonic()
        while not self.client_left():
            self.run.refresh_from_db(fields=["state"])
            is_over = self.run.is_over
            new_blocks = self.new_blocks()
            if new_blocks:
                yield b"".join(new_blocks)
            elif is_over:
                yield self.final_lines()
                return
            else:
                time.sleep(FAST_POLL_INTERVAL_S if time.monotonic() - started < FAST_POLL_FOR_S else POLL_INTERVAL_S)
        self.close()

    def new_blocks(self) -> list[bytes]:
        rows = TrashLines.objects.filter(run=self.run, pk__gt=self.last_pk).values_list("pk", "text")[:MAX_BLOCKS]
        texts = []
        for self.last_pk, text in rows:
            texts.append(text.encode())
        return texts

    def final_lines(self) -> bytes:
        self.run.refresh_from_db()
        done = done_line(deleted=self.run.deleted, errors=self.run.errors)
        if self.run.state != RunState.FAILED:
            return done
        path = self.run.path or next(iter(self.run.roots), "/")
        return line_of({"type": ERROR, "path": path, "message": self.run.reason}) + done

    def close(self) -> None:
        """Called by the server when the response is complete or the client has disconnected."""
        self.run.refresh_from_db(fields=["state"])
        if not self.run.is_over:
            cancel(self.run)


def disconnect_check(environ: dict[str, Any]) -> Callable[[], bool]:
    """Return a function that tests whether the client has disconnected; false if the server exposes no socket."""
    connection = environ.get("gunicorn.socket")
    return (lambda: is_disconnected(connection)) if isinstance(connection, socket.socket) else (lambda: False)


def is_disconnected(connection: socket.socket) -> bool:
    """Peek at the socket without consuming data or blocking, even if the server has replaced `recv`."""
    try:
        return socket.socket.recv(connection, 1, socket.MSG_PEEK | socket.MSG_DONTWAIT) == b""
    except BlockingIOError:
        return False
    except OSError:
        return True
