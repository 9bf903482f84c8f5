"""The indexes of all review paths: where they lie, and what is asked of them.

Each thread has its own connections; what one process learns all see, as it stands in the file.
"""

from __future__ import annotations

import hashlib
import logging
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeVar

from django.conf import settings

from nvr.errors import FULL, NvrError, StorageFull, Unavailable
from nvr.media.files.mounts import is_network_or_fuse, mount_of
from reviewer import disk_reserve
from reviewer.catalog import orders
from reviewer.catalog.blocks import TO_EMPTY
from reviewer.catalog.index import Index, Row
from reviewer.catalog.orders import View
from reviewer.catalog.progress import Progress, Reading
from reviewer.catalog.scanner import UNSURE_NS, WAIT_S, BeingRead, Scanner
from reviewer.media_types import Mark
from reviewer.models import ReviewPath
from reviewer.mtime import stamp_of

logger = logging.getLogger(__name__)

AnswerT = TypeVar("AnswerT")
# Where a directory's time does not change with its content, or only in steps of seconds.
COARSE: Final = {"vfat", "msdos", "exfat", "ntfs", "ntfs3", "hfs", "hfsplus", "iso9660", "udf"}
OPEN_PER_THREAD: Final = 8
FULL_FOR_S: Final = 10.0
BESIDE: Final = {sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_IOERR_SHMSIZE, sqlite3.SQLITE_IOERR_SHMOPEN}
LOOKS: Final = 4  # at the files of a page of which some were written over

_local = threading.local()


def index_dir() -> Path:
    folder: Path = settings.NVR_DATA_DIR / "review-index"
    return folder


def index_file(path: str) -> Path:
    return index_dir() / f"{hashlib.sha256(os.fsencode(path)).hexdigest()[:32]}.sqlite3"


class Opened(NamedTuple):
    """A scanner, and what it was made for."""

    circumstances: tuple[Any, ...]
    scanner: Scanner


def scanner_of(root: ReviewPath) -> Scanner:
    """This thread's scanner of `root`. Raises OSError and `sqlite3.Error` for the index's own disk."""
    opened: dict[str, Opened] = _local.__dict__.setdefault("opened", {})
    file = index_file(root.path)
    found = opened.get(root.path)
    if found is not None and found.circumstances == circumstances_of(root, file):
        return found.scanner
    close(root)
    while len(opened) >= OPEN_PER_THREAD:
        opened.pop(next(iter(opened))).scanner.index.close()
    scanner = new_scanner(root, file)
    opened[root.path] = Opened(circumstances_of(root, file), scanner)
    return scanner


def circumstances_of(root: ReviewPath, file: Path) -> tuple[Any, ...]:
    """They change when somebody deletes the index, adds the path anew, or puts in a card of another file system."""
    return identity_of(file), identity_of(root.path)[0], root.mount


def close(root: ReviewPath) -> None:
    found: Opened | None = _local.__dict__.get("opened", {}).pop(root.path, None)
    if found is not None:
        found.scanner.index.close()


def new_scanner(root: ReviewPath, file: Path, *, in_memory: bool = False) -> Scanner:
    index = Index(file, in_memory=True) if in_memory else index_at(root, file)
    return Scanner(
        Path(root.path),
        index,
        None if in_memory else file.with_suffix(".lock"),
        mount=root.remembered_mount,
        trusted=is_trusted(root.path),
        tell=Progress(root.path),
    )


def index_at(root: ReviewPath, file: Path) -> Index:
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        index = Index(file)
    except sqlite3.DatabaseError as error:
        if isinstance(error, sqlite3.OperationalError):  # locked, or the disk is full: not the index's fault
            raise
        discard(root)
        index = Index(file)
    return index


def is_trusted(path: str) -> bool:
    """Whether a directory's mtime tells of each change in it there."""
    kind = mount_of(Path(path)).type
    return kind not in COARSE and not is_network_or_fuse(kind)


def identity_of(place: str | Path) -> tuple[int, int]:
    """Device and inode; zeros of what is not there."""
    try:
        facts = os.stat(place)  # noqa: PTH116 - with every page, twice
    except OSError:
        return 0, 0
    return facts.st_dev, facts.st_ino


def discard(root: ReviewPath) -> None:
    """Throw the index away: the next who asks builds it anew."""
    close(root)
    for ending in ("", "-wal", "-shm"):
        with suppress(FileNotFoundError):
            Path(f"{index_file(root.path)}{ending}").unlink()


