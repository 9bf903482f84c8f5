"""The order of all files below one review path, kept in an SQLite file: any page of it costs the same.

Rows are in the order of pages (name, then path). Beside them stand blocks of about a thousand rows, each with how many
of its rows each filter takes: a page is found by adding up blocks, not by walking the rows before it. Triggers keep
the counts in step with every change. The file can be deleted at any time: it is built again from the disk.

Names and paths are bytes, as the disk has them; paths are below the root, without a leading `/`.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from reviewer.kinds import Mark

VERSION: Final = 1
BLOCK: Final = 1000  # rows
LARGEST_BLOCK: Final = 4 * BLOCK
BULK: Final = 5000  # changes from which on building the blocks anew is cheaper than keeping them in step
BUSY_S: Final = 30.0

FILTERS: Final = {
    "all": "1",
    "unseen": f"marks & {Mark.SEEN} = 0",
    "seen": f"marks & {Mark.SEEN} != 0",
    "locked": f"marks & {Mark.LOCKED} != 0",
    "trashed": f"marks & {Mark.TRASHED} != 0",
}
COUNTS = ", ".join(f'"{name}"' for name in FILTERS)
WRITTEN: Final = "path, mtime_ns, listed_ns, recheck_ns, ignored, turn"
FOLDER: Final = f"{WRITTEN}, id"
PRAGMAS = ("journal_mode=WAL", "synchronous=NORMAL", "cache_size=-2048", "mmap_size=0")
TABLES = f"""
CREATE TABLE folder (
    id INTEGER PRIMARY KEY, path BLOB NOT NULL UNIQUE, mtime_ns INTEGER NOT NULL, listed_ns INTEGER NOT NULL,
    recheck_ns INTEGER NOT NULL, ignored INTEGER NOT NULL, turn INTEGER NOT NULL
);
CREATE TABLE file (
    name BLOB NOT NULL, path BLOB NOT NULL, folder INTEGER NOT NULL, marks INTEGER NOT NULL, PRIMARY KEY (name, path)
) WITHOUT ROWID;
CREATE INDEX file_folder ON file (folder);
CREATE TABLE block (
    name BLOB NOT NULL, path BLOB NOT NULL, {", ".join(f'"{name}" INTEGER NOT NULL DEFAULT 0' for name in FILTERS)},
    PRIMARY KEY (name, path)
) WITHOUT ROWID;
"""


def counting(event: str, row: str, sign: str, condition: str = "") -> str:
    """A trigger that adds (or takes away) what `row` counts for in its block."""
    changes = ", ".join(
        f'"{name}" = "{name}" {sign} ({taken.replace("marks", f"{row}.marks")})' for name, taken in FILTERS.items()
    )
    return f"""
CREATE TRIGGER {event.split()[0].lower()}_{row.lower()} AFTER {event} ON file {condition} BEGIN
    UPDATE block SET {changes} WHERE (name, path) = (
        SELECT name, path FROM block WHERE (name, path) <= ({row}.name, {row}.path)
        ORDER BY name DESC, path DESC LIMIT 1
    );
