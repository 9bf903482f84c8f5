"""Sorted runs of keys with their marks, stored in SQLite in blocks: every page of a run costs the same.

A block stores its keys in one value and their marks in another, one byte per key, so that marking a file writes
little. The head of a block has its first key and the number of rows that match each filter: adding up the heads finds
a page. A block that grows too large is split; a block that shrinks stays as it is.

Keys are bytes without two zero bytes in a row and without a zero byte at either end.
"""

from __future__ import annotations

import sqlite3
from bisect import bisect_left
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Final, NamedTuple

from reviewer.catalog.media_types import MTIME_DEPENDENT, Mark

SEPARATOR: Final = b"\0\0"
MAX_KEYS_TO_SEARCH: Final = 8  # more keys are looked up in a dict of the unpacked block


def filter_table(required: int, forbidden: int = 0) -> bytes:
    """Return a table for `bytes.translate`: 1 for marks that match the filter, else 0."""
    return bytes(marks & required == required and not marks & forbidden for marks in range(256))


def any_mark_table(mask: int) -> bytes:
    """Return a table for `bytes.translate`: 1 for marks that contain any bit of `mask`, else 0."""
    return bytes(marks & mask != 0 for marks in range(256))


FILTERS: Final = {
    "all": filter_table(Mark.NONE),
    "unseen": filter_table(Mark.NONE, Mark.SEEN),
    "seen": filter_table(Mark.SEEN),
    "locked": filter_table(Mark.LOCKED),
    "trashed": filter_table(Mark.TRASHED),
}
# Internal filters: files with marks that may be outdated, and files that a trash run checks.
POSSIBLY_OUTDATED: Final = "in doubt"
DELETION_CANDIDATES: Final = "to empty"
COUNTED_FILTERS: Final = FILTERS | {
    POSSIBLY_OUTDATED: any_mark_table(MTIME_DEPENDENT),
    DELETION_CANDIDATES: any_mark_table(Mark.TRASHED | Mark.OUTDATED_TRASHED),
}
COUNT_COLUMNS: Final = ", ".join(f'"{name}"' for name in COUNTED_FILTERS)
PUT_KEYS: Final = "INSERT OR REPLACE INTO keys (id, keys) VALUES (?, ?)"
PUT_MARKS: Final = "INSERT OR REPLACE INTO marks (id, marks) VALUES (?, ?)"
PUT_HEAD: Final = (
    f"INSERT OR REPLACE INTO head (run, first, id, {COUNT_COLUMNS}) VALUES (?, ?, ?{', ?' * len(COUNTED_FILTERS)})"
)
SELECT_BODY: Final = "SELECT keys, marks FROM keys JOIN marks USING (id) WHERE id = ?"
SELECT_HEAD: Final = "SELECT first, id FROM head WHERE run = ? AND first <= ? ORDER BY first DESC LIMIT 1"
TABLES: Final = f"""
CREATE TABLE head (
    run INTEGER NOT NULL, first BLOB NOT NULL, id INTEGER NOT NULL,
    {", ".join(f'"{name}" INTEGER NOT NULL' for name in COUNTED_FILTERS)}, PRIMARY KEY (run, first)
) WITHOUT ROWID;
CREATE TABLE keys (id INTEGER PRIMARY KEY, keys BLOB NOT NULL);
CREATE TABLE marks (id INTEGER PRIMARY KEY, marks BLOB NOT NULL);
"""


class IndexDamaged(sqlite3.DatabaseError):
    """The index has content that only damage explains. The caller deletes the index."""


class Block(NamedTuple):
    """Sorted keys and the marks of each key."""

    keys: list[bytes]
    marks: bytes


class PackedBlock(NamedTuple):
    """A block as it is stored."""

    first: bytes
    keys: bytes
    marks: bytes


def pack(block: Block) -> PackedBlock:
    return PackedBlock(block.keys[0] if block.keys else b"", SEPARATOR.join(block.keys), block.marks)


def join_packed(blocks: Sequence[PackedBlock]) -> PackedBlock:
    """Join consecutive blocks into one."""
    return PackedBlock(
        blocks[0].first,
        SEPARATOR.join(block.keys for block in blocks),
        b"".join(block.marks for block in blocks),
    )


def unpack_keys(keys: bytes) -> list[bytes]:
    return keys.split(SEPARATOR) if keys else []


def unpack_block(body: tuple[bytes, bytes]) -> Block:
    """Raises `IndexDamaged`."""
    block = Block(unpack_keys(body[0]), body[1])
    if len(block.keys) != len(block.marks):
        raise IndexDamaged
    return block


def split_block(block: Block, size: int) -> Iterator[Block]:
    for start in range(0, len(block.keys), size):
        yield Block(block.keys[start : start + size], block.marks[start : start + size])


def count_matches(marks: bytes) -> list[int]:
    """Return how many of the marks match each of `COUNTED_FILTERS`."""
    return [marks.translate(table).count(1) for table in COUNTED_FILTERS.values()]


