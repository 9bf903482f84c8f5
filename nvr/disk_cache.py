"""The embedded cache: diskcache, shared by all processes of one machine, its connections kept open."""

from __future__ import annotations

from typing import Any

from diskcache import DjangoCache


class DiskCache(DjangoCache):
    """Django closes every cache at the end of each request; opening SQLite anew costs more than most requests.

    A connection belongs to its thread (and process), and ends with it.
    """

    def close(self, **kwargs: Any) -> None:
        """Keep what the next request needs."""