END;"""


TRIGGERS = {
    "insert_new": counting("INSERT", "NEW", "+"),
    "delete_old": counting("DELETE", "OLD", "-"),
    "update_old": counting("UPDATE OF marks", "OLD", "-"),
    "update_new": counting("UPDATE OF marks", "NEW", "+"),
}


@dataclass(frozen=True, slots=True)
class Row:
    """A file below the root; `path` is bytes without a leading slash."""

    path: bytes
    marks: Mark


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


class Index:
    """One open index file; of one thread."""

    def __init__(self, file: Path) -> None:
        """Raises `sqlite3.DatabaseError` if it is not an index, or a damaged one: delete it and open it anew."""
        self.db = sqlite3.connect(file, timeout=BUSY_S, isolation_level=None)
        for pragma in PRAGMAS:
            self.db.execute(f"PRAGMA {pragma}")
        if self._version() != VERSION:
            with self.writing():
                if self._version() != VERSION:
                    self._make()

    def close(self) -> None:
        self.db.close()

    def _version(self) -> int:
        return int(self.db.execute("PRAGMA user_version").fetchone()[0])

    def _make(self) -> None:
        for kind, name in self.db.execute("SELECT type, name FROM sqlite_master WHERE type = 'table'").fetchall():
            self.db.execute(f'DROP {kind} "{name}"')
        for statement in TABLES.split(";"):
            self.db.execute(statement)
        self.db.execute("INSERT INTO block (name, path) VALUES (x'', x'')")
        for trigger in TRIGGERS.values():
            self.db.execute(trigger)
        self.db.execute(f"PRAGMA user_version = {VERSION}")

    @contextmanager
    def writing(self) -> Iterator[None]:
        """One writer of all processes at a time; what the block did is undone if it raises."""
        self.db.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self.db.execute("ROLLBACK")
            raise
        self.db.execute("COMMIT")

    # Reading

    def counts(self) -> dict[str, int]:
        """How many files each filter takes."""
        sums = ", ".join(f'total("{name}")' for name in FILTERS)
        found = self.db.execute(f"SELECT {sums} FROM block").fetchone()
        return {name: int(number) for name, number in zip(FILTERS, found, strict=True)}

    def page(self, taken: str, *, offset: int = 0, limit: int = 50) -> list[Row]:
        """`limit` rows that the filter `taken` takes, after the first `offset` of them."""
        blocks = self.db.execute(f'SELECT name, path, "{taken}" FROM block ORDER BY name, path').fetchall()
        for place, (name, path, count) in enumerate(blocks):
            if offset < count:
                rest = [block for block in blocks[place + 1 :] if block[2]]
                return self._rows(taken, [(name, path, count), *rest], offset, limit)
            offset -= count
        return []

    def _rows(self, taken: str, blocks: list[tuple[bytes, bytes, int]], offset: int, limit: int) -> list[Row]:
        """Block by block, as blocks without such a row are left out: a rare filter does not walk what it rejects."""
        rows: list[Row] = []
        for name, path, count in blocks:
            wanted = min(limit - len(rows), count - offset)
            rows += self._select(taken, (name, path), wanted, offset=offset)
            offset = 0
            if len(rows) >= limit:
                break
        return rows

    def after(self, taken: str, path: bytes, limit: int) -> list[Row]:
        """`limit` rows that `taken` takes, behind where `path` stands or would stand."""
        key = (basename(path), path)
        start = self.db.execute(
            "SELECT name, path FROM block WHERE (name, path) <= (?, ?) ORDER BY name DESC, path DESC LIMIT 1", key
        ).fetchone()
        following = self.db.execute(
            f'SELECT name, path FROM block WHERE (name, path) > (?, ?) AND "{taken}" > 0 ORDER BY name, path', start
        )
        bounds = [key, *following.fetchall()]
        rows: list[Row] = []
        for place, bound in enumerate(bounds):
            until = bounds[place + 1] if place + 1 < len(bounds) else None
            rows += self._select(taken, bound, limit - len(rows), behind=place == 0, until=until)
            if len(rows) >= limit:
                break
        return rows

    def _select(
        self,
        taken: str,
        start: tuple[bytes, bytes],
        limit: int,
        *,
        offset: int = 0,
        behind: bool = False,
        until: tuple[bytes, bytes] | None = None,
    ) -> list[Row]:
        condition = f"(name, path) {'>' if behind else '>='} (?, ?) AND {FILTERS[taken]}"
        values: list[object] = [*start]
        if until is not None:
            condition += " AND (name, path) < (?, ?)"
            values += until
        found = self.db.execute(
            f"SELECT path, marks FROM file WHERE {condition} ORDER BY name, path LIMIT ? OFFSET ?",
            [*values, limit, offset],
        )
        return [Row(path, Mark(marks)) for path, marks in found]

    def files_in(self, folder: int) -> dict[bytes, Mark]:
        """The files directly in a folder, by name."""
        found = self.db.execute("SELECT name, marks FROM file WHERE folder = ?", (folder,))
        return {name: Mark(marks) for name, marks in found}

    def folders(self) -> list[Folder]:
        return [Folder(*row) for row in self.db.execute(f"SELECT {FOLDER} FROM folder")]

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

    def drop_folder(self, folder: int) -> None:
        self.db.execute("DELETE FROM file WHERE folder = ?", (folder,))
        self.db.execute("DELETE FROM folder WHERE id = ?", (folder,))

    def put_files(self, folder: int, path: bytes, files: Iterable[tuple[bytes, int]]) -> None:
        prefix = path + b"/" if path else b""
        self.db.executemany(
            "INSERT INTO file (name, path, folder, marks) VALUES (?, ?, ?, ?) "
            "ON CONFLICT (name, path) DO UPDATE SET marks = excluded.marks",
            ((name, prefix + name, folder, int(marks)) for name, marks in files),
        )

    def drop_files(self, path: bytes, names: Iterable[bytes]) -> None:
        prefix = path + b"/" if path else b""
        self.db.executemany("DELETE FROM file WHERE name = ? AND path = ?", ((name, prefix + name) for name in names))

    @contextmanager
    def bulk(self) -> Iterator[None]:
        """For many changes at once: the blocks are built anew after them, instead of kept in step."""
        for name in TRIGGERS:
            self.db.execute(f"DROP TRIGGER {name}")
        yield
        self.db.execute("DELETE FROM block")
        self.db.execute(BLOCKS_FROM_ROWS)
        self.db.execute(
            "INSERT OR IGNORE INTO block (name, path) SELECT x'', x'' WHERE NOT EXISTS (SELECT 1 FROM block)"
        )
        for trigger in TRIGGERS.values():
            self.db.execute(trigger)

    def even_out(self) -> None:
        """Cut the blocks that have grown too large; those that shrank do no harm."""
        large = self.db.execute('SELECT name, path FROM block WHERE "all" > ?', (LARGEST_BLOCK,)).fetchall()
        if large:
            with self.bulk():
                pass


BLOCKS_FROM_ROWS = f"""
INSERT INTO block (name, path, {COUNTS})
SELECT CASE WHEN part = 0 THEN x'' ELSE name END, CASE WHEN part = 0 THEN x'' ELSE path END,
       {", ".join(f"{name}_sum" for name in FILTERS)}
FROM (
    SELECT part, min(number), name, path, {", ".join(f"sum({taken}) AS {name}_sum" for name, taken in FILTERS.items())}
    FROM (SELECT name, path, marks, number, number / {BLOCK} AS part
          FROM (SELECT name, path, marks, row_number() OVER (ORDER BY name, path) - 1 AS number FROM file))
    GROUP BY part
)"""


def basename(path: bytes) -> bytes:
    return path.rpartition(b"/")[2]
