"""How far the reading of a folder is, for those who wait for it: kept in the cache, as any process may be at it."""

from __future__ import annotations

import hashlib
import os
import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import Final

from django.core.cache import cache

from nvr.api.counters import CACHE_FAULTS

QUIET_S: Final = 0.4  # what is read in less is not worth telling
SHOWN_FOR_S: Final = 5  # after the last word: whoever read has died, or has long been done


@dataclass(frozen=True)
class Reading:
    """How many have been read so far."""

    folders: int = 0
    files: int = 0


class Progress:
    """Of the reading of one review path; tells it a few times a second, and when it is over (0, 0)."""

    def __init__(self, root: str) -> None:
        self.root = root
        self.told_at, self.is_told = 0.0, False

    def __call__(self, folders: int, files: int) -> None:
        now = time.monotonic()
        if not folders:
            self._end()
        elif folders == 1:
            self.told_at = now
        elif now - self.told_at >= QUIET_S:
            self.told_at, self.is_told = now, True
            note(self.root, Reading(folders, files))

    def _end(self) -> None:
        if self.is_told:
            self.is_told = False
            forget(self.root)


def key(root: str) -> str:
    return f"review-reading:{hashlib.sha256(os.fsencode(root)).hexdigest()[:32]}"


def note(root: str, reading: Reading) -> None:
    with suppress(*CACHE_FAULTS):
        cache.set(key(root), asdict(reading), SHOWN_FOR_S)


def forget(root: str) -> None:
    with suppress(*CACHE_FAULTS):
        cache.delete(key(root))


def reading_of(root: str) -> Reading | None:
    """None while nobody reads it, or nobody knows."""
    try:
        found = cache.get(key(root))
    except CACHE_FAULTS:
        return None
    return Reading(**found) if found else None
