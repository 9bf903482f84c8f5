"""Room for messages on a full disk: taken while there is some, and used when there is no other.

A database elsewhere still takes what cameras deliver, but only if the workers hear of it.
"""

from __future__ import annotations

import errno
import os
import uuid
from contextlib import suppress
from pathlib import Path

ROOMS = 64  # at a time; workers take what is sent within a second or two
ROOM_BYTES = 4096  # a message takes less than a quarter


class Reserve:
    """Files in `folder` that are written over in place, which needs no more of the disk than they have."""

    def __init__(self, folder: Path) -> None:
        self.rooms = [folder / f"{number}.room" for number in range(ROOMS)]

    def fill(self) -> None:
        """Make those that are missing, as far as there is room; a folder that is away stays away."""
        with suppress(OSError):
            for room in self.rooms:
                if not room.exists():
                    make(room)

    def write(self, file: Path, unseen: Path, text: str) -> None:
        """Put the message in a room that becomes `file`, by way of `unseen`. Raises `OSError` if there is none."""
        data = text.encode().ljust(ROOM_BYTES)  # blanks after it are nothing to JSON
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

    def take_back(self, message: Path) -> None:
        """Remove a message that has been read, or make it a room again if it was one."""
        free = next((room for room in self.rooms if not room.exists()), None)
        if free is not None and message.stat().st_size == ROOM_BYTES:
            message.rename(free)
        else:
            message.unlink()


def make(room: Path) -> None:
    """Raises `OSError`, and then leaves nothing behind."""
    unseen = room.with_name(f"{uuid.uuid4()}.new")
    try:
        unseen.write_bytes(b" " * ROOM_BYTES)
        unseen.replace(room)
    except OSError:
        with suppress(OSError):
            unseen.unlink()
        raise
