"""What lies in a camera's folder, without looking at all of it each time.

A directory is listed again when its time changed, or is too young to tell; then only names that are new are looked at.
Now and then all are: a file that was overwritten changes no directory.
"""

from __future__ import annotations

import os
import stat
import time
from array import array
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from media_serving.ingest.names import is_upload
from nvr.media.files.system_folders import is_hidden_folder

# File systems stamp in steps: a change within this span of the last one may leave the directory's time as it was.
UNSURE_NS: Final = 2_000_000_000
MAX_DEPTH: Final = 16
MAX_NAMES: Final = 2_000_000  # remembered of one camera, in 16 MB; of more all names are asked about again
BATCH_SIZE: Final = 200  # files or folders looked at in one go


@dataclass(frozen=True, slots=True)
class Sighting:
    """A file as it was seen: `raw` is its name below the camera's folder; times in ns since 1970; `inode` its number.

    `is_regular` is false for what has a file's name and is none: a link, a FIFO, a device.
    """

    raw: bytes
    size_bytes: int
    mtime_ns: int
    ctime_ns: int
    is_regular: bool
    inode: int = 0


@dataclass(slots=True)
class Known:
    """A directory as it was last listed: its number and times, the hashes of its names, and its folders."""

    inode: int = -1
    mtime_ns: int = -1
    ctime_ns: int = -1
    listed_ns: int = 0
    names: array[int] = field(default_factory=lambda: array("q"))
    folders: tuple[bytes, ...] = ()

    def is_current(self, facts: os.stat_result) -> bool:
        is_same = (facts.st_ino, facts.st_mtime_ns, facts.st_ctime_ns) == (self.inode, self.mtime_ns, self.ctime_ns)
        return is_same and self.listed_ns - facts.st_mtime_ns > UNSURE_NS

    def is_another(self, before: Known) -> bool:
        """Whether another folder lies there now, or it was renamed and back: that changes no time but `ctime_ns`."""
        was_renamed = self.ctime_ns != before.ctime_ns and self.mtime_ns == before.mtime_ns
        return self.inode != before.inode or was_renamed


@dataclass(frozen=True, slots=True)
class Moment:
    """Now, and by how much the clock is ahead of the machine's run: a clock that was put differs in that."""

    wall_ns: int
    ahead_ns: int

    @classmethod
    def now(cls) -> Moment:
        wall_ns = time.time_ns()
        return cls(wall_ns, wall_ns - time.monotonic_ns())

    def is_comparable(self, other: Moment) -> bool:
        return abs(self.ahead_ns - other.ahead_ns) < UNSURE_NS / 2


@dataclass
class Scanner:
    """Of one camera's folder `root` (without links); `excluded` belong to cameras nested in it."""

    root: bytes
    excluded: frozenset[bytes] = frozenset()
    _known: dict[bytes, Known] = field(default_factory=dict)
    _names: int = 0
    _saw_all: Moment | None = None

    @property
    def folder_count(self) -> int:
        """As far as the scanner under way has come, else of the last one."""
        return len(self._known)

    def scan(self, *, everything: bool = False) -> Iterator[Sighting]:
        """All that `parts` gives."""
        for part in self.parts(everything=everything):
            yield from part

    def parts(self, *, everything: bool = False, trusts_times: bool = True) -> Iterator[list[Sighting]]:
        """Files with new names, a few at a time or none. Raises OSError if the folder itself cannot be read.

        With `everything` all names are looked at; those that are known are given if they were written to since the
        last such look. Without `trusts_times`, all directories are listed, and all files given that are looked at.
        """
        begun = Moment.now()
        since_ns = self._since(begun) if everything and trusts_times else 0
        before, self._known, self._names = self._known, {}, 0
        waiting = [(b"", 0)]
        while waiting:
            below, depth = waiting.pop()
            known = before.get(below, Known())
            listed = self._listed(below, known, may_skip=trusts_times and not everything)
            if listed is None:
                continue
            now, names = listed
            if trusts_times and now.is_another(known):
                known = Known()
            self._known[below] = now
            self._names += len(now.names)
            if names:
                yield from self._seen(below, names, set(known.names), everything, since_ns)
            elif len(self._known) % BATCH_SIZE == 0:
                yield []
            if now.folders and depth < MAX_DEPTH:
                inner = (joined(below, name) for name in now.folders)
                waiting += [(path, depth + 1) for path in inner if self.root + b"/" + path not in self.excluded]
        if everything:
            self._saw_all = begun

    def _since(self, now: Moment) -> int:
        """Files that have not changed since then were given before; 0 if that cannot be told by their times."""
        if self._saw_all is None or not now.is_comparable(self._saw_all):
            return 0
        return self._saw_all.wall_ns - UNSURE_NS

    def _listed(self, below: bytes, known: Known, *, may_skip: bool) -> tuple[Known, list[bytes]] | None:
        """The directory now, and the names in it if it had to be listed; None for one that has gone."""
        place = joined(self.root, below)
        try:
            facts = os.lstat(place)
            if not stat.S_ISDIR(facts.st_mode):
                return None
            if may_skip and known.is_current(facts):
                return known, []
            listed_ns = time.time_ns()
            names, folders = listing(place)
        except OSError:
            if not below:
                raise
            return None
        hashes = array("q", map(hash, names)) if self._names + len(names) <= MAX_NAMES else array("q")
        times = facts.st_mtime_ns, facts.st_ctime_ns, listed_ns
        return Known(facts.st_ino, *times, hashes, tuple(folders)), names

    def _seen(
        self, below: bytes, names: list[bytes], before: set[int], everything: bool, since_ns: int
    ) -> Iterator[list[Sighting]]:
        """What of a directory is to be told of, in parts."""
        asked = names if everything else [name for name in names if hash(name) not in before]
        for start in range(0, len(asked), BATCH_SIZE):
            some = asked[start : start + BATCH_SIZE]
            found = [(name, sighting) for name in some if (sighting := seen(self.root, joined(below, name)))]
            yield [file for name, file in found if file.ctime_ns >= since_ns or hash(name) not in before]


def listing(place: bytes) -> tuple[list[bytes], list[bytes]]:
    """Names of files that are uploads, and of folders that are entered. Raises OSError."""
    names, folders = [], []
    with os.scandir(place) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                if not is_hidden_folder(entry.name):
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
    is_regular = stat.S_ISREG(facts.st_mode)
    return Sighting(raw, facts.st_size, facts.st_mtime_ns, facts.st_ctime_ns, is_regular, facts.st_ino)


def joined(folder: bytes, name: bytes) -> bytes:
    return folder + b"/" + name if folder and name else folder or name
