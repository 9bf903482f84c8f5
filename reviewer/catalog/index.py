"""The sorted index of all files below one review path, in an SQLite file: every page costs the same.

It has two kinds of sorted runs (`reviewer.catalog.blocks`): one with all files in page order (name, then path), and
one per folder with its file names. The file can be deleted at any time: the next scan rebuilds it.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from reviewer.catalog import times
from reviewer.catalog.blocks import TABLES as BLOCK_TABLES
from reviewer.catalog.blocks import BlockStore, PackedBlock

VERSION: Final = 6
TREE: Final = 0  # the run of all files; the run of a folder has the folder's id
TREE_BLOCK: Final = 1000  # files
FOLDER_BLOCK: Final = 1024  # names
BUSY_TIMEOUT_S: Final = 30.0

WRITABLE_COLUMNS: Final = "path, mtime_ns, listed_ns, recheck_ns, ignored, turn"  # `turn` is `Folder.revision`
FOLDER_COLUMNS: Final = f"{WRITABLE_COLUMNS}, id"
POLL_INTERVAL_S: Final = 0.01
# A power failure may lose the last transactions, which the next scan repairs, but does not damage the file. The page
# cache is small because each thread keeps several indexes open.
PRAGMAS = ("synchronous=NORMAL", "cache_size=-2048", "mmap_size=0")
TABLES: Final = f"""
CREATE TABLE folder (
    id INTEGER PRIMARY KEY, path BLOB NOT NULL UNIQUE, mtime_ns INTEGER NOT NULL, listed_ns INTEGER NOT NULL,
    recheck_ns INTEGER NOT NULL, ignored INTEGER NOT NULL, turn INTEGER NOT NULL
);
{times.TABLE};
{BLOCK_TABLES}"""


def prefix_of(folder: bytes) -> bytes:
    """Return the prefix of the paths of the folder's files."""
    return folder + b"/" if folder else b""


def tree_key(prefix: bytes, name: bytes) -> bytes:
    """Return the key of a file. Keys sort by name, then path, because names have no zero bytes."""
    return name + b"\0" + prefix + name


def key_of(path: bytes) -> bytes:
    return path.rpartition(b"/")[2] + b"\0" + path


@dataclass(frozen=True, slots=True)
class Row:
    """A file below the root; `path` is bytes without a leading slash, `marks` are of `Mark`.

    `time_code` is the file's time in the index if the rows are sorted by time.
    """

    path: bytes
    marks: int
    time_code: bytes = field(default=b"", compare=False)


def rows_from_keys(found: Iterable[tuple[bytes, int]]) -> list[Row]:
    """Build rows from keys that have the path after the first zero byte."""
    return [
        Row(path, marks, time_code)
        for (time_code, _, path), marks in ((key.partition(b"\0"), marks) for key, marks in found)
    ]


@dataclass(frozen=True, slots=True)
class Folder:
    """A scanned directory; times in ns since 1970.

    `mtime_ns` is the directory's mtime when it was listed at `listed_ns`. If `recheck_ns` is not 0, the mtime may hide
    a change and the directory is due for a rescan from that time on. Each change by NVR itself raises `revision`.
    """

    path: bytes
    mtime_ns: int
    listed_ns: int
    recheck_ns: int
    ignored: int = 0
    revision: int = 0
    id: int = 0


