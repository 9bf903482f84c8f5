"""The sort order of all files by time. The first request for it adds it to an index.

That request calls `stat` for every file, which takes about as long as scanning the tree, or longer on a slow card.
Later requests only check the files of changed folders; a file that was overwritten in place is detected when a page
shows it. A file's time is its mtime, unless the ctime is earlier: then the camera's clock was ahead.

`TIMES` is the run of all files with keys of time and path. Each folder also has a run of names and times, which is
used to find the keys in `TIMES`.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import TYPE_CHECKING, Final

from nvr.media.files.companions import earlier_time_ns
from reviewer.catalog.blocks import Block, PackedBlock, pack

if TYPE_CHECKING:
    from reviewer.catalog.index import Folder, Index

TIMES: Final = -1
BLOCK_SIZE: Final = 1000
MIN_NS: Final = -(2**63)
TABLE: Final = "CREATE TABLE timed (folder INTEGER PRIMARY KEY)"  # folders with up-to-date times in `TIMES`


def times_run(folder: int) -> int:
    return TIMES - folder


def time_of(file_stat: os.stat_result) -> int:
    return max(MIN_NS, min(earlier_time_ns(file_stat), -MIN_NS - 1))


def encode_time(time_ns: int) -> bytes:
    """Encode a time as text that sorts like the time."""
    return b"%016x" % (time_ns - MIN_NS)


def time_key(code: bytes, path: bytes) -> bytes:
    return code + b"\0" + path


def time_key_of(index: Index, path: bytes) -> bytes | None:
    """Return the key in `TIMES` of the file at `path`, or None."""
    folder, _, name = path.rpartition(b"/")
    known = index.folder(folder)
    found = index.blocks.key_with_prefix(times_run(known.id), name + b"\0") if known else None
    return time_key(found.rpartition(b"\0")[2], path) if found else None


def codes_in(index: Index, folder: int) -> dict[bytes, bytes]:
    """Return the encoded times of a folder's files by name."""
    keys = (key.rpartition(b"\0") for key in index.blocks.all_marks(times_run(folder)))
    return {name: code for name, _, code in keys}


def folders_without_times(index: Index) -> list[Folder]:
    """Return the folders whose times have to be read (again)."""
    return index.folders("id NOT IN (SELECT folder FROM timed)")


def read_time_codes(folder_path: bytes, names: Iterable[bytes]) -> dict[bytes, bytes]:
    """Return the encoded times of the named files: of a link its target's time, of a missing file 1970."""
    found = {}
    for name in names:
        try:
            found[name] = encode_time(time_of(os.stat(folder_path + b"/" + name)))  # noqa: PTH116 - a million of them
        except OSError:
            found[name] = encode_time(0)
    return found


def has_times(index: Index) -> bool:
    return index.db.execute("SELECT 1 FROM timed LIMIT 1").fetchone() is not None


# Writing: call inside `Index.write_transaction`


def put_times(index: Index, folder: Folder, codes: Mapping[bytes, bytes]) -> None:
    """Write the times of all files of a folder. If a file was added meanwhile, the folder stays due for an update."""
    marks, old_codes = index.files_in(folder.id), codes_in(index, folder.id)
    prefix = folder.path + b"/" if folder.path else b""
    folder_changes: dict[bytes, int | None] = {}
    tree_changes: dict[bytes, int | None] = {}
    for name, code in old_codes.items():
        if codes.get(name) != code or name not in marks:
            folder_changes[name + b"\0" + code] = None
            tree_changes[time_key(code, prefix + name)] = None
    for name, code in codes.items():
        if name in marks:
            folder_changes[name + b"\0" + code] = 0
            tree_changes[time_key(code, prefix + name)] = marks[name]
    index.blocks.change(times_run(folder.id), folder_changes, size=BLOCK_SIZE)
    index.blocks.change(TIMES, tree_changes, size=BLOCK_SIZE)
    if marks.keys() <= codes.keys():
        index.db.execute("INSERT OR REPLACE INTO timed (folder) VALUES (?)", (folder.id,))


