"""The index matches a sorted list of the same files after many changes."""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest

from reviewer.catalog.blocks import FILTERS, BlockStore
from reviewer.catalog.builder import CatalogBuilder
from reviewer.catalog.index import FOLDER_BLOCK, TREE_BLOCK, Folder, Index, Row, key_of, prefix_of
from reviewer.catalog.media_types import Mark

FILTER_MATCHES: dict[str, Callable[[int], bool]] = {
    "all": lambda marks: True,
    "unseen": lambda marks: not marks & Mark.SEEN,
    "seen": lambda marks: bool(marks & Mark.SEEN),
    "locked": lambda marks: bool(marks & Mark.LOCKED),
    "trashed": lambda marks: bool(marks & Mark.TRASHED),
}
Files = dict[bytes, int]


@pytest.fixture
def index(tmp_path: Path) -> Iterator[Index]:
    index = Index(tmp_path / "index.sqlite3")
    yield index
    index.close()


def folder_at(path: bytes) -> Folder:
    return Folder(path, mtime_ns=1, listed_ns=2, recheck_ns=0)


def put(index: Index, path: bytes, changes: dict[bytes, int | None]) -> None:
    with index.write_transaction():
        known = index.folder(path)
        index.change_files(known.id if known else index.put_folder(folder_at(path)), path, changes)


def expected(files: Files, filter_name: str) -> list[Row]:
    return [
        Row(path, files[path])
        for path in sorted(files, key=lambda path: key_of(path))
        if FILTER_MATCHES[filter_name](files[path])
    ]


def check(index: Index, files: Files, rng: random.Random) -> None:
    """Compare counts, pages at any offset and pages after any path with the list."""
    assert index.counts() == {filter_name: len(expected(files, filter_name)) for filter_name in FILTERS}
    for filter_name in FILTERS:
        rows = expected(files, filter_name)
        assert index.page(filter_name, limit=10**6) == rows
        offset = rng.randrange(len(rows) + 2)
        assert index.page(filter_name, offset=offset, limit=7) == rows[offset : offset + 7]
        path = rng.choice([*files, b"nowhere/IMG_0100.JPG", b"", b"zzz"])
        following = [row for row in rows if key_of(row.path) > key_of(path)]
        assert index.after(filter_name, path, 2500) == following[:2500]


def test_files_are_sorted_by_name_then_path(index: Index) -> None:
    for path in (b"", b"a", b"a/100", b"a-b", b"b"):
        put(index, path, {b"IMG_1.JPG": 0, b"IMG_1.JPG.JPG": 0})

    rows = [row.path for row in index.page("all")]

    paths = [prefix_of(path) + name for path in (b"", b"a", b"a/100", b"a-b", b"b") for name in (b"IMG_1.JPG",)]
    assert rows[:5] == sorted(paths)
    assert [path.rpartition(b"/")[2] for path in rows] == [b"IMG_1.JPG"] * 5 + [b"IMG_1.JPG.JPG"] * 5


@pytest.mark.parametrize("seed", range(4))
def test_many_changes_match_a_sorted_list(index: Index, seed: int) -> None:
    rng = random.Random(seed)
    files: Files = {}
    for _ in range(30):
        path = rng.choice([b"", b"a", b"a/b", b"c"])
        prefix = prefix_of(path)
        names = [b"IMG_%04d.JPG" % rng.randrange(3000) for _ in range(rng.choice([1, 5, 2500]))]
        changes = {name: rng.choice([None, 0, 1, 2, 4, 7, 7]) for name in names}
        put(index, path, changes)
        for name, marks in changes.items():
            files.pop(prefix + name, None)
            if marks is not None:
                files[prefix + name] = marks

    check(index, files, rng)
    for path in (b"a", b"c"):
        known = index.folder(path)
        assert known is not None
        own = {row.path.rpartition(b"/")[2]: row.marks for row in expected(files, "all") if is_in(row.path, path)}
        assert index.files_in(known.id) == own


def is_in(path: bytes, folder: bytes) -> bool:
    return path.rpartition(b"/")[0] == folder


