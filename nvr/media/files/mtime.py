"""Modification times of files: how exact they are, how far clocks may differ, and how the database stores them."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

# The coarsest step of a file system's timestamps (FAT): a second change within it may leave the same mtime.
MTIME_GRANULARITY_NS: Final = 2_000_000_000
MAX_CLOCK_DIFFERENCE: Final = timedelta(minutes=10)  # a file time that is further ahead means that a clock is wrong


def stored_mtime_ns(mtime_ns: int) -> int:
    """Return the mtime as a database column of 64 bits holds it.

    After the year 2262 it wraps around, and still differs after each change.
    """
    return (mtime_ns + 2**63) % 2**64 - 2**63
