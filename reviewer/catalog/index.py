"""The order of all files below one review path, kept in an SQLite file: any page of it costs the same.

Two kinds of sorted runs (`reviewer.catalog.blocks`) stand in it: one of all files in the order of pages (name, then
path), and one of each folder's names. The file can be deleted at any time: it is built again from the disk.
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
from reviewer.catalog.blocks import TABLES as RUN_TABLES
from reviewer.catalog.blocks import Packed, Runs

VERSION: Final = 6
TREE: Final = 0  # the run of all files; a folder's has the folder's id
TREE_BLOCK: Final = 1000  # files
FOLDER_BLOCK: Final = 1024  # names
BUSY_S: Final = 30.0

WRITTEN: Final = "path, mtime_ns, listed_ns, recheck_ns, ignored, turn"
FOLDER: Final = f"{WRITTEN}, id"
LOOK_S: Final = 0.01
PRAGMAS = ("synchronous=NORMAL", "cache_size=-2048", "mmap_size=0")
TABLES: Final = f"""
CREATE TABLE folder (
    id INTEGER PRIMARY KEY, path BLOB NOT NULL UNIQUE, mtime_ns INTEGER NOT NULL, listed_ns INTEGER NOT NULL,
    recheck_ns INTEGER NOT NULL, ignored INTEGER NOT NULL, turn INTEGER NOT NULL
);
{times.TABLE};
{RUN_TABLES}"""


def prefix_of(folder: bytes) -> bytes:
    """What the paths of its files begin with."""
    return folder + b"/" if folder else b""


def tree_key(prefix: bytes, name: bytes) -> bytes:
    """Keys are in the order of name, then path, as no name has a zero byte."""
    return name + b"\0" + prefix + name


def key_of(path: bytes) -> bytes:
    return path.rpartition(b"/")[2] + b"\0" + path


@dataclass(frozen=True, slots=True)
class Row:
    """A file below the root; `path` is bytes without a leading slash, `marks` are of `Mark`.

    `code` is its time as the index has it, where files are asked for by time.
    """

    path: bytes
    marks: int
    code: bytes = field(default=b"", compare=False)


def rows_of(found: Iterable[tuple[bytes, int]]) -> list[Row]:
    """Of keys whose path comes after the first zero byte."""
    return [
        Row(path, marks, code) for (code, _, path), marks in ((key.partition(b"\0"), marks) for key, marks in found)
    ]


@dataclass(frozen=True, slots=True)
class Folder:
    """What is known of a directory; times in ns since 1970.

    `mtime_ns` is its own when it was listed at `listed_ns`. From `recheck_ns` on that may hide a change, and it is
    due again; 0: never. Each change that we make to its files ourselves raises `turn`.
    """

    path: bytes
    mtime_ns: int
    listed_ns: int
    recheck_ns: int
    ignored: int = 0
    turn: int = 0
    id: int = 0


def use_wal(db: sqlite3.Connection) -> None:
    """SQLite does not wait here by itself: of several who open a new file at once all but one are refused."""
    until = time.monotonic() + BUSY_S
    while True:
        try:
            db.execute("PRAGMA journal_mode=WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() >= until:
                raise
            time.sleep(LOOK_S)
        else:
            return


class Index:
    """One open index file; of one thread."""

    def __init__(self, file: Path, *, in_memory: bool = False) -> None:
        """Raises `sqlite3.DatabaseError` if it is not an index, or a damaged one: delete it and open it anew.

        `in_memory` it is a copy of what can be read of `file`, for any thread, one at a time.
        """
        place = ":memory:" if in_memory else file
        self.db = sqlite3.connect(place, timeout=BUSY_S, isolation_level=None, check_same_thread=not in_memory)
        if in_memory:
            self._copy(file)
        self.runs = Runs(self.db)
        use_wal(self.db)
        for pragma in PRAGMAS:
            self.db.execute(f"PRAGMA {pragma}")
        if self._version() != VERSION:
            with self.writing():
                if self._version() != VERSION:
                    self._make()

    def close(self) -> None:
        self.db.close()

    def _copy(self, file: Path) -> None:
        """As far as it can be opened; without it the index is built anew."""
        with suppress(sqlite3.Error), closing(sqlite3.connect(f"{file.as_uri()}?mode=ro", uri=True)) as source:
            source.backup(self.db)

    def _version(self) -> int:
        return int(self.db.execute("PRAGMA user_version").fetchone()[0])

    def _make(self) -> None:
        for (name,) in self.db.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
            self.db.execute(f'DROP TABLE "{name}"')
        for statement in TABLES.split(";"):
            self.db.execute(statement)
        self.db.execute(f"PRAGMA user_version = {VERSION}")

    @contextmanager
    def writing(self) -> Iterator[None]:
        """One writer of all processes at a time; what the block did is undone if it raises."""
        self.db.execute("BEGIN IMMEDIATE")
        try:
            yield
            self.db.execute("COMMIT")
        finally:
            if self.db.in_transaction:  # on a full disk SQLite may have undone it already
                self.db.execute("ROLLBACK")

    @contextmanager
    def reading(self) -> Iterator[None]:
        """All that is read in the block is of one moment."""
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
        """How many files each filter takes."""
        return self.runs.counts(TREE)

    def page(self, taken: str, *, offset: int = 0, limit: int = 50) -> list[Row]:
        """`limit` rows that the filter `taken` takes, after the first `offset` of them."""
        with self.reading():
            return rows_of(self.runs.page(TREE, taken, offset=offset, limit=limit))

    def after(self, taken: str, path: bytes, limit: int) -> list[Row]:
        """`limit` rows that `taken` takes, behind where `path` stands or would stand."""
        with self.reading():
            return rows_of(self.runs.after(TREE, taken, key_of(path), limit=limit))

    def files_in(self, folder: int) -> dict[bytes, int]:
        """The marks of the files directly in a folder, by name, in their order."""
        with self.reading():
            return self.runs.whole(folder)

    def marks_of(self, folder: int, name: bytes) -> int | None:
        """Those of one file; None if it is not there."""
        with self.reading():
            return self.runs.marks_of(folder, name)

    def folder_page(self, folder: Folder, *, offset: int, limit: int) -> list[Row]:
        """`limit` files directly in a folder, by name, after the first `offset` of them."""
        with self.reading():
            found = self.runs.page(folder.id, "all", offset=offset, limit=limit)
        return [Row(prefix_of(folder.path) + name, marks) for name, marks in found]

    def folders(self, where: str = "TRUE") -> list[Folder]:
        return [Folder(*row) for row in self.db.execute(f"SELECT {FOLDER} FROM folder WHERE {where}")]

    def folder_blocks(self, taken: str) -> list[tuple[bytes, bytes, int, int]]:
        """The blocks of the folders that hold what `taken` takes: folder, first name, number, and how many."""
        return self.db.execute(
            f'SELECT path, first, head.id, "{taken}" FROM folder JOIN head ON run = folder.id WHERE "{taken}" > 0'
        ).fetchall()

    def number_of_folders(self) -> int:
        return int(self.db.execute("SELECT count(*) FROM folder").fetchone()[0])

    def folder(self, path: bytes) -> Folder | None:
        found = self.db.execute(f"SELECT {FOLDER} FROM folder WHERE path = ?", (path,)).fetchone()
        return Folder(*found) if found else None

    def below(self, path: bytes) -> list[Folder]:
        """The folder and all that lie in it."""
        if not path:
            return self.folders()
        found = self.db.execute(
            f"SELECT {FOLDER} FROM folder WHERE path = ? OR (path > ? AND path < ?)", (path, path + b"/", path + b"0")
        )
        return [Folder(*row) for row in found]

    # Writing, inside of `writing`

    def put_folder(self, folder: Folder) -> int:
        """Its id, new or not."""
        self.db.execute(
            f"INSERT INTO folder ({WRITTEN}) VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (path) DO UPDATE SET "
            + ", ".join(f"{name} = excluded.{name}" for name in WRITTEN.split(", ")),
            (folder.path, folder.mtime_ns, folder.listed_ns, folder.recheck_ns, folder.ignored, folder.turn),
        )
        return int(self.db.execute("SELECT id FROM folder WHERE path = ?", (folder.path,)).fetchone()[0])

    def drop_folder(self, folder: Folder) -> None:
        prefix = prefix_of(folder.path)
        times.drop(self, folder.id, prefix)
        names = self.runs.drop(folder.id)
        self.runs.change(TREE, {tree_key(prefix, name): None for name in names}, size=TREE_BLOCK)
        self.db.execute("DELETE FROM folder WHERE id = ?", (folder.id,))

    def change_files(self, folder: int, path: bytes, changes: Mapping[bytes, int | None]) -> None:
        """Mark the files of these names in the folder, known or not; None: they have gone."""
        prefix = prefix_of(path)
        times.follow(self, folder, prefix, changes)
        self.runs.change(folder, changes, size=FOLDER_BLOCK)
        self.runs.change(TREE, {tree_key(prefix, name): marks for name, marks in changes.items()}, size=TREE_BLOCK)

    def fill(self, folders: Iterable[tuple[Folder, Iterable[Packed]]], files: Iterable[Packed]) -> None:
        """The first time: folders with their names, and all files in the order of pages."""
        number = self.runs.fill(TREE, files, number=1)
        for folder, names in folders:
            number = self.runs.fill(self.put_folder(folder), names, number=number)