def positions_of(searched: Collection[bytes], keys: bytes) -> list[int | None]:
    """Return the position of each searched key in the packed keys, or None.

    A few keys are searched without unpacking the others.
    """
    if len(searched) > MAX_KEYS_TO_SEARCH:
        known = {key: position for position, key in enumerate(unpack_keys(keys))}
        return [known.get(key) for key in searched]
    padded = SEPARATOR + keys + SEPARATOR
    found = [padded.find(SEPARATOR + key + SEPARATOR) for key in searched]
    return [padded.count(SEPARATOR, 0, at) if at >= 0 else None for at in found]


def replace_marks(keys: bytes, marks: bytes, changes: Mapping[bytes, int | None]) -> bytes | None:
    """Return the marks after `changes`, or None if a key is added or removed. Raises `IndexDamaged`."""
    new = bytearray(marks)
    for position, mark in zip(positions_of(changes.keys(), keys), changes.values(), strict=True):
        if (position is None) != (mark is None):
            return None
        if position is not None and mark is not None:
            if position >= len(new):
                raise IndexDamaged
            new[position] = mark
    return bytes(new)


def apply_changes(block: Block, changes: Mapping[bytes, int | None]) -> Block:
    """Return the block with the new marks. Keys with None are removed."""
    rows = {**dict(zip(block.keys, block.marks, strict=True)), **changes}
    kept = sorted((key, marks) for key, marks in rows.items() if marks is not None)
    return Block([key for key, _ in kept], bytes(marks for _, marks in kept))