def use_wal(db: sqlite3.Connection) -> None:
    """Enable WAL mode, with retries: SQLite has no busy timeout when several connections open a new file."""
    deadline = time.monotonic() + BUSY_TIMEOUT_S
    while True:
        try:
            db.execute("PRAGMA journal_mode=WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() >= deadline:
                raise
            time.sleep(POLL_INTERVAL_S)
        else:
            return


class Index:
    """An open index file. Use it in one thread only."""

    def __init__(self, file: Path, *, in_memory: bool = False) -> None:
        """Raises `sqlite3.DatabaseError` if the file is damaged or no index: delete it and open it again.

        With `in_memory`, the index is a copy of the readable part of `file`. Any thread may use it, one at a time.
        """
        target = ":memory:" if in_memory else file
        self.db = sqlite3.connect(target, timeout=BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=not in_memory)
        if in_memory:
            self._copy_from(file)
        self.blocks = BlockStore(self.db)
        use_wal(self.db)
        for pragma in PRAGMAS:
            self.db.execute(f"PRAGMA {pragma}")
        if self._version() != VERSION:
            with self.write_transaction():
                if self._version() != VERSION:
                    self._create_tables()

    def close(self) -> None:
        self.db.close()

    def _copy_from(self, file: Path) -> None:
        """Copy the index file if it can be opened. Otherwise the index is rebuilt by a scan."""
        with suppress(sqlite3.Error), closing(sqlite3.connect(f"{file.as_uri()}?mode=ro", uri=True)) as source:
            source.backup(self.db)

    def _version(self) -> int:
        return int(self.db.execute("PRAGMA user_version").fetchone()[0])

    def _create_tables(self) -> None:
        for (name,) in self.db.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
            self.db.execute(f'DROP TABLE "{name}"')
        for statement in TABLES.split(";"):
            self.db.execute(statement)
        self.db.execute(f"PRAGMA user_version = {VERSION}")

    @contextmanager
    def write_transaction(self) -> Iterator[None]:
        """Open a write transaction: one writer of all processes at a time. An exception rolls it back."""
        self.db.execute("BEGIN IMMEDIATE")
        try:
            yield
            self.db.execute("COMMIT")
        finally:
            if self.db.in_transaction:  # on a full disk SQLite may have rolled back already
                self.db.execute("ROLLBACK")

    @contextmanager
    def read_transaction(self) -> Iterator[None]:
        """Open a read transaction: all reads in it see the same state."""
        if self.db.in_transaction:
            yield
            return
        self.db.execute("BEGIN")
        try:
            yield
        finally:
            self.db.execute("COMMIT")

    # Reading

    def counts(self) -> dict[str, int]:
        """Return how many files match each filter."""
        return self.blocks.counts(TREE)

    def page(self, filter_name: str, *, offset: int = 0, limit: int = 50) -> list[Row]:
        """Return up to `limit` rows that match the filter, after skipping `offset` of them."""
        with self.read_transaction():
            return rows_from_keys(self.blocks.page(TREE, filter_name, offset=offset, limit=limit))

    def after(self, filter_name: str, path: bytes, limit: int) -> list[Row]:
        """Return up to `limit` matching rows that sort after `path`, which need not exist."""
        with self.read_transaction():
            return rows_from_keys(self.blocks.after(TREE, filter_name, key_of(path), limit=limit))

    def files_in(self, folder: int) -> dict[bytes, int]:
        """Return the marks of the files directly in a folder, sorted by name."""
        with self.read_transaction():
            return self.blocks.all_marks(folder)

    def marks_of(self, folder: int, name: bytes) -> int | None:
        """Return the marks of one file, or None if it is not in the index."""
        with self.read_transaction():
            return self.blocks.marks_of(folder, name)

    def folder_page(self, folder: Folder, *, offset: int, limit: int) -> list[Row]:
        """Return up to `limit` files directly in a folder, sorted by name, after skipping `offset` of them."""
        with self.read_transaction():
            found = self.blocks.page(folder.id, "all", offset=offset, limit=limit)
        return [Row(prefix_of(folder.path) + name, marks) for name, marks in found]

    def folders(self, where: str = "TRUE") -> list[Folder]:
        return [Folder(*row) for row in self.db.execute(f"SELECT {FOLDER_COLUMNS} FROM folder WHERE {where}")]

    def folder_blocks(self, filter_name: str) -> list[tuple[bytes, bytes, int, int]]:
        """Return the folders' blocks with matching files: folder, first name, block id, number of matching files."""
        return self.db.execute(
            f'SELECT path, first, head.id, "{filter_name}" FROM folder JOIN head ON run = folder.id '
            f'WHERE "{filter_name}" > 0'
        ).fetchall()

    def folder_count(self) -> int:
        return int(self.db.execute("SELECT count(*) FROM folder").fetchone()[0])

    def folder(self, path: bytes) -> Folder | None:
        found = self.db.execute(f"SELECT {FOLDER_COLUMNS} FROM folder WHERE path = ?", (path,)).fetchone()
        return Folder(*found) if found else None

    def subtree(self, path: bytes) -> list[Folder]:
        """Return the folder and all folders below it."""
        if not path:
            return self.folders()
        found = self.db.execute(
            f"SELECT {FOLDER_COLUMNS} FROM folder WHERE path = ? OR (path > ? AND path < ?)",
            (path, path + b"/", path + b"0"),
        )
        return [Folder(*row) for row in found]

    # Writing: call inside `write_transaction`

    def put_folder(self, folder: Folder) -> int:
        """Insert or update the folder. Return its id."""
        self.db.execute(
            f"INSERT INTO folder ({WRITABLE_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (path) DO UPDATE SET "
            + ", ".join(f"{name} = excluded.{name}" for name in WRITABLE_COLUMNS.split(", ")),
            (folder.path, folder.mtime_ns, folder.listed_ns, folder.recheck_ns, folder.ignored, folder.revision),
        )
        return int(self.db.execute("SELECT id FROM folder WHERE path = ?", (folder.path,)).fetchone()[0])

    def drop_folder(self, folder: Folder) -> None:
        prefix = prefix_of(folder.path)
        times.drop_folder(self, folder.id, prefix)
        names = self.blocks.drop_run(folder.id)
        self.blocks.change(TREE, {tree_key(prefix, name): None for name in names}, size=TREE_BLOCK)
        self.db.execute("DELETE FROM folder WHERE id = ?", (folder.id,))

    def change_files(self, folder: int, path: bytes, changes: Mapping[bytes, int | None]) -> None:
        """Set the marks of the named files in the folder, adding files that are missing; None removes a file."""
        prefix = prefix_of(path)
        times.apply_changes(self, folder, prefix, changes)
        self.blocks.change(folder, changes, size=FOLDER_BLOCK)
        self.blocks.change(TREE, {tree_key(prefix, name): marks for name, marks in changes.items()}, size=TREE_BLOCK)

    def fill(self, folders: Iterable[tuple[Folder, Iterable[PackedBlock]]], files: Iterable[PackedBlock]) -> None:
        """Fill an empty index with the folders and their names, and all files in page order."""
        number = self.blocks.fill(TREE, files, number=1)
        for folder, names in folders:
            number = self.blocks.fill(self.put_folder(folder), names, number=number)
