"""A client's socket that is patient with slow clients, but not for ever."""

from __future__ import annotations

import errno
import os
import select
import socket
import time
from collections.abc import Callable
from typing import Any

SLOWEST_BYTES_PER_SECOND = 1024
SMALL_BODY = 16 * 1024  # bytes; cheaper to copy behind the head than to send apart


class SlowClient(ConnectionResetError):
    """Nothing moved for the time limit, or so little that the client held the thread rather than used it."""

    def __init__(self) -> None:
        super().__init__(errno.ECONNRESET, "the client was too slow")


class TimeoutSocket(socket.socket):
    """Every wait ends after `limit` seconds; a request's waits together after `limit` and its bytes' time.

    Python's own `sendall` counts its time limit over the whole call, which would cut off a large answer to a
    client that reads steadily; here each byte that moves begins a new wait.

    The descriptor itself never blocks; whether a call waits is ours to say, and costs no system call to change:
    gunicorn does so several times a request.
    """

    limit = 30.0
    timeout = limit

    @classmethod
    def adopt(cls, other: socket.socket, limit: float) -> TimeoutSocket:
        """Take over `other`'s descriptor; `other` is closed for its former owner."""
        adopted = cls(fileno=other.detach())
        adopted.limit = adopted.timeout = limit
        adopted.begin_request()
        socket.socket.settimeout(adopted, 0.0)
        return adopted

    def begin_request(self) -> None:
        self.waited = 0.0
        self.moved_bytes = 0
        self._head: bytes | None = None

    def setblocking(self, flag: bool, /) -> None:
        """gunicorn's word for "wait": here it means "wait, up to the limit"."""
        self.timeout = self.limit if flag else 0.0

    def settimeout(self, value: float | None, /) -> None:
        self.timeout = self.limit if value is None else value

    def gettimeout(self) -> float:
        return self.timeout

    def recv(self, bufsize: int, flags: int = 0, /) -> bytes:
        data: bytes = self._when_ready(select.POLLIN, super().recv, bufsize, flags)
        self.moved_bytes += len(data)
        return data

    def has_come(self, seconds: float) -> bool:
        """Whether there is something to read, or the end, at the latest after `seconds`."""
        poll = select.poll()
        poll.register(self, select.POLLIN)
        return bool(poll.poll(seconds * 1000))

    def sendall(self, data: Any, flags: int = 0, /) -> None:
        """The first of a request is the answer's head: it leaves with what follows, in as few packets as can be.

        Whoever answers calls `flush` at the end, for answers that are nothing but a head.
        """
        if self._head is None:
            self._head = bytes(data)
        elif len(data) <= SMALL_BODY:
            self._send_rest(self._taken_head() + data, flags)
        else:
            self.flush(socket.MSG_MORE)
            self._send_rest(data, flags)

    def flush(self, flags: int = 0) -> None:
        self._send_rest(self._taken_head(), flags)

    def _taken_head(self) -> bytes:
        head, self._head = self._head, b""
        return head or b""

    def _send_rest(self, data: Any, flags: int) -> None:
        rest = memoryview(data).cast("B")
        while rest:
            sent: int = self._when_ready(select.POLLOUT, self.send, rest, flags)
            self.moved_bytes += sent
            rest = rest[sent:]

    def sendfile(self, file: Any, offset: int = 0, count: int | None = None) -> int:
        """Send `count` bytes (all, if None) from `offset` on without copying them; how many went out."""
        self.flush(socket.MSG_MORE)
        total = os.fstat(file.fileno()).st_size - offset if count is None else count
        sent = 0
        while sent < total:
            moved: int = self._when_ready(
                select.POLLOUT, os.sendfile, self.fileno(), file.fileno(), offset + sent, total - sent
            )
            self.moved_bytes += moved
            if moved == 0:  # the file has become shorter
                break
            sent += moved
        return sent

    def _when_ready(self, event: int, call: Callable[..., Any], *arguments: Any) -> Any:
        """`call` as soon as it need not wait; raises `BlockingIOError` without timeout, else `SlowClient`."""
        while True:
            try:
                return call(*arguments)
            except BlockingIOError:
                if self.timeout == 0.0:
                    raise
                self._wait(event)

    def _wait(self, event: int) -> None:
        poll = select.poll()
        poll.register(self, event)
        started = time.monotonic()
        if not poll.poll(self.timeout * 1000):
            raise SlowClient
        self._waited_since(started)

    def _waited_since(self, started: float) -> None:
        self.waited += time.monotonic() - started
        if self.waited > self.limit + self.moved_bytes / SLOWEST_BYTES_PER_SECOND:
            raise SlowClient
