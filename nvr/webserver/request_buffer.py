"""A request that is still being received: it has a buffer but no thread, so that a slow client costs little."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

MAX_HEAD_BYTES = 64 * 1024
SMALL_BODY_BYTES = 64 * 1024
MAX_SIZE_LINE_BYTES = 1024  # of a chunk, with its extensions
HEAD_END = b"\r\n\r\n"
LINE_END = b"\r\n"
CONTENT_LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*([0-9]{1,18})[ \t]*\r\n", re.IGNORECASE)
CHUNKED = re.compile(rb"\r\ntransfer-encoding:[ \t]*chunked[ \t]*\r\n", re.IGNORECASE)
HAS_LENGTH = re.compile(rb"\r\ncontent-length:", re.IGNORECASE)
CHUNK_SIZE = re.compile(rb"([0-9a-f]{1,8})[ \t]*(?:;.*)?", re.IGNORECASE)
# A body whose end cannot be found here, or that the client sends only after "100 Continue".
STREAMED = re.compile(rb"\r\n(?:transfer-encoding|expect):", re.IGNORECASE)


@dataclass(eq=False)
class RequestBuffer:
    """The bytes received so far on `conn`; `deadline` is in monotonic seconds.

    `required` is the number of bytes after which a thread can take the request; None while it is unknown.
    `next_chunk` is the offset of the next chunk of a chunked body, while the body may still be small.
    """

    conn: Any
    deadline: float
    data: bytearray = field(default_factory=bytearray)
    required: int | None = None
    is_large: bool = False
    head_length: int = 0
    next_chunk: int = 0

    def add(self, data: bytes) -> None:
        searched = max(0, len(self.data) - len(HEAD_END))
        self.data += data
        if not self.head_length:
            end = self.data.find(HEAD_END, searched)
            if end < 0:
                return
            self._read_head(end + len(HEAD_END))
        if self.next_chunk and self.required is None:
            self._read_chunks()

    def _read_head(self, length: int) -> None:
        self.head_length = length
        head = bytes(self.data[:length])
        match = CONTENT_LENGTH.search(head)
        body = int(match[1]) if match else 0
        streamed = STREAMED.findall(head)
        if len(streamed) == 1 and CHUNKED.search(head) and not HAS_LENGTH.search(head):
            self.next_chunk = length
        elif streamed or body > SMALL_BODY_BYTES:
            self._defer_to_thread()
        else:
            self.required = length + body

    def _defer_to_thread(self) -> None:
        self.is_large, self.required = True, self.head_length

    def _read_chunks(self) -> None:
        """Find the end of the body; a large body or malformed chunks are left to a thread."""
        while (end := self.data.find(LINE_END, self.next_chunk)) >= 0:
            match = CHUNK_SIZE.fullmatch(bytes(self.data[self.next_chunk : end]))
            if match is None:
                return self._defer_to_thread()
            if int(match[1], 16) == 0:
                trailer = self.data.find(HEAD_END, end)  # with an empty trailer, the size line's end is part of it
                self.required = trailer + len(HEAD_END) if trailer >= 0 else None
                break
            self.next_chunk = end + len(LINE_END) + int(match[1], 16) + len(LINE_END)
        is_large = max(self.next_chunk, len(self.data)) > self.head_length + SMALL_BODY_BYTES
        is_no_line = end < 0 and len(self.data) > self.next_chunk + MAX_SIZE_LINE_BYTES
        if self.required is None and (is_large or is_no_line):
            self._defer_to_thread()
        return None

    @property
    def is_complete(self) -> bool:
        """Return whether a thread can take it: a complete small request, or the head of a large one."""
        return self.required is not None and len(self.data) >= self.required

    @property
    def is_overlong(self) -> bool:
        return not self.head_length and len(self.data) > MAX_HEAD_BYTES
