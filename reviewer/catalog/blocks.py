"""Sorted runs of keys with their marks, kept in SQLite block by block: every page of a run costs the same.

A block is its keys in one value, and the marks of each in another, one byte a key: to mark a file writes little. Its
head has its first key, and how many of its rows each filter takes: a page is found by adding up heads. A block that
has grown too large is cut; one that shrank does no harm.

Keys are bytes in which no two zero bytes stand together, nor one at an end.
"""

from __future__ import annotations

import sqlite3
from bisect import bisect_left
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Final, NamedTuple

from reviewer.media_types import IN_QUESTION, Mark

SEPARATOR: Final = b"\0\0"
FEW: Final = 8  # keys


def table(required: int, forbidden: int = 0) -> bytes:
    """For `bytes.translate`: 1 for the marks that a filter takes."""
    return bytes(marks & required == required and not marks & forbidden for marks in range(256))


def any_of(wanted: int) -> bytes:
    return bytes(marks & wanted != 0 for marks in range(256))


FILTERS: Final = {
    "all": table(Mark.NONE),
    "unseen": table(Mark.NONE, Mark.SEEN),
    "seen": table(Mark.SEEN),
    "locked": table(Mark.LOCKED),
    "trashed": table(Mark.TRASHED),
}
# And what is asked for only here: whose marks may be a former picture's, and what an emptying goes through.
IN_DOUBT: Final = "in doubt"
TO_EMPTY: Final = "to empty"
COUNTED: Final = FILTERS | {
    IN_DOUBT: any_of(IN_QUESTION),
    TO_EMPTY: any_of(Mark.TRASHED | Mark.FORMER_TRASHED),
}
COUNTS: Final = ", ".join(f'"{name}"' for name in COUNTED)
KEYS: Final = "INSERT OR REPLACE INTO keys (id, keys) VALUES (?, ?)"
MARKS: Final = "INSERT OR REPLACE INTO marks (id, marks) VALUES (?, ?)"
HEAD: Final = f"INSERT OR REPLACE INTO head (run, first, id, {COUNTS}) VALUES (?, ?, ?{', ?' * len(COUNTED)})"
BODY: Final = "SELECT keys, marks FROM keys JOIN marks USING (id) WHERE id = ?"
AT_OR_BEFORE: Final = "SELECT first, id FROM head WHERE run = ? AND first <= ? ORDER BY first DESC LIMIT 1"
TABLES: Final = f"""
CREATE TABLE head (
    run INTEGER NOT NULL, first BLOB NOT NULL, id INTEGER NOT NULL,
    {", ".join(f'"{name}" INTEGER NOT NULL' for name in COUNTED)}, PRIMARY KEY (run, first)
) WITHOUT ROWID;
CREATE TABLE keys (id INTEGER PRIMARY KEY, keys BLOB NOT NULL);
CREATE TABLE marks (id INTEGER PRIMARY KEY, marks BLOB NOT NULL);
"""


class Damaged(sqlite3.DatabaseError):
    """What only damage explains stands there: the index is thrown away then."""


class Block(NamedTuple):
    """Keys in their order, and the marks of each."""

    keys: list[bytes]
    marks: bytes


class Packed(NamedTuple):
    """A block as it is kept."""

    first: bytes
    keys: bytes
    marks: bytes


def packed(block: Block) -> Packed:
    return Packed(block.keys[0] if block.keys else b"", SEPARATOR.join(block.keys), block.marks)


def joined(blocks: Sequence[Packed]) -> Packed:
    """One of several that follow each other."""
    return Packed(
        blocks[0].first,
        SEPARATOR.join(block.keys for block in blocks),
        b"".join(block.marks for block in blocks),
    )


def unpacked(keys: bytes) -> list[bytes]:
    return keys.split(SEPARATOR) if keys else []


def block_of(body: tuple[bytes, bytes]) -> Block:
    """Raises `Damaged`."""
    block = Block(unpacked(body[0]), body[1])
    if len(block.keys) != len(block.marks):
        raise Damaged
    return block


def cut(block: Block, size: int) -> Iterator[Block]:
    for start in range(0, len(block.keys), size):
        yield Block(block.keys[start : start + size], block.marks[start : start + size])


def counts_of(marks: bytes) -> list[int]:
    return [marks.translate(taken).count(1) for taken in COUNTED.values()]


def places_of(wanted: Collection[bytes], keys: bytes) -> list[int | None]:
    """Which of the packed keys each is; few are looked for without unpacking the others."""
    if len(wanted) > FEW:
        known = {key: place for place, key in enumerate(unpacked(keys))}
        return [known.get(key) for key in wanted]
    fenced = SEPARATOR + keys + SEPARATOR
    found = [fenced.find(SEPARATOR + key + SEPARATOR) for key in wanted]
    return [fenced.count(SEPARATOR, 0, at) if at >= 0 else None for at in found]


