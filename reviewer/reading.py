"""How far the reading of a folder is, for those who wait for it: kept in the cache, as any process may be at it."""

from __future__ import annotations

import hashlib
import os
import time
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
    """Of the reading of one review path; tells it a few times a second."""

    def __init__(self, root: str) -> None:
        self.root = root
        self.told_at = 0.0

    def __call__(self, folders: int, files: int) -> None:
        now = time.monotonic()
        if folders <= 1:
            self.told_at = now
        elif now - self.told_at >= QUIET_S:
            self.told_at = now
            note(self.root, Reading(folders, files))


def key(root: str) -> str:
    return f"review-reading:{hashlib.sha256(os.fsencode(root)).hexdigest()[:32]}"


def note(root: str, reading: Reading) -> None:
    try:
        cache.set(key(root), asdict(reading), SHOWN_FOR_S)
    except CACHE_FAULTS:
        return


def reading_of(root: str) -> Reading | None:
    """None while nobody reads it, or nobody knows."""
    try:
        found = cache.get(key(root))
    except CACHE_FAULTS:
        return None
    return Reading(**found) if found else None
