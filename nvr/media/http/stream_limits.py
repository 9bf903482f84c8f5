"""Limit concurrent long responses, so that slow clients never occupy all web threads.

The limits apply to each web process: half of its threads may send bodies of 256 KiB and more or streams; one user
may use four of them for bodies of 8 MiB and more or for streams (an anonymous client, from 256 KiB on).
"""

from __future__ import annotations

import threading
from collections import Counter
from datetime import timedelta
from types import TracebackType

from django.conf import settings
from django.http import HttpRequest

from nvr.errors import Unavailable

LARGE_BYTES = 256 * 1024  # fits into the kernel's socket buffer: sent without waiting for the client
HUGE_BYTES = 8 * 1024 * 1024
SLOTS_PER_READER = 4
TIMEOUT = timedelta(seconds=0.25)  # long enough for a slot to become free among fast clients
RETRY_AFTER = 2  # seconds


class TooManyStreams(Unavailable):
    title = "Too many large responses are being sent: try again in a few seconds"

    def __init__(self, detail: str = "") -> None:
        super().__init__(detail, retry_after=RETRY_AFTER)


class StreamSlot:
    """A slot that is occupied until `close`; closing it again does nothing.

    A response that is replaced by an error is never closed: garbage collection releases its slot.
    """

    def __init__(self, slots: StreamSlots | None, reader: str | None) -> None:
        self._slots = slots
        self._reader = reader
        self._lock = threading.Lock()

    def close(self) -> None:
        with self._lock:
            slots, self._slots = self._slots, None
        if slots is not None:
            slots.release(self._reader)

    __del__ = close

    def __enter__(self) -> StreamSlot:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class StreamSlots:
    """`capacity` slots, of which a named reader may occupy at most `per_reader`."""

    def __init__(self, capacity: int, per_reader: int = SLOTS_PER_READER) -> None:
        self.capacity = capacity
        self.per_reader = per_reader
        self.taken = 0
        self.waiting = 0
        self.readers: Counter[str] = Counter()
        self._changed = threading.Condition()

    def take(self, reader: str | None = None, *, timeout: timedelta = TIMEOUT) -> StreamSlot:
        """Take a slot; raise `TooManyStreams` after `timeout`. Without `reader`, only the capacity counts.

        Waiting occupies a thread: if half as many requests wait as there are slots, further ones fail immediately.
        """
        with self._changed:
            if not self._has_room(reader):
                self._wait_for_room(reader, timeout)
            self.taken += 1
            if reader is not None:
                self.readers[reader] += 1
        return StreamSlot(self, reader)

    def _wait_for_room(self, reader: str | None, timeout: timedelta) -> None:
        if self.waiting >= max(1, self.capacity // 2):
            raise TooManyStreams
        self.waiting += 1
        try:
            if not self._changed.wait_for(lambda: self._has_room(reader), timeout.total_seconds()):
                raise TooManyStreams
        finally:
            self.waiting -= 1

    def _has_room(self, reader: str | None) -> bool:
        return self.taken < self.capacity and (reader is None or self.readers[reader] < self.per_reader)

    def release(self, reader: str | None) -> None:
        with self._changed:
            self.taken -= 1
            if reader is not None:
                self.readers -= Counter([reader])  # drops the name when it reaches zero
            self._changed.notify_all()


slots = StreamSlots(capacity=max(1, settings.NVR_WEB_THREADS // 2))


def take_stream_slot(request: HttpRequest, *, size: int | None) -> StreamSlot:
    """Take a slot for a body of `size` bytes (None: a stream of unknown length); small bodies are not counted.

    Close it when the response has been sent. Raises `TooManyStreams`.
    """
    if size is not None and size < LARGE_BYTES:
        return StreamSlot(None, None)
    user = getattr(request, "user", None)
    if user is not None and user.is_authenticated:
        counted = size is None or size >= HUGE_BYTES
        return slots.take(f"user {user.pk}" if counted else None)
    return slots.take(f"address {client_address(request)}")


def client_address(request: HttpRequest) -> str:
    """Return the client address from the proxy headers, if the middleware has set it, else that of the socket."""
    return str(getattr(request, "client_address", None) or request.META.get("REMOTE_ADDR", ""))
