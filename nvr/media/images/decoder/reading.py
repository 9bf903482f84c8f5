"""An open file that is read without moving the place at which others read it, and only so much of it."""

from __future__ import annotations

import io
import os


class PreadFile(io.RawIOBase):
    """The file behind a descriptor, which stays open; after `at_most` bytes in all it seems to end."""

    def __init__(self, descriptor: int, *, at_most: int | None = None) -> None:
        self.descriptor, self.place, self.left = descriptor, 0, at_most
        self.size = os.fstat(descriptor).st_size

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self.place, io.SEEK_END: self.size}[whence]
        if base + offset < 0:
            raise ValueError("negative place")
        self.place = base + offset
        return self.place

    def tell(self) -> int:
        return self.place

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        wanted = len(buffer) if self.left is None else min(len(buffer), self.left)
        data = os.pread(self.descriptor, wanted, self.place) if wanted else b""
        buffer[: len(data)] = data
        self.place += len(data)
        if self.left is not None:
            self.left -= len(data)
        return len(data)
