"""A client's socket that is patient with slow clients, but not for ever."""

from __future__ import annotations

import errno
import os
import select
import socket
import struct
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

SLOWEST_BYTES_PER_SECOND = 1024
SENDFILE_BLOCK = 8 * 2**20


class SlowClient(ConnectionResetError):
    """Nothing moved for the time limit, or so little that the client held the thread rather than used it."""

    def __init__(self) -> None:
        super().__init__(errno.ECONNRESET, "the client was too slow")


class PatientSocket(socket.socket):
    """Every wait ends after `limit` seconds; a request's waits together after `limit` and its bytes' time.

    Python's own `sendall` counts its time limit over the whole call, which would cut off a large answer to a
    client that reads steadily; here each byte that moves begins a new wait.
    """

    limit = 30.0

    @classmethod
    def adopt(cls, other: socket.socket, limit: float) -> PatientSocket:
        """Take over `other`'s descriptor; `other` is closed for its former owner."""
        adopted = cls(fileno=other.detach())
        adopted.limit = limit
        adopted.begin_request()
        adopted.setblocking(True)
        return adopted

    def begin_request(self) -> None:
        self.waited = 0.0
        self.moved_bytes = 0

    def setblocking(self, flag: bool, /) -> None:
        """gunicorn's word for "wait": here it means "wait, up to the limit"."""
        self.settimeout(self.limit if flag else 0.0)

    def recv(self, bufsize: int, flags: int = 0, /) -> bytes:
        self._wait(select.POLLIN)
        data = super().recv(bufsize, flags)
        self.moved_bytes += len(data)
        return data

    def sendall(self, data: Any, flags: int = 0, /) -> None:
        rest = memoryview(data).cast("B")
        while rest:
            self._wait(select.POLLOUT)
            sent = self.send(rest, flags)
            self.moved_bytes += sent
            rest = rest[sent:]

    def sendfile(self, file: Any, offset: int = 0, count: int | None = None) -> int:
        """Send `count` bytes (all, if None) from `offset` on without copying them; how many went out.

        The kernel waits for the client, not we: each return into Python would stand in line for the interpreter.
        """
        total = os.fstat(file.fileno()).st_size - offset if count is None else count
        sent = 0
        with self._kernel_waiting():
            while sent < total:
                moved = self._sendfile_block(file.fileno(), offset + sent, min(total - sent, SENDFILE_BLOCK))
                if moved == 0:  # the file has become shorter
                    break
                sent += moved
        return sent

    @contextmanager
    def _kernel_waiting(self) -> Iterator[None]:
        """Blocking for the kernel, which gives up on a block of 64 KiB that does not move within the limit."""
        timeout = self.gettimeout()
        seconds, fraction = divmod(self.limit, 1)
        self.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("ll", int(seconds), int(fraction * 1e6)))
        os.set_blocking(self.fileno(), True)
        try:
            yield
        finally:
            if self.fileno() >= 0:
                os.set_blocking(self.fileno(), False)
                self.settimeout(timeout)

    def _sendfile_block(self, source: int, offset: int, count: int) -> int:
        started = time.monotonic()
        try:
            moved = os.sendfile(self.fileno(), source, offset, count)
        except BlockingIOError as error:
            raise SlowClient from error
        self.waited += time.monotonic() - started
        self.moved_bytes += moved
        self._refuse_trickle()
        return moved

    def _wait(self, event: int) -> None:
        """Wait until the socket can move a byte (not if it is non-blocking); raises `SlowClient`."""
        timeout = self.gettimeout()
        if timeout == 0.0:
            return
        poll = select.poll()
        poll.register(self, event)
        started = time.monotonic()
        ready = poll.poll((self.limit if timeout is None else timeout) * 1000)
        self.waited += time.monotonic() - started
        if not ready:
            raise SlowClient
        self._refuse_trickle()

    def _refuse_trickle(self) -> None:
        if self.waited > self.limit + self.moved_bytes / SLOWEST_BYTES_PER_SECOND:
            raise SlowClient
