"""Updates an index from the disk: only directories with a changed mtime are scanned again.

A lock lets one process at a time update an index. It reads the disk outside transactions, so that a slow card does not
block users who mark files. If a file is marked meanwhile, its folder's `revision` changes and the folder is scanned
again.
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
from nvr.media.files.directory_cache import is_settled
from nvr.media.files.mounts import Mount, unavailable_reason
from nvr.media.files.mtime import stored_mtime_ns
from nvr.media.files.system_folders import has_hidden_folder
from reviewer.catalog import times
from reviewer.catalog.blocks import POSSIBLY_OUTDATED
from reviewer.catalog.builder import CatalogBuilder
from reviewer.catalog.index import Folder, Index, Row
from reviewer.catalog.listing import Listing, current_marks, list_folder

if TYPE_CHECKING:
    from reviewer.models import ReviewPath

# Directories on file systems with unreliable mtimes are scanned again after this time.
UNTRUSTED_RESCAN_NS: Final = 5_000_000_000
RECHECK_BATCH_SIZE: Final = 200  # files with marks to check again with each page: takes 1 ms
LOCK_TIMEOUT_S: Final = 10.0  # for another process that scans the same disk
POLL_INTERVAL_S: Final = 0.01
MAX_DEPTH: Final = 64
MAX_OPTIMISTIC_SCANS: Final = 3
NO_MTIME: Final = -1  # the mtime of an unreadable directory: never equal to a real one
ScanResult = tuple[Folder, Listing]
ProgressCallback = Callable[[int, int], None]  # called with the numbers of scanned folders and files; 0, 0: done


class ScanInProgress(Unavailable):
    """Another process is scanning the disk, and the scan takes too long to wait for it."""

    def __init__(self) -> None:
        super().__init__("The folder is being scanned, which takes a while. Try again in a moment.", retry_after=2)


class PathUnavailable(Conflict):
    """The review path or its volume is missing. Files that are not found below it must not be treated as deleted."""


def path_unavailable_reason(root: ReviewPath) -> str:
    """Return why the review path is unavailable, as a sentence, or an empty string."""
    return unavailable_reason(Path(root.path), root.remembered_mount)


def check_available(root: ReviewPath) -> None:
    """Raises `PathUnavailable`."""
    if reason := path_unavailable_reason(root):
        raise PathUnavailable(reason)


class Scanner:
    """Scans one review path. `root` has no links and no trailing `/`. Without `lock` the index must not be shared."""

    def __init__(
        self,
        root: Path,
        index: Index,
        lock: Path | None,
        *,
        mount: Mount | None,
        mtime_reliable: bool,
        report: ProgressCallback,
    ) -> None:
        self.root = os.fsencode(root)
        self.index, self.lock, self.mount, self.mtime_reliable, self.report = index, lock, mount, mtime_reliable, report
        self._last_rechecked = b""  # the last file that `recheck_next` checked

    def refresh(self, *, force: bool = False) -> None:
        """Update the index; `force` scans every directory. Raises `PathUnavailable` and `ScanInProgress`."""
        self.check_available()
        if not force and self.index.folder(b"") and not any(self._is_due(folder) for folder in self.index.folders()):
            return
        with self._locked():
            if self.index.folder(b"") is None:
                self._build()
            else:
                due = [folder for folder in self.index.folders() if force or self._is_due(folder)]
                self._scan(folder.path for folder in due)
            self.check_available()  # again: during the scan, the card may have been removed

    def refresh_folders(self, paths: Iterable[bytes]) -> bool:
        """Scan these folders again if mtimes are unreliable. Return whether anything changed."""
        if self.mtime_reliable:
            return False
        with self._locked():
            return self._scan(paths)

    def refresh_one(self, path: bytes, *, force: bool = False) -> Folder | None:
        """Update one directory. Return None if it is missing or hidden.

        Raises `PathUnavailable` and `ScanInProgress`.
        """
        if has_hidden_folder(path):
            return None
        if self.index.folder(b"") is None:
            self.refresh()
        self.check_available()
        known = self.index.folder(path)
        if force or known is None or not self.mtime_reliable or self._is_due(known):
            with self._locked():
                self._scan([path])
        return self.index.folder(path)

    def recheck(self, rows: Iterable[Row]) -> bool:
        """Update the marks of these files. Return whether any changed or became outdated.

        Overwriting a file does not change the mtime of its folder, so the file itself must be checked.
        """
        changes: dict[bytes, list[tuple[bytes, int, int]]] = {}
        for row in rows:
            if (marks := current_marks(self._absolute(row.path), row.marks)) != row.marks:
                folder, _, name = row.path.rpartition(b"/")
                changes.setdefault(folder, []).append((name, row.marks, marks))
        if changes:
            with self.index.write_transaction():
                for folder, files in changes.items():
                    self._update_marks(folder, files)
        return bool(changes)

    def _update_marks(self, folder: bytes, files: list[tuple[bytes, int, int]]) -> None:
        """Update files whose marks are still the same as before the check."""
        known = self.index.folder(folder)
        if known is not None:
            unchanged = {name: marks for name, was, marks in files if self.index.marks_of(known.id, name) == was}
            self.index.change_files(known.id, folder, unchanged)
            self.index.put_folder(replace(known, revision=known.revision + 1))

    def recheck_next(self) -> None:
        """Recheck the next batch of files with marks: on most cards all of them, on large ones in rotation."""
        rows = self.index.after(POSSIBLY_OUTDATED, self._last_rechecked, RECHECK_BATCH_SIZE)
        if len(rows) < RECHECK_BATCH_SIZE and self._last_rechecked:
            rows += self.index.page(POSSIBLY_OUTDATED, limit=RECHECK_BATCH_SIZE - len(rows))
        self._last_rechecked = rows[-1].path if len(rows) == RECHECK_BATCH_SIZE else b""
        self.recheck(rows)

    def update_times(self, *, force: bool = False) -> None:
        """Update the times of all files. The first call, and `force`, call `stat` for every file.

        Raises `ScanInProgress`.
        """
        if not force and not times.folders_without_times(self.index):
            return
        with self._locked():
            if force or not times.has_times(self.index):
                self._build_times()
            else:
                self._update_times_of(times.folders_without_times(self.index))

    def update_changed_times(self, rows: Iterable[Row]) -> bool:
        """Update the folders with files that have another time than in the index. Return whether there were any."""
        changed = {
            row.path.rpartition(b"/")[0]
            for row in rows
            if times.read_time_codes(self.root, (row.path,))[row.path] != row.time_code
        }
        if changed:
            with self._locked():
                self._update_times_of(folder for path in changed if (folder := self.index.folder(path)))
        return bool(changed)

    def _update_times_of(self, folders: Iterable[Folder]) -> None:
        for folder in folders:
            codes = times.read_time_codes(self._absolute(folder.path), self.index.files_in(folder.id))
            with self.index.write_transaction():
                times.put_times(self.index, folder, codes)

    def _build_times(self) -> None:
        times_builder, files = times.TimeIndexBuilder(self.index), 0
        try:
            for read, folder in enumerate(self.index.folders(), 1):
                marks = self.index.files_in(folder.id)
                times_builder.add_folder(folder, marks, times.read_time_codes(self._absolute(folder.path), marks))
                files += len(marks)
                self.report(read, files)
            with self.index.write_transaction():
                times_builder.write()
        finally:
            times_builder.close()

    def check_available(self) -> None:
        reason = unavailable_reason(Path(os.fsdecode(self.root)), self.mount)
        if reason:
            raise PathUnavailable(reason)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Raises `ScanInProgress`."""
        if self.lock is None:
            yield
            return
        with self.lock.open("wb") as file:
            acquire_lock(file.fileno(), LOCK_TIMEOUT_S)
            try:
                yield
            finally:
                self.report(0, 0)

    def _is_due(self, folder: Folder) -> bool:
        now = time.time_ns()
        if folder.recheck_ns and now >= folder.recheck_ns:
            return True
        if not self.mtime_reliable and now - folder.listed_ns > UNTRUSTED_RESCAN_NS:
            return True
        return self._mtime_of(folder.path) != folder.mtime_ns

    def _absolute(self, path: bytes) -> bytes:
        return self.root + b"/" + path if path else self.root

    def _mtime_of(self, path: bytes) -> int | None:
        """Return the mtime, or None if the path is no directory (any longer)."""
        try:
            file_stat = os.lstat(self._absolute(path))
        except OSError:
            return None
        return stored_mtime_ns(file_stat.st_mtime_ns) if stat.S_ISDIR(file_stat.st_mode) else None

    def _build(self) -> None:
        """Run the first scan. It reads everything before it writes, so that a slow disk blocks no other process."""
        builder, pending = CatalogBuilder(), [b""]
        while pending:
            path = pending.pop()
            found = self._list(path)
            if found is None:
                continue
            folder, listing = found
            builder.add_folder(folder, listing.files)
            pending.extend(self._subfolders(path, listing))
            self.report(len(builder.folders), builder.files)
        self.check_available()
        with self.index.write_transaction():
            self.index.fill(builder.by_folder(), builder.in_order())

    def _subfolders(self, path: bytes, listing: Listing) -> Iterator[bytes]:
        if path.count(b"/") < MAX_DEPTH:
            yield from (path + b"/" + name if path else name for name in listing.folders)

    def _list(self, path: bytes) -> ScanResult | None:
        """List the directory. Return None if it is gone or a link. An unreadable one is empty and due for a rescan."""
        mtime_ns = self._mtime_of(path)
        if mtime_ns is None:
            return None
        now = time.time_ns()
        try:
            listing = list_folder(self._absolute(path), self.root)
        except OSError:
            return Folder(path, NO_MTIME, now, now), Listing()
        recheck_ns = now if listing.is_incomplete or not is_settled(mtime_ns, now) else 0
        return Folder(path, mtime_ns, now, recheck_ns, listing.ignored), listing

    def _scan(self, paths: Iterable[bytes]) -> bool:
        """Scan these directories and new ones below them. Return whether the index changed."""
        pending, changed = list(paths), False
        read = files = 0
        while pending:
            path = pending.pop()
            found, new = self._scan_folder(path)
            read, files = read + 1, files + len(found[1].files if found else ())
            self.report(read, files)
            changed |= new is not None
            pending.extend(new or ())
        return changed

    def _scan_folder(self, path: bytes) -> tuple[ScanResult | None, list[bytes] | None]:
        """Return the scan result and the result of `_update`. Scan again if a file was marked meanwhile.

        A user who marks file after file could force endless rescans: the last scan runs inside the transaction.
        """
        for _ in range(MAX_OPTIMISTIC_SCANS):
            before, found = self.index.folder(path), self._list(path)
            with self.index.write_transaction():
                now = self.index.folder(path)
                if (now and now.revision) == (before and before.revision):
                    return found, self._store(path, now, found)
        with self.index.write_transaction():
            found = self._list(path)
            return found, self._store(path, self.index.folder(path), found)

    def _store(self, path: bytes, known: Folder | None, found: ScanResult | None) -> list[bytes] | None:
        return self._drop(path) if found is None else self._update(known, *found)

    def _drop(self, path: bytes) -> list[bytes] | None:
        removed = self.index.subtree(path)
        if not removed:
            return None
        self.check_available()  # the folders of a removed card are missing, but not deleted
        for folder in removed:
            self.index.drop_folder(folder)
        return []

    def _update(self, known: Folder | None, folder: Folder, listing: Listing) -> list[bytes] | None:
        """Write the scanned folder. Return its new subfolders, or None if nothing has changed."""
        before = self.index.files_in(known.id) if known else {}
        changes: dict[bytes, int | None] = dict.fromkeys(before.keys() - listing.files.keys())
        subfolders = set(self._subfolders(folder.path, listing))
        children = {other.path for other in self.index.subtree(folder.path) if is_child(other.path, folder.path)}
        if changes or children - subfolders:
            self.check_available()  # an unmounted volume looks like an empty folder
        changes |= {name: marks for name, marks in listing.files.items() if before.get(name, -1) != marks}
        number = self.index.put_folder(replace(folder, revision=known.revision if known else 0))
        times.mark_stale(self.index, number)
        self.index.change_files(number, folder.path, changes)
        for path in children - subfolders:
            self._drop(path)
        new = sorted(subfolders - children)
        return new if changes or new or children - subfolders else None


def acquire_lock(lock: int, timeout_s: float) -> None:
    deadline = time.monotonic() + timeout_s
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= deadline:
                raise ScanInProgress from None
            time.sleep(POLL_INTERVAL_S)
        else:
            return


def is_child(path: bytes, parent: bytes) -> bool:
    """Return whether `path` is directly below `parent`. Both are relative to the root, which is empty."""
    return path != parent and path.rpartition(b"/")[0] == parent
