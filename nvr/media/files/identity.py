"""The identity of a file and its content, to detect that the file was replaced or modified."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Self


@dataclass(frozen=True, slots=True)
class FileIdentity:
    """Equal for the same unchanged file of one file system.

    `str` is part of ETags, of the names of cached files and of URLs: if its format changes, clients and caches fetch
    everything again.
    """

    inode: int
    size_bytes: int
    mtime_ns: int

    @classmethod
    def of(cls, file_stat: os.stat_result) -> Self:
        return cls(file_stat.st_ino, file_stat.st_size, file_stat.st_mtime_ns)

    def __str__(self) -> str:
        return f"{self.inode:x}-{self.size_bytes:x}-{self.mtime_ns:x}"
