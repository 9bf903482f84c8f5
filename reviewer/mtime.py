"""When a file was last changed, as an index keeps it."""

from __future__ import annotations

import os


def stamp_of(facts: os.stat_result) -> int:
    """The mtime in ns. What SQLite cannot hold (after 2262) is another number, which tells of a change as well."""
    return (facts.st_mtime_ns + 2**63) % 2**64 - 2**63
