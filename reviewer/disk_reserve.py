"""Disk space for recording a trash run when the disk is full, so that the run can free space.

The data directory contains a reserve file of a few MiB. If the database has no space to record a run, the reserve is
released. It is allocated again when enough space is free.
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
MIN_FREE_BYTES: Final = 2 * RESERVE_BYTES
FULL_BELOW_BYTES: Final = 64 << 10


def reserve_file() -> Path:
    folder: Path = settings.NVR_DATA_DIR / "review-index"
    return folder / "reserve"


def free_bytes() -> int:
    """Return the free space on the disk of the data directory."""
    return shutil.disk_usage(settings.NVR_DATA_DIR).free


def is_full() -> bool:
    try:
        return free_bytes() < FULL_BELOW_BYTES
    except OSError:
        return False


def allocate_reserve() -> None:
    """Create the reserve file if it is missing and enough space is free. Only needed for SQLite."""
    file = reserve_file()
    part = file.with_suffix(".part")
    with suppress(OSError):
        if connection.vendor != "sqlite" or file.exists() or free_bytes() < MIN_FREE_BYTES:
            return
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with part.open("wb") as opened:
            # Allocates the blocks: deleting a sparse file would free no space.
            os.posix_fallocate(opened.fileno(), 0, RESERVE_BYTES)
        part.replace(file)


def release_reserve() -> bool:
    """Delete the reserve file. Return whether it existed."""
    try:
        reserve_file().unlink()
    except OSError:
        return False
    return True


def with_reserve(write: Callable[[], ResultT]) -> ResultT:
    """Return the result of `write`. If the disk is full, release the reserve and retry once."""
    try:
        return write()
    except OperationalError as error:
        if not (is_disk_full(error) and release_reserve()):
            raise
        return write()
