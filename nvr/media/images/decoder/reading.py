"""Read an open file without changing its position, up to a maximum number of bytes."""

from __future__ import annotations

import io
import os


class PreadFile(io.RawIOBase):
    """The file of a descriptor, which stays open; reports its end after `max_bytes` bytes in total."""

    def __init__(self, descriptor: int, *, max_bytes: int | None = None) -> None:
        self.descriptor, self.position, self.remaining = descriptor, 0, max_bytes
        self.size = os.fstat(descriptor).st_size

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self.position, io.SEEK_END: self.size}[whence]
        if base + offset < 0:
            raise ValueError("negative position")
        self.position = base + offset
        return self.position

    def tell(self) -> int:
        return self.position

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        length = len(buffer) if self.remaining is None else min(len(buffer), self.remaining)
        data = os.pread(self.descriptor, length, self.position) if length else b""
        buffer[: len(data)] = data
        self.position += len(data)
        if self.remaining is not None:
            self.remaining -= len(data)
        return len(data)