def asked(root: ReviewPath, question: Callable[[Scanner], AnswerT]) -> AnswerT:
    """`question`'s answer; of a damaged index once more, when it has been built anew.

    Raises `StorageFull` and `Unavailable` if the index cannot be used, and what `question` raises.
    """
    if time.monotonic() < _spares.not_before.get(root.path, 0):
        return answered_in_memory(root, question)
    try:
        answer = answered(root, question)
    except (sqlite3.Error, OSError) as error:
        fault = fault_of(error)
        logger.error("index cannot be used path=%s error=%s", root.pk, error)
        if isinstance(fault, StorageFull):
            _spares.not_before[root.path] = time.monotonic() + FULL_FOR_S
            return answered_in_memory(root, question)
        raise fault from error
    _spares.forget(root.path)
    return answer


class Spares:
    """This process's indexes in memory, of the paths for whose index the disk has had no room."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.opened: dict[str, Opened] = {}
        self.not_before: dict[str, float] = {}  # monotonic seconds: when the one on disk is tried again

    @contextmanager
    def held(self) -> Iterator[None]:
        """Raises `BeingRead`."""
        if not self.lock.acquire(timeout=WAIT_S):
            raise BeingRead
        try:
            yield
        finally:
            self.lock.release()

    def forget(self, path: str) -> None:
        if path in self.not_before:
            with self.lock:
                self.not_before.pop(path, None)
                self.opened.pop(path, None)


_spares = Spares()


def answered_in_memory(root: ReviewPath, question: Callable[[Scanner], AnswerT]) -> AnswerT:
    """`question`'s answer while there is no room for an index: it would keep back the emptying that makes room.

    One question at a time: it is one index for all threads. Raises `StorageFull` if even that cannot be, and
    `BeingRead`.
    """
    with _spares.held():
        circumstances = circumstances_of(root, index_dir())
        spare = _spares.opened.get(root.path)
        try:
            if spare is None or spare.circumstances[1:] != circumstances[1:]:
                spare = Opened(circumstances, new_scanner(root, index_file(root.path), in_memory=True))
                _spares.opened[root.path] = spare
            return question(spare.scanner)
        except (sqlite3.Error, OSError) as error:
            _spares.opened.pop(root.path, None)
            raise fault_of(error) from error


def answered(root: ReviewPath, question: Callable[[Scanner], AnswerT]) -> AnswerT:
    try:
        return question(scanner_of(root))
    except sqlite3.OperationalError:
        raise
    except sqlite3.DatabaseError:
        discard(root)
        return question(scanner_of(root))


def fault_of(error: sqlite3.Error | OSError) -> NvrError:
    """It is the disk of our own data that does not do as it should, or somebody who holds the index for long."""
    code = getattr(error, "sqlite_errorcode", None)
    # SQLite tells otherwise of a file beside its database for which there was no room.
    full = code == sqlite3.SQLITE_FULL or (code in BESIDE and disk_reserve.is_full())
    if full or (isinstance(error, OSError) and error.errno in FULL):
        return StorageFull("The disk is full: make room where the data directory lies.")
    why = error.strerror if isinstance(error, OSError) else error
    return Unavailable(f"The index of the files cannot be used ({why}): see to the data directory and its disk.")


def page_of(
    root: ReviewPath,
    taken: str,
    *,
    offset: int = 0,
    after: bytes | None = None,
    limit: int,
    again: bool = False,
    order: str = orders.NAME,
) -> list[Row]:
    """The rows of a page as they are on disk now. Raises `PathAway` and `orders.Gone`."""
    view = View(taken, order)

    def rows(scanner: Scanner) -> list[Row]:
        bring_up_to_date(scanner, view, again=again)
        found = cut(scanner, view, offset, after, limit)
        if scanner.refresh_folders({row.path.rpartition(b"/")[0] for row in found}):
            found = cut(scanner, view, offset, after, limit)
        for _ in range(LOOKS):
            if not (scanner.recheck(found) or (order == orders.TIME and scanner.retime(found))):
                break
            found = cut(scanner, view, offset, after, limit)
        return found

    return asked(root, rows)


def bring_up_to_date(scanner: Scanner, view: View, *, again: bool = False) -> None:
    scanner.refresh(again=again)
    scanner.recheck_some()
    if view.order == orders.TIME:
        scanner.read_times(again=again)


def cut(scanner: Scanner, view: View, offset: int, after: bytes | None, limit: int) -> list[Row]:
    if after is not None:
        return orders.after(scanner.index, view, after, limit=limit)
    return orders.page(scanner.index, view, offset=offset, limit=limit)


def position_of(root: ReviewPath, view: View, path: bytes) -> int:
    """How many files of the view stand before `path`. Raises `PathAway` and `orders.Gone`."""

    def position(scanner: Scanner) -> int:
        bring_up_to_date(scanner, view)
        return orders.position(scanner.index, view, path)

    return asked(root, position)


def folder_page(
    root: ReviewPath, path: bytes, *, offset: int, limit: int, again: bool = False
) -> tuple[list[Row], int]:
    """The files directly in the folder `path` below `root`, by name, and how many others lie there.

    Raises `PathAway`.
    """

    def files(scanner: Scanner) -> tuple[list[Row], int]:
        folder = scanner.refresh_one(path, again=again)
        if folder is None:
            return [], 0
        found = scanner.index.folder_page(folder, offset=offset, limit=limit)
        if scanner.recheck(found):
            found = scanner.index.folder_page(folder, offset=offset, limit=limit)
        return found, folder.ignored

    return asked(root, files)


def counts_of(root: ReviewPath) -> dict[str, int]:
    """How many files each filter takes, as it is on disk now. Raises `PathAway`."""

    def counts(scanner: Scanner) -> dict[str, int]:
        scanner.refresh()
        scanner.recheck_some()
        return scanner.index.counts()

    return asked(root, counts)


def size_of(root: ReviewPath) -> Reading | None:
    """What the index holds, whatever the disk does; None before the first reading."""
    if not index_file(root.path).exists():
        return None

    def size(scanner: Scanner) -> Reading | None:
        folders = scanner.index.number_of_folders()
        return Reading(folders, scanner.index.counts()["all"]) if folders else None

    return asked(root, size)


def marked(root: ReviewPath, file: Path, marks: Mark, *, mtime_ns: int) -> None:
    """We marked `file` ourselves; its directory's mtime was `mtime_ns` before: its index need not look again.

    What others did in the same moment shows at the look that is due after two seconds. An index that cannot be
    written now is merely out of step, and finds out by the directory's time.
    """
    with suppress(sqlite3.Error, OSError):
        scanner = scanner_of(root)
        index, path = scanner.index, os.fsencode(file.relative_to(root.path))
        folder, _, name = path.rpartition(b"/")
        with index.writing():
            known = index.folder(folder)
            if known is None:
                return
            index.change_files(known.id, folder, {name: marks})
            current = known.mtime_ns == mtime_ns
            after_ns = stamp_of(file.parent.stat()) if current else known.mtime_ns
            due_ns = known.recheck_ns or time.time_ns() + UNSURE_NS
            index.put_folder(replace(known, mtime_ns=after_ns, recheck_ns=due_ns, turn=known.turn + 1))


def trashed(root: ReviewPath, *, after: bytes | None, limit: int) -> list[Row]:
    """What has a mark of trash, be it a former picture's, from the first or behind `after` on.

    The first look brings the index up to date. Later ones do not, so that each is cheap while the files
    before it are being deleted. Raises `PathAway`.
    """

    def rows(scanner: Scanner) -> list[Row]:
        if after is None:
            scanner.refresh(again=not scanner.trusted)
            return scanner.index.page(TO_EMPTY, limit=limit)
        return scanner.index.after(TO_EMPTY, after, limit)

    return asked(root, rows)


def dropped(root: ReviewPath, paths: Iterable[bytes]) -> None:
    """We deleted these (below the root) ourselves. Their folders are due to be read again all the same."""
    folders: dict[bytes, list[bytes]] = {}
    for path in paths:
        folder, _, name = path.rpartition(b"/")
        folders.setdefault(folder, []).append(name)
    with suppress(sqlite3.Error, OSError):
        index = scanner_of(root).index
        with index.writing():
            for folder, names in folders.items():
                known = index.folder(folder)
                if known is not None:
                    index.change_files(known.id, folder, dict.fromkeys(names))
                    index.put_folder(replace(known, turn=known.turn + 1))
