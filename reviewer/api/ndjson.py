"""Answers of one JSON object per line, which may go on for long: slow readers hold no more threads than they may."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from django.http import HttpRequest, StreamingHttpResponse

from nvr.media.http.stream_limits import StreamSlot, take_stream_slot

CONTENT_TYPE: Final = "application/x-ndjson"


class Held:
    """Lines that hold a slot until the answer is through, or its client has left."""

    def __init__(self, lines: Iterable[bytes], slot: StreamSlot) -> None:
        self.lines, self.slot = lines, slot

    def __iter__(self) -> Iterator[bytes]:
        return iter(self.lines)

    def close(self) -> None:
        self.slot.close()


def ndjson(lines: Iterable[bytes]) -> StreamingHttpResponse:
    response = StreamingHttpResponse(lines, content_type=CONTENT_TYPE)
    response["X-Accel-Buffering"] = "no"
    return response


def long_ndjson(request: HttpRequest, lines: Iterable[bytes], *, size: int | None = None) -> StreamingHttpResponse:
    """The same for an answer of about `size` bytes, None if nobody knows. Raises `TooManyStreams`."""
    return ndjson(Held(lines, take_stream_slot(request, size=size)))
