"""A client's socket with a timeout per wait and a minimum transfer rate per request."""

from __future__ import annotations

import errno
import os
import select
import socket
import time
from collections.abc import Callable
from typing import Any

MIN_BYTES_PER_SECOND = 1024
SMALL_BODY = 16 * 1024  # bytes; cheaper to append to the head than to send separately


class SlowClient(ConnectionResetError):
    """The client transferred nothing within the time limit, or was slower than `MIN_BYTES_PER_SECOND`."""

    def __init__(self) -> None:
        super().__init__(errno.ECONNRESET, "the client was too slow")


class TimeoutSocket(socket.socket):
    """Each wait is limited to `limit` seconds; all waits of a request to `limit` plus the time for its bytes.

    Python's own `sendall` applies its timeout to the whole call, which would cut off a large response to a
    client that reads steadily; here the timeout restarts with each byte transferred.

    The descriptor is always non-blocking. Blocking mode is an attribute, since changing it must not cost a system
    call: gunicorn changes it several times per request.
    """

    limit = 30.0
    timeout = limit

    @classmethod
    def adopt(cls, other: socket.socket, limit: float) -> TimeoutSocket:
        """Return a socket with the descriptor of `other`, which is detached."""
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
        """Set blocking mode, in which calls wait up to the limit."""
        self.timeout = self.limit if flag else 0.0

    def settimeout(self, value: float | None, /) -> None:
        self.timeout = self.limit if value is None else value

    def gettimeout(self) -> float:
        return self.timeout

    def recv(self, bufsize: int, flags: int = 0, /) -> bytes:
        data: bytes = self._when_ready(select.POLLIN, super().recv, bufsize, flags)
        self.moved_bytes += len(data)
        return data

    def is_readable(self, seconds: float) -> bool:
        """Return whether data or the end of the stream arrives within `seconds`."""
        poll = select.poll()
        poll.register(self, select.POLLIN)
        return bool(poll.poll(seconds * 1000))

    def sendall(self, data: Any, flags: int = 0, /) -> None:
        """Send `data`; the first call of a request, the response head, is held and sent with the next one.

        The caller must call `flush` at the end, for responses without a body.
        """
        if self._head is None:
            self._head = bytes(data)
        elif len(data) <= SMALL_BODY:
            self._send_rest(self._take_head() + data, flags)
        else:
            self.flush(socket.MSG_MORE)
            self._send_rest(data, flags)

    def flush(self, flags: int = 0) -> None:
        self._send_rest(self._take_head(), flags)

    def _take_head(self) -> bytes:
        head, self._head = self._head, b""
        return head or b""

    def _send_rest(self, data: Any, flags: int) -> None:
        rest = memoryview(data).cast("B")
        while rest:
            sent: int = self._when_ready(select.POLLOUT, self.send, rest, flags)
            self.moved_bytes += sent
            rest = rest[sent:]

    def sendfile(self, file: Any, offset: int = 0, count: int | None = None) -> int:
        """Send `count` bytes (all, if None) from `offset` with kernel sendfile; return how many were sent."""
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
        """Retry `call` until it does not block; raises `BlockingIOError` if the timeout is 0, `SlowClient` after it."""
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
        if self.waited > self.limit + self.moved_bytes / MIN_BYTES_PER_SECOND:
            raise SlowClient
