"""The sort orders of a review. In each order, every page costs the same.

The index itself is sorted by name. Sorting by folder needs no further data: the index has a run for each folder, and
folders are few. The sort order by time is built on the first request, because it needs a `stat` of every file.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from typing import Final, NamedTuple

from nvr.errors import BadRequest
from reviewer.catalog.index import TREE, Index, Row, key_of, prefix_of, rows_from_keys
from reviewer.catalog.times import TIMES, time_key_of

NAME: Final = "name"
FOLDER: Final = "folder"
TIME: Final = "time"
ORDERS: Final = (NAME, FOLDER, TIME)


@dataclass(frozen=True, slots=True)
class View:
    """A filter and a sort order."""

    filter_name: str = "all"
    order: str = NAME


class FileGone(BadRequest):
    """In the order by time, a file has a position only while it exists."""

    title = "A file that no longer exists has no position in the order by time. Use offset instead."


def page(index: Index, view: View, *, offset: int, limit: int) -> list[Row]:
    """Return up to `limit` files after skipping `offset` files."""
    with index.read_transaction():
        if view.order == FOLDER:
            return FolderOrder(index, view.filter_name).page(offset, limit)
        run = TIMES if view.order == TIME else TREE
        return rows_from_keys(index.blocks.page(run, view.filter_name, offset=offset, limit=limit))


def after(index: Index, view: View, path: bytes, *, limit: int) -> list[Row]:
    """Return up to `limit` files after `path`. Raises `FileGone`."""
    with index.read_transaction():
        if view.order == FOLDER:
            return FolderOrder(index, view.filter_name).after(path, limit)
        run, key = run_and_key(index, view, path)
        return rows_from_keys(index.blocks.after(run, view.filter_name, key, limit=limit))


def position(index: Index, view: View, path: bytes) -> int:
    """Return the number of files before `path`. Raises `FileGone`."""
    with index.read_transaction():
        if view.order == FOLDER:
            return FolderOrder(index, view.filter_name).position(path)
        run, key = run_and_key(index, view, path)
        return index.blocks.position(run, view.filter_name, key)


def run_and_key(index: Index, view: View, path: bytes) -> tuple[int, bytes]:
    if view.order != TIME:
        return TREE, key_of(path)
    key = time_key_of(index, path)
    if key is None:
        raise FileGone
    return TIMES, key


class FolderBlock(NamedTuple):
    """A block of a folder's names: `folder` is the sort key, `matches` the number of matching files."""

    folder: bytes
    first: bytes
    number: int
    matches: int
    path: bytes


def folder_key(path: bytes) -> bytes:
    """Return a sort key that compares path components: folders below `a` sort before `a-b`."""
    return path.replace(b"/", b"\0")


class FolderOrder:
    """All files by folder, then name. The files of a folder sort before those of its subfolders."""

    def __init__(self, index: Index, filter_name: str) -> None:
        self.blocks, self.filter_name = index.blocks, filter_name
        blocks = index.folder_blocks(filter_name)
        self.folder_blocks = sorted(
            FolderBlock(folder_key(path), first, number, count, path) for path, first, number, count in blocks
        )

    def page(self, offset: int, limit: int, start: int = 0) -> list[Row]:
        rows: list[Row] = []
        for block in self.folder_blocks[start:]:
            if len(rows) == limit:
                break
            if offset < block.matches:
                rows += self._rows(block, offset, offset + limit - len(rows))
            offset = max(0, offset - block.matches)
        return rows

    def after(self, path: bytes, limit: int) -> list[Row]:
        at, name = self._block_of(path)
        rows: list[Row] = []
        if at is not None:
            rows = [row for row in self._rows(self.folder_blocks[at]) if row.path.rpartition(b"/")[2] > name][:limit]
        return rows + self.page(0, limit - len(rows), self._count_up_to(path))

    def position(self, path: bytes) -> int:
        at, name = self._block_of(path)
        before = sum(block.matches for block in self.folder_blocks[: self._count_up_to(path)])
        if at is None:
            return before
        own = self._rows(self.folder_blocks[at])
        return before - len(own) + sum(row.path.rpartition(b"/")[2] < name for row in own)

    def _count_up_to(self, path: bytes) -> int:
        """Return the number of blocks that start at or before `path`."""
        folder, _, name = path.rpartition(b"/")
        return bisect_right(
            self.folder_blocks, (folder_key(folder), name), key=lambda block: (block.folder, block.first)
        )

    def _block_of(self, path: bytes) -> tuple[int | None, bytes]:
        """Return the position of the block that `path` belongs to, if any, and the file name."""
        folder, _, name = path.rpartition(b"/")
        at = self._count_up_to(path) - 1
        return (at if at >= 0 and self.folder_blocks[at].path == folder else None), name

    def _rows(self, block: FolderBlock, start: int = 0, end: int | None = None) -> list[Row]:
        prefix = prefix_of(block.path)
        found = self.blocks.block_rows(block.number, self.filter_name, start, end)
        return [Row(prefix + name, marks) for name, marks in found]
