"""What lies in a camera's folder, without looking at all of it each time.

A directory is listed again when its time changed, or is too young to tell; then only names that are new are looked at.
Now and then all are: a file that was overwritten changes no directory.
"""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from media_serving.ingest.names import is_hidden, is_upload

# File systems stamp in steps: a change within this span of the last one may leave the directory's time as it was.
UNSURE_NS: Final = 2_000_000_000
MAX_DEPTH: Final = 16
MOST_NAMES: Final = 300_000  # remembered of one camera; of a folder with more all names are asked about again


@dataclass(frozen=True, slots=True)
class Sighting:
    """A file as it was seen: `raw` is its name below the camera's folder; times in ns since 1970.

    `is_regular` is false for what has a file's name and is none: a link, a FIFO, a device.
    """

    raw: bytes
    size_bytes: int
    mtime_ns: int
    ctime_ns: int
    is_regular: bool


@dataclass(slots=True)
class Known:
    """A directory as it was last listed: its time, the hashes of its names, and its folders."""

    mtime_ns: int = -1
    listed_ns: int = 0
    names: frozenset[int] = frozenset()
    folders: tuple[bytes, ...] = ()

    def is_current(self, mtime_ns: int) -> bool:
        return mtime_ns == self.mtime_ns and self.listed_ns - mtime_ns > UNSURE_NS


@dataclass
class Sweep:
    """Of one camera's folder `root` (without links); `excluded` belong to cameras nested in it."""

    root: bytes
    excluded: frozenset[bytes] = frozenset()
    _known: dict[bytes, Known] = field(default_factory=dict)
    _names: int = 0

    def look(self, *, everything: bool = False) -> Iterator[Sighting]:
        """Files with new names; with `everything` all of them. Raises OSError if the folder itself cannot be read."""
        before, self._known, self._names = self._known, {}, 0
        waiting = [(b"", 0)]
        while waiting:
            below, depth = waiting.pop()
            known = before.get(below, Known())
            now = self._listed(below, known, everything=everything)
            if now is None:
                continue
            self._known[below], new = now
            self._names += len(now[0].names)
            yield from (sighting for name in new if (sighting := seen(self.root, joined(below, name))))
            if depth < MAX_DEPTH:
                inner = (joined(below, name) for name in now[0].folders)
                waiting += [(path, depth + 1) for path in inner if self.root + b"/" + path not in self.excluded]

    def forget(self, below: bytes) -> None:
        """Have the directory listed anew, and all its names looked at, the next time."""
        self._known.pop(below, None)

    def _listed(self, below: bytes, known: Known, *, everything: bool) -> tuple[Known, list[bytes]] | None:
        """The directory now, and the names in it that are to be looked at; None for one that has gone."""
        place = joined(self.root, below)
        try:
            facts = os.lstat(place)
            if not stat.S_ISDIR(facts.st_mode):
                return None
            if not everything and known.is_current(facts.st_mtime_ns):
                return known, []
            listed_ns = time.time_ns()
            names, folders = listing(place)
        except OSError:
            if not below:
                raise
            return None
        new = names if everything else [name for name in names if hash(name) not in known.names]
        hashes = frozenset(map(hash, names)) if self._names + len(names) <= MOST_NAMES else frozenset()
        return Known(facts.st_mtime_ns, listed_ns, hashes, tuple(folders)), new


def listing(place: bytes) -> tuple[list[bytes], list[bytes]]:
    """Names of files that are uploads, and of folders that are entered. Raises OSError."""
    names, folders = [], []
    with os.scandir(place) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                if not is_hidden(entry.name):
                    folders.append(entry.name)
            elif is_upload(entry.name):
                names.append(entry.name)
    return names, folders


def seen(root: bytes, raw: bytes) -> Sighting | None:
    """The file as it is now; None if it has gone or is a directory."""
    try:
        facts = os.lstat(joined(root, raw))
    except (OSError, ValueError):
        return None
    if stat.S_ISDIR(facts.st_mode):
        return None
    return Sighting(raw, facts.st_size, facts.st_mtime_ns, facts.st_ctime_ns, stat.S_ISREG(facts.st_mode))


def joined(folder: bytes, name: bytes) -> bytes:
    return folder + b"/" + name if folder and name else folder or name
