"""Keeping an index true to the disk: only directories whose time changed are read again.

One process at a time brings an index up to date, under a lock of its own; the disk is read outside of any transaction,
so that a slow card holds up nobody who marks a file. What was marked meanwhile is seen by its folder's `turn`: then it
is read again.
"""

from __future__ import annotations

import fcntl
import os
import stat
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from nvr.errors import Conflict, Unavailable
from nvr.media.files.mounts import Mount, unavailable_reason
from nvr.media.files.system_folders import has_hidden_folder
from reviewer.catalog import times
from reviewer.catalog.blocks import IN_DOUBT
from reviewer.catalog.builder import Tree
from reviewer.catalog.index import Folder, Index, Row
from reviewer.catalog.listing import Listing, judged, listing_of
from reviewer.mtime import stamp_of

if TYPE_CHECKING:
    from reviewer.models import ReviewPath

# File systems stamp in steps: a change within this span of the last one may leave the directory's mtime as it was.
UNSURE_NS: Final = 2_000_000_000
# Where a directory's mtime does not tell, it is read again after this.
UNTRUSTED_NS: Final = 5_000_000_000
RECHECKED: Final = 200  # files whose marks are looked at again with each page: 1 ms
WAIT_S: Final = 10.0  # for another who reads the same disk
LOOK_S: Final = 0.01
MAX_DEPTH: Final = 64
HASTY_READINGS: Final = 3
NEVER: Final = -1  # no directory's mtime
Found = tuple[Folder, Listing]
Teller = Callable[[int, int], None]  # is told how many folders and files have been read; 0, 0: it is over


class BeingRead(Unavailable):
    """Somebody else is reading the disk, and it takes long: no use to have everyone wait for it."""

    def __init__(self) -> None:
        super().__init__("The folder is being read, which takes a while: ask again.", retry_after=2)


class PathAway(Conflict):
    """The review path is missing, or its volume is: nothing that is not found below it may be taken for deleted."""


def absence_of(root: ReviewPath) -> str:
    """Why nothing that is not found there may be taken for deleted, as a sentence; empty if it is there."""
    return unavailable_reason(Path(root.path), root.remembered_mount)


def check_there(root: ReviewPath) -> None:
    """Raises `PathAway`."""
    if reason := absence_of(root):
        raise PathAway(reason)