class BlockStore:
    """The runs of one index, each identified by a number. Call methods that write inside a transaction."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self.db = db

    def counts(self, run: int) -> dict[str, int]:
        """Return how many keys match each filter."""
        sums = ", ".join(f'total("{name}")' for name in FILTERS)
        found = self.db.execute(f"SELECT {sums} FROM head WHERE run = ?", (run,)).fetchone()
        return {name: int(number) for name, number in zip(FILTERS, found, strict=True)}

    def page(self, run: int, filter_name: str, *, offset: int, limit: int) -> list[tuple[bytes, int]]:
        """Return up to `limit` keys that match the filter, with their marks, after skipping `offset` of them."""
        rows: list[tuple[bytes, int]] = []
        for number, count in self._heads(run, filter_name):
            if len(rows) == limit:
                break
            if offset < count:
                rows += self._block_rows(number, filter_name, offset, offset + limit - len(rows))
            offset = max(0, offset - count)
        return rows

    def after(self, run: int, filter_name: str, key: bytes, *, limit: int) -> list[tuple[bytes, int]]:
        """Return up to `limit` matching keys that sort after `key`, which need not exist."""
        first, number = self._find_block(run, key)
        rows = [row for row in self._block_rows(number, filter_name) if row[0] > key] if number else []
        for following, _ in self._heads(run, filter_name, after_key=first):
            if len(rows) >= limit:
                break
            rows += self._block_rows(following, filter_name, 0, limit - len(rows))
        return rows[:limit]

    def position(self, run: int, filter_name: str, key: bytes) -> int:
        """Return how many matching keys sort before `key`, which need not exist."""
        first, number = self._find_block(run, key)
        before = self.db.execute(
            f'SELECT total("{filter_name}") FROM head WHERE run = ? AND first < ?',
            (run, first),
        ).fetchone()[0]
        return int(before) + sum(found < key for found, _ in self._block_rows(number, filter_name))

    def key_with_prefix(self, run: int, prefix: bytes) -> bytes | None:
        """Return the only key that starts with `prefix`, or None. The rest of the key must not contain byte 255."""
        number = self._find_block(run, prefix + b"\xff")[1]
        padded = SEPARATOR + self._body(number)[0] + SEPARATOR
        at = padded.find(SEPARATOR + prefix)
        return None if at < 0 else padded[at + len(SEPARATOR) : padded.index(SEPARATOR, at + len(SEPARATOR))]

    def block_rows(
        self, number: int, filter_name: str, start: int = 0, end: int | None = None
    ) -> list[tuple[bytes, int]]:
        """Return the keys of a block that match the filter, with their marks."""
        return self._block_rows(number, filter_name, start, end)

    def all_marks(self, run: int) -> dict[bytes, int]:
        """Return the marks of all keys by key."""
        bodies = self.db.execute(
            "SELECT keys, marks FROM head JOIN keys USING (id) JOIN marks USING (id) WHERE run = ? ORDER BY first",
            (run,),
        )
        return {key: mark for body in bodies for key, mark in zip(*unpack_block(body), strict=True)}

    def marks_of(self, run: int, key: bytes) -> int | None:
        """Return the marks of one key, or None if it does not exist."""
        number = self._find_block(run, key)[1]
        block = self._block(number)
        return dict(zip(*block, strict=True)).get(key)

    def _heads(self, run: int, filter_name: str, *, after_key: bytes | None = None) -> list[tuple[int, int]]:
        """Return the blocks with matching keys: block id and number of matching keys."""
        where = f'run = ? AND "{filter_name}" > 0' + ("" if after_key is None else " AND first > ?")
        values = (run,) if after_key is None else (run, after_key)
        return self.db.execute(f'SELECT id, "{filter_name}" FROM head WHERE {where} ORDER BY first', values).fetchall()

    def _find_block(self, run: int, key: bytes) -> tuple[bytes, int]:
        """Return first key and id of the block that `key` belongs to. The id is 0 if the run has no block."""
        found: tuple[bytes, int] | None = self.db.execute(SELECT_HEAD, (run, key)).fetchone()
        return found or (b"", 0)

    def _body(self, number: int) -> tuple[bytes, bytes]:
        """Return the stored keys and marks of a block; empty for id 0. Raises `IndexDamaged`."""
        if not number:
            return b"", b""
        body: tuple[bytes, bytes] | None = self.db.execute(SELECT_BODY, (number,)).fetchone()
        if body is None:
            raise IndexDamaged
        return body

    def _block(self, number: int) -> Block:
        return unpack_block(self._body(number))

    def _block_rows(
        self, number: int, filter_name: str, start: int = 0, end: int | None = None
    ) -> list[tuple[bytes, int]]:
        block = self._block(number)
        matching = block.marks.translate(COUNTED_FILTERS[filter_name])
        positions = (
            range(len(matching)) if filter_name == "all" else [at for at, matches in enumerate(matching) if matches]
        )
        return [(block.keys[at], block.marks[at]) for at in positions[start:end]]

    # Writing

    def fill(self, run: int, blocks: Iterable[PackedBlock], *, number: int) -> int:
        """Write a run of sorted blocks with ids from `number` on. Return the next free id."""
        start = number
        for number, block in enumerate(blocks, start):
            # Keys that are added before the first block later belong to the first block.
            self._put(run, b"" if number == start else block.first, number, block)
        return number + 1

    def change(self, run: int, changes: Mapping[bytes, int | None], *, size: int) -> None:
        """Set the marks of each key, adding keys that are missing; None removes a key. `size`: keys per new block."""
        pending, start = sorted(changes), 0
        while start < len(pending):
            first, number = self._find_block(run, pending[start])
            end = self._end(run, first, pending) if start + 1 < len(pending) else len(pending)
            self._change_block(run, first, number, {key: changes[key] for key in pending[start:end]}, size)
            start = end

    def _end(self, run: int, first: bytes, pending: list[bytes]) -> int:
        """Return the end of the pending keys that belong to the block that starts with `first`."""
        following = self.db.execute(
            "SELECT first FROM head WHERE run = ? AND first > ? ORDER BY first LIMIT 1", (run, first)
        ).fetchone()
        return bisect_left(pending, following[0]) if following else len(pending)

    def _change_block(
        self, run: int, first: bytes, number: int, changes: Mapping[bytes, int | None], size: int
    ) -> None:
        body = self._body(number)
        marks = replace_marks(*body, changes)
        if number and marks is not None:
            self._mark(run, first, number, marks)
        elif (block := apply_changes(unpack_block(body), changes)).keys or not first:
            self._put_split(run, first, number, block, size)
        else:
            self._drop_block(run, first, number)

    def _put_split(self, run: int, first: bytes, number: int, block: Block, size: int) -> None:
        parts = list(split_block(block, size)) if len(block.keys) > 2 * size else [block]
        for part in parts:
            first_key = first if part is parts[0] else part.keys[0]
            self._put(run, first_key, number or None, pack(part))
            number = 0

    def _put(self, run: int, first: bytes, number: int | None, block: PackedBlock) -> None:
        number = self.db.execute(PUT_KEYS, (number, block.keys)).lastrowid or 0
        self._mark(run, first, number, block.marks)

    def _mark(self, run: int, first: bytes, number: int, marks: bytes) -> None:
        self.db.execute(PUT_MARKS, (number, marks))
        self.db.execute(PUT_HEAD, (run, first, number, *count_matches(marks)))

    def _drop_block(self, run: int, first: bytes, number: int) -> None:
        for part in ("keys", "marks"):
            self.db.execute(f"DELETE FROM {part} WHERE id = ?", (number,))
        self.db.execute("DELETE FROM head WHERE run = ? AND first = ?", (run, first))

    def next_block_id(self) -> int:
        """Return an id above those of all blocks."""
        return int(self.db.execute("SELECT coalesce(max(id), 0) + 1 FROM keys").fetchone()[0])

    def drop_runs_below(self, run: int) -> None:
        """Delete all runs with lower numbers."""
        for part in ("keys", "marks"):
            self.db.execute(f"DELETE FROM {part} WHERE id IN (SELECT id FROM head WHERE run < ?)", (run,))
        self.db.execute("DELETE FROM head WHERE run < ?", (run,))

    def drop_run(self, run: int) -> list[bytes]:
        """Delete a run. Return its keys."""
        keys = list(self.all_marks(run))
        for first, number in self.db.execute("SELECT first, id FROM head WHERE run = ?", (run,)).fetchall():
            self._drop_block(run, first, number)
        return keys
