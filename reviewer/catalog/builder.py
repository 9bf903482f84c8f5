"""The first scan of a tree: collects the files of each folder and sorts all files in page order, in little memory.

The names of each folder are stored sorted and packed, in small blocks. One pass merges all blocks: it unpacks them in
the order of their first keys. Keys that sort before the first key of the next packed block are final.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple

from reviewer.catalog.blocks import Block, PackedBlock, join_packed, pack, split_block, unpack_keys
from reviewer.catalog.index import FOLDER_BLOCK, TREE_BLOCK, Folder, prefix_of, tree_key

NAMES_PER_BLOCK: Final = 64  # small blocks span a narrow key range
BATCH_SIZE: Final = FOLDER_BLOCK // NAMES_PER_BLOCK
MERGE_BATCH_SIZE: Final = 32_000  # files to unpack at once, or as many as are pending if that is more


class NameBlock(NamedTuple):
    """Packed names of files below `prefix`, and the tree key of the first one."""

    first: bytes
    prefix: bytes
    names: PackedBlock


class CatalogBuilder:
    """The folders and files that the scan has found."""

    def __init__(self) -> None:
        self.folders: list[Folder] = []
        self.files = 0
        self._name_blocks: list[list[PackedBlock]] = []

    def add_folder(self, folder: Folder, files: Mapping[bytes, int]) -> None:
        """Add a folder with the marks of its files by name."""
        names = sorted(files)
        block = Block(names, bytes(map(files.__getitem__, names)))
        self.folders.append(folder)
        self._name_blocks.append([pack(part) for part in split_block(block, NAMES_PER_BLOCK)])
        self.files += len(names)

    def by_folder(self) -> Iterator[tuple[Folder, Iterator[PackedBlock]]]:
        """Yield each folder with its names."""
        for folder, name_blocks in zip(self.folders, self._name_blocks, strict=True):
            yield (
                folder,
                (join_packed(name_blocks[at : at + BATCH_SIZE]) for at in range(0, len(name_blocks), BATCH_SIZE)),
            )

    def in_order(self) -> Iterator[PackedBlock]:
        """Yield all files in page order."""
        name_blocks = []
        for folder, parts in zip(self.folders, self._name_blocks, strict=True):
            prefix = prefix_of(folder.path)
            name_blocks += [NameBlock(tree_key(prefix, names.first), prefix, names) for names in parts]
        name_blocks.sort()
        return merge_blocks(name_blocks)


def merge_blocks(name_blocks: list[NameBlock]) -> Iterator[PackedBlock]:
    pending: list[bytes] = []
    marks: dict[bytes, int] = {}  # of the pending keys that have marks
    at = 0
    while at < len(name_blocks):
        max_pending = len(pending) + max(MERGE_BATCH_SIZE, len(pending))
        while at < len(name_blocks) and len(pending) < max_pending:
            add_keys(name_blocks[at], pending, marks)
            at += 1
        pending.sort()
        final_count = (
            bisect_left(pending, name_blocks[at].first) // TREE_BLOCK * TREE_BLOCK
            if at < len(name_blocks)
            else len(pending)
        )
        for part in split_block(Block(pending[:final_count], marks_for(pending[:final_count], marks)), TREE_BLOCK):
            yield pack(part)
        del pending[:final_count]


def add_keys(block: NameBlock, pending: list[bytes], marks: dict[bytes, int]) -> None:
    """Add the keys of a block to the pending ones."""
    suffix = b"\0" + block.prefix
    keys = [name + suffix + name for name in unpack_keys(block.names.keys)]
    pending += keys
    if block.names.marks.strip(b"\0"):
        marks.update((key, mark) for key, mark in zip(keys, block.names.marks, strict=True) if mark)


def marks_for(keys: list[bytes], marks: dict[bytes, int]) -> bytes:
    return bytes(marks.pop(key, 0) for key in keys) if marks else bytes(len(keys))
