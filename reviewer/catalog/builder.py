"""The first reading of a tree: the files of each folder, and all of them in the order of pages, in little memory.

Each folder's names are kept sorted and packed, in small blocks. They are merged in one go: blocks are opened in the
order of their first keys, and whatever stands before the first key of the next unopened one has its final place.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple

from reviewer.catalog.blocks import Block, Packed, cut, joined, packed, unpacked
from reviewer.catalog.index import FOLDER_BLOCK, TREE_BLOCK, Folder, prefix_of, tree_key

CLOSED: Final = 64  # names; the fewer, the narrower the part of the order that they span
BATCH_SIZE: Final = FOLDER_BLOCK // CLOSED
OPENED: Final = 32_000  # files at once, or as many as wait for their place


class Closed(NamedTuple):
    """Some names below `prefix`, packed, and where the first of them belongs."""

    first: bytes
    prefix: bytes
    names: Packed


class Tree:
    """What was found so far."""

    def __init__(self) -> None:
        self.folders: list[Folder] = []
        self.files = 0
        self._closed: list[list[Packed]] = []

    def add(self, folder: Folder, files: Mapping[bytes, int]) -> None:
        """A folder with the marks of its files by name."""
        names = sorted(files)
        block = Block(names, bytes(map(files.__getitem__, names)))
        self.folders.append(folder)
        self._closed.append([packed(part) for part in cut(block, CLOSED)])
        self.files += len(names)

    def by_folder(self) -> Iterator[tuple[Folder, Iterator[Packed]]]:
        """Each folder with its names."""
        for folder, closed in zip(self.folders, self._closed, strict=True):
            yield folder, (joined(closed[at : at + BATCH_SIZE]) for at in range(0, len(closed), BATCH_SIZE))

    def in_order(self) -> Iterator[Packed]:
        """All files, in the order of pages."""
        closed = []
        for folder, parts in zip(self.folders, self._closed, strict=True):
            prefix = prefix_of(folder.path)
            closed += [Closed(tree_key(prefix, names.first), prefix, names) for names in parts]
        closed.sort()
        return merged(closed)


def merged(closed: list[Closed]) -> Iterator[Packed]:
    waiting: list[bytes] = []
    marks: dict[bytes, int] = {}  # of those of them that have any
    at = 0
    while at < len(closed):
        enough = len(waiting) + max(OPENED, len(waiting))
        while at < len(closed) and len(waiting) < enough:
            unpack(closed[at], waiting, marks)
            at += 1
        waiting.sort()
        final = bisect_left(waiting, closed[at].first) // TREE_BLOCK * TREE_BLOCK if at < len(closed) else len(waiting)
        for part in cut(Block(waiting[:final], with_marks(waiting[:final], marks)), TREE_BLOCK):
            yield packed(part)
        del waiting[:final]


def unpack(closed: Closed, waiting: list[bytes], marks: dict[bytes, int]) -> None:
    """Put the keys to those that wait for their place."""
    behind = b"\0" + closed.prefix
    keys = [name + behind + name for name in unpacked(closed.names.keys)]
    waiting += keys
    if closed.names.marks.strip(b"\0"):
        marks.update((key, mark) for key, mark in zip(keys, closed.names.marks, strict=True) if mark)


def with_marks(keys: list[bytes], marks: dict[bytes, int]) -> bytes:
    return bytes(marks.pop(key, 0) for key in keys) if marks else bytes(len(keys))
