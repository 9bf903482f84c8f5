"""The mtime of a file as an index stores it."""

from __future__ import annotations

import os


def mtime_ns_of(file_stat: os.stat_result) -> int:
    """Return the mtime in ns. Times after 2262 exceed SQLite's integers and wrap, which still detects changes."""
    return (file_stat.st_mtime_ns + 2**63) % 2**64 - 2**63
