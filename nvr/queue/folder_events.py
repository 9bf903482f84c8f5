"""New files in a folder, reported by the kernel (inotify) on a descriptor that an event loop can wait for."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterable
from pathlib import Path

IN_MOVED_TO = 0x80
READ_BYTES = 64 * 1024


class FolderEvents:
    """Files that are renamed into `folder`. Raises `OSError` if the system has no more watches."""

    def __init__(self, folder: Path) -> None:
        libc = ctypes.CDLL(None, use_errno=True)
        self._descriptor: int = libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        if self._descriptor < 0:
            raise OSError(ctypes.get_errno(), "inotify is not available")
        if libc.inotify_add_watch(self._descriptor, os.fsencode(folder), IN_MOVED_TO) < 0:
            error = ctypes.get_errno()
            self.close()
            raise OSError(error, os.strerror(error))

    def fileno(self) -> int:
        return self._descriptor

    def close(self) -> None:
        os.close(self._descriptor)

    def have_name_ending_with(self, endings: Iterable[str]) -> bool:
        """Return whether a file with one of the `endings` is new since the last call."""
        try:
            data = os.read(self._descriptor, READ_BYTES)
        except BlockingIOError:
            return False
        return any(os.fsencode(ending) + b"\0" in data for ending in endings)  # a NUL follows each name
