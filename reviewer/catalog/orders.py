"""The orders in which a review can go through its files, each with pages of one cost.

By name is the order in which the index is kept. By folder needs nothing more: each folder's names are a run of the
index, and folders are few. By time is kept from the first time on that somebody asks for it, since only then all files
have to be looked at.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from typing import Final, NamedTuple

from nvr.errors import BadRequest
from reviewer.catalog.index import TREE, Index, Row, key_of, prefix_of, rows_of
from reviewer.catalog.times import TIMES, time_key_of

NAME: Final = "name"
FOLDER: Final = "folder"
TIME: Final = "time"
ORDERS: Final = (NAME, FOLDER, TIME)


@dataclass(frozen=True, slots=True)
class View:
    """Which files, by `taken`, and in what order."""

    taken: str = "all"
    order: str = NAME


class Gone(BadRequest):
    """By time a file has a place only while it is there."""

    title = "A file that no longer exists has no place by time: use offset."


def page(index: Index, view: View, *, offset: int, limit: int) -> list[Row]:
    """`limit` files after the first `offset`."""
    with index.reading():
        if view.order == FOLDER:
            return ByFolder(index, view.taken).page(offset, limit)
        run = TIMES if view.order == TIME else TREE
        return rows_of(index.runs.page(run, view.taken, offset=offset, limit=limit))


def after(index: Index, view: View, path: bytes, *, limit: int) -> list[Row]:
    """`limit` files behind `path`. Raises `Gone`."""
    with index.reading():
        if view.order == FOLDER:
            return ByFolder(index, view.taken).after(path, limit)
        run, key = place_in(index, view, path)
        return rows_of(index.runs.after(run, view.taken, key, limit=limit))


def position(index: Index, view: View, path: bytes) -> int:
    """How many files stand before `path`. Raises `Gone`."""
    with index.reading():
        if view.order == FOLDER:
            return ByFolder(index, view.taken).position(path)
        run, key = place_in(index, view, path)
        return index.runs.place(run, view.taken, key)


def place_in(index: Index, view: View, path: bytes) -> tuple[int, bytes]:
    if view.order != TIME:
        return TREE, key_of(path)
    key = time_key_of(index, path)
    if key is None:
        raise Gone
    return TIMES, key


class Part(NamedTuple):
    """A block of a folder's names: `folder` in the order of folders, its first name, and how many are taken."""

    folder: bytes
    first: bytes
    number: int
    taken: int
    path: bytes


def folder_key(path: bytes) -> bytes:
    """Folders are ordered step by step: what lies in `a` comes before `a-b`."""
    return path.replace(b"/", b"\0")


class ByFolder:
    """All files by folder, then name; a folder's own come before those of the folders in it."""

    def __init__(self, index: Index, taken: str) -> None:
        self.runs, self.taken = index.runs, taken
        blocks = index.folder_blocks(taken)
        self.parts = sorted(Part(folder_key(path), first, number, count, path) for path, first, number, count in blocks)

    def page(self, offset: int, limit: int, start: int = 0) -> list[Row]:
        rows: list[Row] = []
        for part in self.parts[start:]:
            if len(rows) == limit:
                break
            if offset < part.taken:
                rows += self._rows(part, offset, offset + limit - len(rows))
            offset = max(0, offset - part.taken)
        return rows

    def after(self, path: bytes, limit: int) -> list[Row]:
        at, name = self._part_of(path)
        rows: list[Row] = []
        if at is not None:
            rows = [row for row in self._rows(self.parts[at]) if row.path.rpartition(b"/")[2] > name][:limit]
        return rows + self.page(0, limit - len(rows), self._behind(path))

    def position(self, path: bytes) -> int:
        at, name = self._part_of(path)
        before = sum(part.taken for part in self.parts[: self._behind(path)])
        if at is None:
            return before
        own = self._rows(self.parts[at])
        return before - len(own) + sum(row.path.rpartition(b"/")[2] < name for row in own)

    def _behind(self, path: bytes) -> int:
        """The number of parts that begin at or before `path`."""
        folder, _, name = path.rpartition(b"/")
        return bisect_right(self.parts, (folder_key(folder), name), key=lambda part: (part.folder, part.first))

    def _part_of(self, path: bytes) -> tuple[int | None, bytes]:
        """The part that holds `path`, or would; and its name."""
        folder, _, name = path.rpartition(b"/")
        at = self._behind(path) - 1
        return (at if at >= 0 and self.parts[at].path == folder else None), name

    def _rows(self, part: Part, start: int = 0, end: int | None = None) -> list[Row]:
        prefix = prefix_of(part.path)
        found = self.runs.taken_in(part.number, self.taken, start, end)
        return [Row(prefix + name, marks) for name, marks in found]