def remarked(keys: bytes, marks: bytes, changes: Mapping[bytes, int | None]) -> bytes | None:
    """The marks of packed keys after the changes; None if keys come or go. Raises `Damaged`."""
    new = bytearray(marks)
    for place, mark in zip(places_of(changes.keys(), keys), changes.values(), strict=True):
        if (place is None) != (mark is None):
            return None
        if place is not None and mark is not None:
            if place >= len(new):
                raise Damaged
            new[place] = mark
    return bytes(new)


def changed(block: Block, changes: Mapping[bytes, int | None]) -> Block:
    """The block with each key marked as it shall be, and without those of None."""
    rows = {**dict(zip(block.keys, block.marks, strict=True)), **changes}
    kept = sorted((key, marks) for key, marks in rows.items() if marks is not None)
    return Block([key for key, _ in kept], bytes(marks for _, marks in kept))


class Runs:
    """The runs of one index; each has a number. What changes them is called inside of a transaction."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self.db = db

    def counts(self, run: int) -> dict[str, int]:
        """How many keys each filter takes."""
        sums = ", ".join(f'total("{name}")' for name in FILTERS)
        found = self.db.execute(f"SELECT {sums} FROM head WHERE run = ?", (run,)).fetchone()
        return {name: int(number) for name, number in zip(FILTERS, found, strict=True)}

    def page(self, run: int, taken: str, *, offset: int, limit: int) -> list[tuple[bytes, int]]:
        """`limit` keys that the filter `taken` takes with their marks, after the first `offset` of them."""
        rows: list[tuple[bytes, int]] = []
        for number, count in self._heads(run, taken):
            if len(rows) == limit:
                break
            if offset < count:
                rows += self._taken(number, taken, offset, offset + limit - len(rows))
            offset = max(0, offset - count)
        return rows

    def after(self, run: int, taken: str, key: bytes, *, limit: int) -> list[tuple[bytes, int]]:
        """`limit` keys that `taken` takes, behind where `key` stands or would stand."""
        first, number = self._at(run, key)
        rows = [row for row in self._taken(number, taken) if row[0] > key] if number else []
        for following, _ in self._heads(run, taken, behind=first):
            if len(rows) >= limit:
                break
            rows += self._taken(following, taken, 0, limit - len(rows))
        return rows[:limit]

    def place(self, run: int, taken: str, key: bytes) -> int:
        """How many keys that `taken` takes stand before where `key` stands or would stand."""
        first, number = self._at(run, key)
        before = self.db.execute(
            f'SELECT total("{taken}") FROM head WHERE run = ? AND first < ?',
            (run, first),
        ).fetchone()[0]
        return int(before) + sum(found < key for found, _ in self._taken(number, taken))

    def beginning_with(self, run: int, beginning: bytes) -> bytes | None:
        """The one key that begins so; behind `beginning` it has no byte 255."""
        number = self._at(run, beginning + b"\xff")[1]
        fenced = SEPARATOR + self._body(number)[0] + SEPARATOR
        at = fenced.find(SEPARATOR + beginning)
        return None if at < 0 else fenced[at + len(SEPARATOR) : fenced.index(SEPARATOR, at + len(SEPARATOR))]

    def taken_in(self, number: int, taken: str, start: int = 0, end: int | None = None) -> list[tuple[bytes, int]]:
        """Of a block: the keys that `taken` takes, with their marks."""
        return self._taken(number, taken, start, end)

    def whole(self, run: int) -> dict[bytes, int]:
        """All keys with their marks."""
        bodies = self.db.execute(
            "SELECT keys, marks FROM head JOIN keys USING (id) JOIN marks USING (id) WHERE run = ? ORDER BY first",
            (run,),
        )
        return {key: mark for body in bodies for key, mark in zip(*block_of(body), strict=True)}

    def marks_of(self, run: int, key: bytes) -> int | None:
        """Those of one key; None if it is not there."""
        number = self._at(run, key)[1]
        block = self._block(number)
        return dict(zip(*block, strict=True)).get(key)

    def _heads(self, run: int, taken: str, *, behind: bytes | None = None) -> list[tuple[int, int]]:
        """The blocks that hold what the filter takes, and how many."""
        where = f'run = ? AND "{taken}" > 0' + ("" if behind is None else " AND first > ?")
        values = (run,) if behind is None else (run, behind)
        return self.db.execute(f'SELECT id, "{taken}" FROM head WHERE {where} ORDER BY first', values).fetchall()

    def _at(self, run: int, key: bytes) -> tuple[bytes, int]:
        """First key and number of the block that has to hold `key`; 0 if there is none yet."""
        found: tuple[bytes, int] | None = self.db.execute(AT_OR_BEFORE, (run, key)).fetchone()
        return found or (b"", 0)

    def _body(self, number: int) -> tuple[bytes, bytes]:
        """A block's keys and marks as they are kept; of number 0 none. Raises `Damaged`."""
        if not number:
            return b"", b""
        body: tuple[bytes, bytes] | None = self.db.execute(BODY, (number,)).fetchone()
        if body is None:
            raise Damaged
        return body

    def _block(self, number: int) -> Block:
        return block_of(self._body(number))

    def _taken(self, number: int, taken: str, start: int = 0, end: int | None = None) -> list[tuple[bytes, int]]:
        block = self._block(number)
        chosen = block.marks.translate(COUNTED[taken])
        places = range(len(chosen)) if taken == "all" else [at for at, is_taken in enumerate(chosen) if is_taken]
        return [(block.keys[at], block.marks[at]) for at in places[start:end]]

    # Writing

    def fill(self, run: int, blocks: Iterable[Packed], *, number: int) -> int:
        """Make a run of blocks, which come in order and are numbered from `number` on; the next free number."""
        start = number
        for number, block in enumerate(blocks, start):
            # What comes before the first of them later belongs into it.
            self._put(run, b"" if number == start else block.first, number, block)
        return number + 1

    def change(self, run: int, changes: Mapping[bytes, int | None], *, size: int) -> None:
        """Mark each key, which need not be there yet, or take it out (None); `size`: keys of a new block."""
        waiting, start = sorted(changes), 0
        while start < len(waiting):
            first, number = self._at(run, waiting[start])
            end = self._end(run, first, waiting) if start + 1 < len(waiting) else len(waiting)
            self._change_block(run, first, number, {key: changes[key] for key in waiting[start:end]}, size)
            start = end

    def _end(self, run: int, first: bytes, waiting: list[bytes]) -> int:
        """How many of the waiting keys come before the block behind `first`."""
        following = self.db.execute(
            "SELECT first FROM head WHERE run = ? AND first > ? ORDER BY first LIMIT 1", (run, first)
        ).fetchone()
        return bisect_left(waiting, following[0]) if following else len(waiting)

    def _change_block(
        self, run: int, first: bytes, number: int, changes: Mapping[bytes, int | None], size: int
    ) -> None:
        body = self._body(number)
        marks = remarked(*body, changes)
        if number and marks is not None:
            self._mark(run, first, number, marks)
        elif (block := changed(block_of(body), changes)).keys or not first:
            self._put_pieces(run, first, number, block, size)
        else:
            self._drop_block(run, first, number)

    def _put_pieces(self, run: int, first: bytes, number: int, block: Block, size: int) -> None:
        pieces = list(cut(block, size)) if len(block.keys) > 2 * size else [block]
        for piece in pieces:
            own = first if piece is pieces[0] else piece.keys[0]
            self._put(run, own, number or None, packed(piece))
            number = 0

    def _put(self, run: int, first: bytes, number: int | None, block: Packed) -> None:
        number = self.db.execute(KEYS, (number, block.keys)).lastrowid or 0
        self._mark(run, first, number, block.marks)

    def _mark(self, run: int, first: bytes, number: int, marks: bytes) -> None:
        self.db.execute(MARKS, (number, marks))
        self.db.execute(HEAD, (run, first, number, *counts_of(marks)))

    def _drop_block(self, run: int, first: bytes, number: int) -> None:
        for part in ("keys", "marks"):
            self.db.execute(f"DELETE FROM {part} WHERE id = ?", (number,))
        self.db.execute("DELETE FROM head WHERE run = ? AND first = ?", (run, first))

    def next_number(self) -> int:
        """Above those of all blocks."""
        return int(self.db.execute("SELECT coalesce(max(id), 0) + 1 FROM keys").fetchone()[0])

    def drop_below(self, run: int) -> None:
        """Forget all runs of lower numbers."""
        for part in ("keys", "marks"):
            self.db.execute(f"DELETE FROM {part} WHERE id IN (SELECT id FROM head WHERE run < ?)", (run,))
        self.db.execute("DELETE FROM head WHERE run < ?", (run,))

    def drop(self, run: int) -> list[bytes]:
        """Forget a run; its keys."""
        keys = list(self.whole(run))
        for first, number in self.db.execute("SELECT first, id FROM head WHERE run = ?", (run,)).fetchall():
            self._drop_block(run, first, number)
        return keys