class Scanner:
    """Of one review path: `root` without links and without a `/` at its end; without `lock` nobody else is at it."""

    def __init__(
        self, root: Path, index: Index, lock: Path | None, *, mount: Mount | None, trusted: bool, tell: Teller
    ) -> None:
        self.root = os.fsencode(root)
        self.index, self.lock, self.mount, self.trusted, self.tell = index, lock, mount, trusted, tell
        self._checked = b""  # the last file whose marks were looked at again in its turn

    def refresh(self, *, again: bool = False) -> None:
        """Bring the index up to date; `again` reads every directory. Raises `PathAway` and `BeingRead`."""
        self.check_there()
        if not again and self.index.folder(b"") and not any(self._is_due(folder) for folder in self.index.folders()):
            return
        with self._alone():
            if self.index.folder(b"") is None:
                self._build()
            else:
                due = [folder for folder in self.index.folders() if again or self._is_due(folder)]
                self._read(folder.path for folder in due)
            self.check_there()

    def refresh_folders(self, paths: Iterable[bytes]) -> bool:
        """Read these again where their time does not tell; whether anything had changed."""
        if self.trusted:
            return False
        with self._alone():
            return self._read(paths)

    def refresh_one(self, path: bytes, *, again: bool = False) -> Folder | None:
        """One directory, as it is now; None if it is not there, or hidden. Raises `PathAway` and `BeingRead`."""
        if has_hidden_folder(path):
            return None
        if self.index.folder(b"") is None:
            self.refresh()
        self.check_there()
        known = self.index.folder(path)
        if again or known is None or not self.trusted or self._is_due(known):
            with self._alone():
                self._read([path])
        return self.index.folder(path)

    def recheck(self, rows: Iterable[Row]) -> bool:
        """Whether the marks of one of these files have changed, or were a former picture's.

        A file that is written over leaves its folder's time as it was: only a look at the file itself tells.
        """
        changes: dict[bytes, list[tuple[bytes, int, int]]] = {}
        for row in rows:
            if (marks := judged(self._place(row.path), row.marks)) != row.marks:
                folder, _, name = row.path.rpartition(b"/")
                changes.setdefault(folder, []).append((name, row.marks, marks))
        if changes:
            with self.index.writing():
                for folder, files in changes.items():
                    self._remark(folder, files)
        return bool(changes)

    def _remark(self, folder: bytes, files: list[tuple[bytes, int, int]]) -> None:
        """Correct those that stand as they did when they were looked at."""
        known = self.index.folder(folder)
        if known is not None:
            held = {name: marks for name, was, marks in files if self.index.marks_of(known.id, name) == was}
            self.index.change_files(known.id, folder, held)
            self.index.put_folder(replace(known, turn=known.turn + 1))

    def recheck_some(self) -> None:
        """The same of the next few files that have marks: all of most cards, each of a large one in its turn."""
        rows = self.index.after(IN_DOUBT, self._checked, RECHECKED)
        if len(rows) < RECHECKED and self._checked:
            rows += self.index.page(IN_DOUBT, limit=RECHECKED - len(rows))
        self._checked = rows[-1].path if len(rows) == RECHECKED else b""
        self.recheck(rows)

    def read_times(self, *, again: bool = False) -> None:
        """Have the time of each file; at first, and `again`, that takes a look at all. Raises `BeingRead`."""
        if not again and not times.untimed(self.index):
            return
        with self._alone():
            if again or not times.is_kept(self.index):
                self._gather_times()
            else:
                self._read_times_of(times.untimed(self.index))

    def retime(self, rows: Iterable[Row]) -> bool:
        """Whether one of these files is of another time than it is listed by: it was written over."""
        changed = {
            row.path.rpartition(b"/")[0]
            for row in rows
            if times.looked_up(self.root, (row.path,))[row.path] != row.code
        }
        if changed:
            with self._alone():
                self._read_times_of(folder for path in changed if (folder := self.index.folder(path)))
        return bool(changed)

    def _read_times_of(self, folders: Iterable[Folder]) -> None:
        for folder in folders:
            codes = times.looked_up(self._place(folder.path), self.index.files_in(folder.id))
            with self.index.writing():
                times.put_times(self.index, folder, codes)

    def _gather_times(self) -> None:
        gathered, files = times.Gathered(self.index), 0
        try:
            for read, folder in enumerate(self.index.folders(), 1):
                marks = self.index.files_in(folder.id)
                gathered.add(folder, marks, times.looked_up(self._place(folder.path), marks))
                files += len(marks)
                self.tell(read, files)
            with self.index.writing():
                gathered.put()
        finally:
            gathered.close()

    def check_there(self) -> None:
        reason = unavailable_reason(Path(os.fsdecode(self.root)), self.mount)
        if reason:
            raise PathAway(reason)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Raises `BeingRead`."""
        if self.lock is None:
            yield
            return
        with self.lock.open("wb") as file:
            taken(file.fileno(), WAIT_S)
            try:
                yield
            finally:
                self.tell(0, 0)

    def _is_due(self, folder: Folder) -> bool:
        now = time.time_ns()
        if folder.recheck_ns and now >= folder.recheck_ns:
            return True
        if not self.trusted and now - folder.listed_ns > UNTRUSTED_NS:
            return True
        return self._mtime_of(folder.path) != folder.mtime_ns

    def _place(self, path: bytes) -> bytes:
        return self.root + b"/" + path if path else self.root

    def _mtime_of(self, path: bytes) -> int | None:
        """None for what is no directory (any more)."""
        try:
            facts = os.lstat(self._place(path))
        except OSError:
            return None
        return stamp_of(facts) if stat.S_ISDIR(facts.st_mode) else None

    def _build(self) -> None:
        """The first time: all is read before any is written, so that a slow disk holds up nobody."""
        tree, waiting = Tree(), [b""]
        while waiting:
            path = waiting.pop()
            found = self._listed(path)
            if found is None:
                continue
            folder, listing = found
            tree.add(folder, listing.files)
            waiting.extend(self._inner(path, listing))
            self.tell(len(tree.folders), tree.files)
        self.check_there()
        with self.index.writing():
            self.index.fill(tree.by_folder(), tree.in_order())

    def _inner(self, path: bytes, listing: Listing) -> Iterator[bytes]:
        if path.count(b"/") < MAX_DEPTH:
            yield from (path + b"/" + name if path else name for name in listing.folders)

    def _listed(self, path: bytes) -> Found | None:
        """The directory now; None if it has gone or is a link now. One that may not be read is empty, and due again."""
        mtime_ns = self._mtime_of(path)
        if mtime_ns is None:
            return None
        now = time.time_ns()
        try:
            listing = listing_of(self._place(path), self.root)
        except OSError:
            return Folder(path, NEVER, now, now), Listing()
        recheck_ns = now if listing.is_open or now - mtime_ns <= UNSURE_NS else 0
        return Folder(path, mtime_ns, now, recheck_ns, listing.ignored), listing

    def _read(self, paths: Iterable[bytes]) -> bool:
        """Read these directories, and what is new below them; whether anything was not as it stood in the index."""
        waiting, changed = list(paths), False
        read = files = 0
        while waiting:
            path = waiting.pop()
            found, new = self._read_one(path)
            read, files = read + 1, files + len(found[1].files if found else ())
            self.tell(read, files)
            changed |= new is not None
            waiting.extend(new or ())
        return changed

    def _read_one(self, path: bytes) -> tuple[Found | None, list[bytes] | None]:
        """What was found, and what `_put` says of it; read again if somebody marked a file meanwhile.

        Who marks one after the other would have it read for ever: in the end the reading lets them wait.
        """
        for _ in range(HASTY_READINGS):
            before, found = self.index.folder(path), self._listed(path)
            with self.index.writing():
                now = self.index.folder(path)
                if (now and now.turn) == (before and before.turn):
                    return found, self._kept(path, now, found)
        with self.index.writing():
            found = self._listed(path)
            return found, self._kept(path, self.index.folder(path), found)

    def _kept(self, path: bytes, known: Folder | None, found: Found | None) -> list[bytes] | None:
        return self._forget(path) if found is None else self._put(known, *found)

    def _forget(self, path: bytes) -> list[bytes] | None:
        lost = self.index.below(path)
        if not lost:
            return None
        self.check_there()
        for folder in lost:
            self.index.drop_folder(folder)
        return []

    def _put(self, known: Folder | None, folder: Folder, listing: Listing) -> list[bytes] | None:
        """The folder as it was found: its inner folders that are new, or None if nothing has changed."""
        before = self.index.files_in(known.id) if known else {}
        changes: dict[bytes, int | None] = dict.fromkeys(before.keys() - listing.files.keys())
        inner = set(self._inner(folder.path, listing))
        children = {other.path for other in self.index.below(folder.path) if is_child(other.path, folder.path)}
        if changes or children - inner:
            self.check_there()
        changes |= {name: marks for name, marks in listing.files.items() if before.get(name, -1) != marks}
        number = self.index.put_folder(replace(folder, turn=known.turn if known else 0))
        times.forget(self.index, number)
        self.index.change_files(number, folder.path, changes)
        for path in children - inner:
            self._forget(path)
        new = sorted(inner - children)
        return new if changes or new or children - inner else None


def taken(lock: int, wait_s: float) -> None:
    until = time.monotonic() + wait_s
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= until:
                raise BeingRead from None
            time.sleep(LOOK_S)
        else:
            return


def is_child(path: bytes, parent: bytes) -> bool:
    """Whether `path` is directly below `parent`; both below the root, which is empty."""
    return path != parent and path.rpartition(b"/")[0] == parent
