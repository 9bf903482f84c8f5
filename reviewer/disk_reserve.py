"""Room for the record of an emptying on a full disk, which is what the emptying would change.

A file of a few MiB is kept in the data directory. When the database has no room for a run, the file is given up, and
taken again when there is plenty.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final, TypeVar

from django.conf import settings
from django.db import OperationalError, connection

from nvr.api.errors import is_disk_full

ResultT = TypeVar("ResultT")
RESERVE_BYTES: Final = 4 << 20
PLENTY_BYTES: Final = 2 * RESERVE_BYTES
NO_ROOM_BYTES: Final = 64 << 10


def reserve() -> Path:
    folder: Path = settings.NVR_DATA_DIR / "review-index"
    return folder / "reserve"


def free_bytes() -> int:
    """On the data directory's disk."""
    return shutil.disk_usage(settings.NVR_DATA_DIR).free


def is_full() -> bool:
    try:
        return free_bytes() < NO_ROOM_BYTES
    except OSError:
        return False


def keep_room() -> None:
    """Take the reserve, if it is not there and there is plenty; nothing where the database is a server's."""
    file = reserve()
    part = file.with_suffix(".part")
    with suppress(OSError):
        if connection.vendor != "sqlite" or file.exists() or free_bytes() < PLENTY_BYTES:
            return
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with part.open("wb") as opened:
            os.posix_fallocate(opened.fileno(), 0, RESERVE_BYTES)
        part.replace(file)


def give_room() -> bool:
    """Whether there was a reserve to give up."""
    try:
        reserve().unlink()
    except OSError:
        return False
    return True


def with_room(write: Callable[[], ResultT]) -> ResultT:
    """What `write` answers; on a full disk once more, in the reserve's room."""
    try:
        return write()
    except OperationalError as error:
        if not (is_disk_full(error) and give_room()):
            raise
        return write()