def apply_changes(index: Index, folder: int, prefix: bytes, changes: Mapping[bytes, int | None]) -> None:
    """Apply the changes of a folder's files. A new file makes the folder due for an update."""
    if not has_times(index):
        return
    folder_changes: dict[bytes, int | None] = {}
    tree_changes: dict[bytes, int | None] = {}
    for name, marks in changes.items():
        found = index.blocks.key_with_prefix(times_run(folder), name + b"\0")
        if found is None:
            mark_stale(index, folder)
            continue
        tree_changes[time_key(found.rpartition(b"\0")[2], prefix + name)] = marks
        if marks is None:
            folder_changes[found] = None
    index.blocks.change(times_run(folder), folder_changes, size=BLOCK_SIZE)
    index.blocks.change(TIMES, tree_changes, size=BLOCK_SIZE)


def mark_stale(index: Index, folder: int) -> None:
    """Make the folder due for an update. Until then its files keep their positions."""
    index.db.execute("DELETE FROM timed WHERE folder = ?", (folder,))


def drop_folder(index: Index, folder: int, prefix: bytes) -> None:
    keys = (key.rpartition(b"\0") for key in index.blocks.drop_run(times_run(folder)))
    removed: dict[bytes, int | None] = {time_key(code, prefix + name): None for name, _, code in keys}
    index.blocks.change(TIMES, removed, size=BLOCK_SIZE)
    mark_stale(index, folder)


class TimeIndexBuilder:
    """Builds the times of all files. SQLite sorts them on disk, in little memory."""

    def __init__(self, index: Index) -> None:
        self.index = index
        self.folders: list[tuple[Folder, list[PackedBlock]]] = []
        index.db.execute("CREATE TEMP TABLE IF NOT EXISTS sorting (key BLOB, marks INTEGER)")
        index.db.execute("DELETE FROM sorting")

    def add_folder(self, folder: Folder, marks: Mapping[bytes, int], codes: Mapping[bytes, bytes]) -> None:
        prefix = folder.path + b"/" if folder.path else b""
        folder_changes = sorted(name + b"\0" + code for name, code in codes.items())
        self.folders.append((folder, list(pack_rows((key, 0) for key in folder_changes))))
        rows = [(time_key(code, prefix + name), marks[name]) for name, code in codes.items()]
        self.index.db.execute("BEGIN")
        self.index.db.executemany("INSERT INTO sorting VALUES (?, ?)", rows)
        self.index.db.execute("COMMIT")

    def write(self) -> None:
        """Write the times inside `Index.write_transaction`. Folders that changed meanwhile stay due for an update."""
        index = self.index
        clear(index)
        number = index.blocks.next_block_id()
        number = index.blocks.fill(
            TIMES, pack_rows(index.db.execute("SELECT * FROM sorting ORDER BY key")), number=number
        )
        current = {folder.id: folder for folder in index.folders()}
        for folder, folder_changes in self.folders:
            if folder.id in current:
                number = index.blocks.fill(times_run(folder.id), folder_changes, number=number)
        unchanged = [(folder.id,) for folder, _ in self.folders if current.get(folder.id) == folder]
        index.db.executemany("INSERT INTO timed (folder) VALUES (?)", unchanged)

    def close(self) -> None:
        self.index.db.execute("DROP TABLE IF EXISTS sorting")


def pack_rows(rows: Iterable[tuple[bytes, int]]) -> Iterator[PackedBlock]:
    rest = iter(rows)
    while block := list(islice(rest, BLOCK_SIZE)):
        yield pack(Block([key for key, _ in block], bytes(marks for _, marks in block)))


def clear(index: Index) -> None:
    index.blocks.drop_runs_below(0)
    index.db.execute("DELETE FROM timed")
