"""The order of all files by time: kept beside an index from the first time on that somebody asks for it.

All files are looked at then, which takes about as long as reading the tree, or longer on a slow card. Later only those
of folders that have changed are; one that was written over in place is noticed when it is shown. A file's time is its
mtime, unless the file system knows that it changed earlier than that: then the camera's clock was ahead.

`TIMES` is the run of all files: time and path. Of each folder there is a run of names with their times as well, by
which the first one's keys are found.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import TYPE_CHECKING, Final

from nvr.media.files.companions import earlier_time_ns
from reviewer.catalog.blocks import Block, Packed, packed

if TYPE_CHECKING:
    from reviewer.catalog.index import Folder, Index

TIMES: Final = -1
BLOCK: Final = 1000
MIN_NS: Final = -(2**63)
TABLE: Final = "CREATE TABLE timed (folder INTEGER PRIMARY KEY)"  # whose files have their time in `TIMES`


def times_run(folder: int) -> int:
    return TIMES - folder


def time_of(facts: os.stat_result) -> int:
    return max(MIN_NS, min(earlier_time_ns(facts), -MIN_NS - 1))


def code_of(time_ns: int) -> bytes:
    """As text, in the order of times."""
    return b"%016x" % (time_ns - MIN_NS)


def time_key(code: bytes, path: bytes) -> bytes:
    return code + b"\0" + path


def time_key_of(index: Index, path: bytes) -> bytes | None:
    """The key in `TIMES` of the file at `path`, if it is known."""
    folder, _, name = path.rpartition(b"/")
    known = index.folder(folder)
    found = index.runs.beginning_with(times_run(known.id), name + b"\0") if known else None
    return time_key(found.rpartition(b"\0")[2], path) if found else None


def codes_in(index: Index, folder: int) -> dict[bytes, bytes]:
    """The times of a folder's files by name."""
    keys = (key.rpartition(b"\0") for key in index.runs.whole(times_run(folder)))
    return {name: code for name, _, code in keys}


def untimed(index: Index) -> list[Folder]:
    """The folders whose files' times have to be looked at (again)."""
    return index.folders("id NOT IN (SELECT folder FROM timed)")


def looked_up(place: bytes, names: Iterable[bytes]) -> dict[bytes, bytes]:
    """The times of the files of these names, of a link that of what it leads to; of one that is gone that of 1970."""
    found = {}
    for name in names:
        try:
            found[name] = code_of(time_of(os.stat(place + b"/" + name)))  # noqa: PTH116 - a million of them
        except OSError:
            found[name] = code_of(0)
    return found


def is_kept(index: Index) -> bool:
    return index.db.execute("SELECT 1 FROM timed LIMIT 1").fetchone() is not None


# Writing, inside of `Index.writing`


def put_times(index: Index, folder: Folder, codes: Mapping[bytes, bytes]) -> None:
    """The times of all of a folder's files. One that came meanwhile leaves the folder to be looked at again."""
    marks, before = index.files_in(folder.id), codes_in(index, folder.id)
    prefix = folder.path + b"/" if folder.path else b""
    own: dict[bytes, int | None] = {}
    tree: dict[bytes, int | None] = {}
    for name, code in before.items():
        if codes.get(name) != code or name not in marks:
            own[name + b"\0" + code] = None
            tree[time_key(code, prefix + name)] = None
    for name, code in codes.items():
        if name in marks:
            own[name + b"\0" + code] = 0
            tree[time_key(code, prefix + name)] = marks[name]
    index.runs.change(times_run(folder.id), own, size=BLOCK)
    index.runs.change(TIMES, tree, size=BLOCK)
    if marks.keys() <= codes.keys():
        index.db.execute("INSERT OR REPLACE INTO timed (folder) VALUES (?)", (folder.id,))


def follow(index: Index, folder: int, prefix: bytes, changes: Mapping[bytes, int | None]) -> None:
    """The same changes as of the folder's files; a new one leaves the folder to be looked at again."""
    if not is_kept(index):
        return
    own: dict[bytes, int | None] = {}
    tree: dict[bytes, int | None] = {}
    for name, marks in changes.items():
        found = index.runs.beginning_with(times_run(folder), name + b"\0")
        if found is None:
            forget(index, folder)
            continue
        tree[time_key(found.rpartition(b"\0")[2], prefix + name)] = marks
        if marks is None:
            own[found] = None
    index.runs.change(times_run(folder), own, size=BLOCK)
    index.runs.change(TIMES, tree, size=BLOCK)


def forget(index: Index, folder: int) -> None:
    """Its files are to be looked at again; until then they stand where they stood."""
    index.db.execute("DELETE FROM timed WHERE folder = ?", (folder,))


def drop(index: Index, folder: int, prefix: bytes) -> None:
    keys = (key.rpartition(b"\0") for key in index.runs.drop(times_run(folder)))
    gone: dict[bytes, int | None] = {time_key(code, prefix + name): None for name, _, code in keys}
    index.runs.change(TIMES, gone, size=BLOCK)
    forget(index, folder)


class Gathered:
    """All times, the first time: they are put in order by SQLite, on disk, in little memory."""

    def __init__(self, index: Index) -> None:
        self.index = index
        self.folders: list[tuple[Folder, list[Packed]]] = []
        index.db.execute("CREATE TEMP TABLE IF NOT EXISTS sorting (key BLOB, marks INTEGER)")
        index.db.execute("DELETE FROM sorting")

    def add(self, folder: Folder, marks: Mapping[bytes, int], codes: Mapping[bytes, bytes]) -> None:
        prefix = folder.path + b"/" if folder.path else b""
        own = sorted(name + b"\0" + code for name, code in codes.items())
        self.folders.append((folder, list(in_blocks((key, 0) for key in own))))
        rows = [(time_key(code, prefix + name), marks[name]) for name, code in codes.items()]
        self.index.db.execute("BEGIN")
        self.index.db.executemany("INSERT INTO sorting VALUES (?, ?)", rows)
        self.index.db.execute("COMMIT")

    def put(self) -> None:
        """Inside of `Index.writing`. Folders that changed meanwhile are left to be looked at again."""
        index = self.index
        forget_all(index)
        number = index.runs.next_number()
        number = index.runs.fill(
            TIMES, in_blocks(index.db.execute("SELECT * FROM sorting ORDER BY key")), number=number
        )
        now = {folder.id: folder for folder in index.folders()}
        for folder, own in self.folders:
            if folder.id in now:
                number = index.runs.fill(times_run(folder.id), own, number=number)
        same = [(folder.id,) for folder, _ in self.folders if now.get(folder.id) == folder]
        index.db.executemany("INSERT INTO timed (folder) VALUES (?)", same)

    def close(self) -> None:
        self.index.db.execute("DROP TABLE IF EXISTS sorting")


def in_blocks(rows: Iterable[tuple[bytes, int]]) -> Iterator[Packed]:
    rest = iter(rows)
    while block := list(islice(rest, BLOCK)):
        yield packed(Block([key for key, _ in block], bytes(marks for _, marks in block)))


def forget_all(index: Index) -> None:
    index.runs.drop_below(0)
    index.db.execute("DELETE FROM timed")
