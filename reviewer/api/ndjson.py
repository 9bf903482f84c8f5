"""Streaming NDJSON responses. Long ones occupy a stream slot, so that slow clients cannot block all web threads."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from django.http import HttpRequest, StreamingHttpResponse

from nvr.media.http.stream_limits import StreamSlot, take_stream_slot

CONTENT_TYPE: Final = "application/x-ndjson"


class LinesWithSlot:
    """Lines that occupy a slot until the response is complete or the client has disconnected."""

    def __init__(self, lines: Iterable[bytes], slot: StreamSlot) -> None:
        self.lines, self.slot = lines, slot

    def __iter__(self) -> Iterator[bytes]:
        return iter(self.lines)

    def close(self) -> None:
        self.slot.close()


def ndjson(lines: Iterable[bytes]) -> StreamingHttpResponse:
    response = StreamingHttpResponse(lines, content_type=CONTENT_TYPE)
    response["X-Accel-Buffering"] = "no"  # otherwise nginx collects lines before it sends them
    return response


def long_ndjson(request: HttpRequest, lines: Iterable[bytes], *, size: int | None = None) -> StreamingHttpResponse:
    """Return a response of about `size` bytes; None if unknown. Raises `TooManyStreams`."""
    return ndjson(LinesWithSlot(lines, take_stream_slot(request, size=size)))
