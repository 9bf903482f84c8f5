"""Preallocated files for queue messages, used when the disk is full.

A database on another disk still stores camera uploads, but only if the workers receive the messages.
"""

from __future__ import annotations

import errno
import os
import uuid
from contextlib import suppress
from pathlib import Path

ROOMS = 64  # at a time; workers consume messages within a second or two
ROOM_BYTES = 4096  # a message takes less than a quarter


class Reserve:
    """Preallocated files in `folder` that are overwritten in place, which needs no more disk space."""

    def __init__(self, folder: Path) -> None:
        self.rooms = [folder / f"{number}.room" for number in range(ROOMS)]

    def fill(self) -> None:
        """Create the missing files while there is disk space; a missing folder is not created."""
        with suppress(OSError):
            for room in self.rooms:
                if not room.exists():
                    make(room)

    def write(self, file: Path, unseen: Path, text: str) -> None:
        """Write the message to a preallocated file and rename it to `file`. Raises `OSError` if none is left."""
        data = text.encode().ljust(ROOM_BYTES)  # JSON ignores trailing blanks
        if len(data) > ROOM_BYTES or not self._claim(unseen):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        with unseen.open("r+b") as message:
            message.write(data)
        unseen.replace(file)

    def _claim(self, unseen: Path) -> bool:
        for room in self.rooms:
            with suppress(FileNotFoundError):
                room.rename(unseen)
                return True
        return False

    def release(self, message: Path) -> None:
        """Delete a message that has been read, or return its preallocated file to the reserve."""
        free = next((room for room in self.rooms if not room.exists()), None)
        if free is not None and message.stat().st_size == ROOM_BYTES:
            message.rename(free)
        else:
            message.unlink()


def make(room: Path) -> None:
    """Preallocate one file. Raises `OSError` and then leaves no partial file."""
    unseen = room.with_name(f"{uuid.uuid4()}.new")
    try:
        unseen.write_bytes(b" " * ROOM_BYTES)
        unseen.replace(room)
    except OSError:
        with suppress(OSError):
            unseen.unlink()
        raise