def test_first_scan_matches_adding_folder_by_folder(index: Index) -> None:
    rng, builder = random.Random(9), CatalogBuilder()
    files: Files = {}
    for number in range(60):
        path = b"%03dMEDIA" % rng.randrange(10**6)
        names = {b"IMG_%05d.JPG" % rng.randrange(9000): rng.choice([0, 0, 4, 6]) for _ in range(20 * number)}
        builder.add_folder(folder_at(path), names)
        files |= {path + b"/" + name: marks for name, marks in names.items()}

    with index.write_transaction():
        index.fill(builder.by_folder(), builder.in_order())

    assert builder.files == len(files)
    check(index, files, rng)
    for folder in index.folders()[::7]:
        prefix = prefix_of(folder.path)
        assert index.files_in(folder.id) == {
            path.removeprefix(prefix): marks for path, marks in files.items() if path.startswith(prefix)
        }
    put(index, b"", {b"A.JPG": 2})
    assert index.page("all", limit=1) == [Row(b"A.JPG", 2)]


def test_empty_tree_can_be_filled_later(index: Index) -> None:
    builder = CatalogBuilder()
    builder.add_folder(folder_at(b""), {})
    with index.write_transaction():
        index.fill(builder.by_folder(), builder.in_order())
    assert index.page("all") == []

    put(index, b"", {b"B.JPG": 0})
    put(index, b"", {b"A.JPG": 0})

    assert [row.path for row in index.page("all")] == [b"A.JPG", b"B.JPG"]


def test_dropping_a_folder_drops_its_files(index: Index) -> None:
    for path in (b"a", b"b"):
        put(index, path, {b"IMG_%04d.JPG" % number: 2 for number in range(3 * TREE_BLOCK)})
    dropped = index.folder(b"a")
    assert dropped is not None

    with index.write_transaction():
        index.drop_folder(dropped)

    assert index.counts()["trashed"] == 3 * TREE_BLOCK
    assert {row.path[:1] for row in index.page("all", limit=10**6)} == {b"b"}
    assert index.files_in(dropped.id) == {}


def test_large_blocks_are_split(index: Index) -> None:
    put(index, b"", {b"IMG_%06d.JPG" % number: 0 for number in range(10 * TREE_BLOCK)})
    for start in range(0, 5000, 500):
        put(index, b"", {b"IMG_000001-%04d.JPG" % number: 0 for number in range(start, start + 500)})

    sizes = [size for (size,) in index.db.execute('SELECT "all" FROM head WHERE run = 0')]

    assert sum(sizes) == 10 * TREE_BLOCK + 5000
    assert max(sizes) <= 2 * TREE_BLOCK


def test_marking_does_not_write_keys(index: Index) -> None:
    put(index, b"", {b"IMG_%06d.JPG" % number: 0 for number in range(FOLDER_BLOCK)})
    index.db.execute("CREATE TEMP TRIGGER no_keys BEFORE INSERT ON keys BEGIN SELECT RAISE(ABORT, 'written'); END")

    put(index, b"", {b"IMG_000007.JPG": 4})

    assert index.counts()["seen"] == 1
    with pytest.raises(sqlite3.IntegrityError):
        put(index, b"", {b"NEW.JPG": 4})


def test_marks_of_returns_the_marks_of_one_file(index: Index) -> None:
    put(index, b"a", {b"IMG_1.JPG": 5})
    known = index.folder(b"a")
    assert known is not None

    assert index.marks_of(known.id, b"IMG_1.JPG") == 5
    assert index.marks_of(known.id, b"IMG_2.JPG") is None
    assert BlockStore(index.db).marks_of(77, b"IMG_1.JPG") is None


def test_concurrent_opening_of_a_new_index_succeeds(tmp_path: Path) -> None:
    ready = Barrier(8)

    def opened(file: Path) -> int:
        ready.wait()
        index = Index(file)
        try:
            return index.counts()["all"]
        finally:
            index.close()

    with ThreadPoolExecutor(8) as pool:
        for number in range(60):
            files = [tmp_path / f"{number}.sqlite3"] * 8
            assert list(pool.map(opened, files)) == [0] * 8


def test_full_disk_raises_an_error_and_keeps_the_index_usable(index: Index) -> None:
    put(index, b"", {b"IMG_1.JPG": 0})
    pages = index.db.execute("PRAGMA page_count").fetchone()[0]
    index.db.execute(f"PRAGMA max_page_count = {pages}")

    with pytest.raises(sqlite3.OperationalError, match="full"):
        put(index, b"a", {b"IMG_%05d.JPG" % number: 0 for number in range(20_000)})

    index.db.execute(f"PRAGMA max_page_count = {2**30}")
    put(index, b"", {b"IMG_2.JPG": 0})
    assert index.counts()["all"] == 2
