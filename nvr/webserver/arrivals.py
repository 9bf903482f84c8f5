"""A request that is still arriving: it has a buffer but no thread, so that a slow sender costs little."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

MAX_HEAD_BYTES = 64 * 1024
SMALL_BODY_BYTES = 64 * 1024
HEAD_END = b"\r\n\r\n"
CONTENT_LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*([0-9]{1,18})[ \t]*\r\n", re.IGNORECASE)
# A body of unknown length, or one that the client holds back until it hears "100 Continue".
STREAMED = re.compile(rb"\r\n(?:transfer-encoding|expect):", re.IGNORECASE)


@dataclass(eq=False)
class Arrival:
    """What has come so far on `conn`; `deadline` is in monotonic seconds."""

    conn: Any
    deadline: float
    data: bytearray = field(default_factory=bytearray)
    wanted: int | None = None
    is_large: bool = False

    def add(self, data: bytes) -> None:
        searched = max(0, len(self.data) - len(HEAD_END))
        self.data += data
        if self.wanted is None:
            end = self.data.find(HEAD_END, searched)
            if end >= 0:
                self._read_head(end + len(HEAD_END))

    def _read_head(self, length: int) -> None:
        head = bytes(self.data[:length])
        match = CONTENT_LENGTH.search(head)
        body = int(match[1]) if match else 0
        self.is_large = body > SMALL_BODY_BYTES or bool(STREAMED.search(head))
        self.wanted = length if self.is_large else length + body

    @property
    def is_complete(self) -> bool:
        """Whether a thread can take it: a small request whole, a large one with its head."""
        return self.wanted is not None and len(self.data) >= self.wanted

    @property
    def is_overlong(self) -> bool:
        return self.wanted is None and len(self.data) > MAX_HEAD_BYTES
