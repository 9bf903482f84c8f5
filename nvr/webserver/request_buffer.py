"""A request that is still arriving: it has a buffer but no thread, so that a slow sender costs little."""

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
# A body that cannot be delimited here, or one that the client holds back until it hears "100 Continue".
STREAMED = re.compile(rb"\r\n(?:transfer-encoding|expect):", re.IGNORECASE)


@dataclass(eq=False)
class Arrival:
    """What has come so far on `conn`; `deadline` is in monotonic seconds.

    `next_chunk` is where the next chunk of a body without length begins, while it may still prove to be small.
    """

    conn: Any
    deadline: float
    data: bytearray = field(default_factory=bytearray)
    wanted: int | None = None
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
        if self.next_chunk and self.wanted is None:
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
            self._leave_to_thread()
        else:
            self.wanted = length + body

    def _leave_to_thread(self) -> None:
        self.is_large, self.wanted = True, self.head_length

    def _read_chunks(self) -> None:
        """Find the end of the body; one that is larger, or no proper chunks, is left to a thread."""
        while (end := self.data.find(LINE_END, self.next_chunk)) >= 0:
            match = CHUNK_SIZE.fullmatch(bytes(self.data[self.next_chunk : end]))
            if match is None:
                return self._leave_to_thread()
            if int(match[1], 16) == 0:
                trailer = self.data.find(HEAD_END, end)  # the size's line may end the head of an empty trailer
                self.wanted = trailer + len(HEAD_END) if trailer >= 0 else None
                break
            self.next_chunk = end + len(LINE_END) + int(match[1], 16) + len(LINE_END)
        is_large = max(self.next_chunk, len(self.data)) > self.head_length + SMALL_BODY_BYTES
        is_no_line = end < 0 and len(self.data) > self.next_chunk + MAX_SIZE_LINE_BYTES
        if self.wanted is None and (is_large or is_no_line):
            self._leave_to_thread()
        return None

    @property
    def is_complete(self) -> bool:
        """Whether a thread can take it: a small request whole, a large one with its head."""
        return self.wanted is not None and len(self.data) >= self.wanted

    @property
    def is_overlong(self) -> bool:
        return not self.head_length and len(self.data) > MAX_HEAD_BYTES
