"""Pages of a million files to review: first, deep, by a rare filter, after a change; and NDJSON of 5 000 items."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import orjson
import pytest

from nvr.media.files.companions import apply_action
from reviewer.api.listings import lines
from reviewer.catalog import store
from reviewer.catalog.store import counts_of, page_of
from reviewer.items import items_of
from reviewer.models import ReviewPath

FOLDERS, FILES = 1000, 1000
SETTLED = (1_700_000_000, 1_700_000_000)


def spent_ms(work: Callable[[], object], rounds: int = 9) -> float:
    figures = []
    for _ in range(rounds):
        started = time.perf_counter()
        work()
        figures.append(1000 * (time.perf_counter() - started))
    return sorted(figures)[rounds // 2]


def filled(root: Path, folders: int) -> Path:
    for folder in range(folders):
        place = root / f"{folder:04}MEDIA"
        place.mkdir(parents=True)
        for number in range(FILES):
            os.close(os.open(place / f"IMG_{number:04}.JPG", os.O_CREAT | os.O_WRONLY))
        os.utime(place, SETTLED)
    os.utime(root, SETTLED)
    return root


@pytest.fixture
def tree(tmp_path: Path) -> Iterator[Path]:
    root = tmp_path.resolve() / "card"
    yield root
    shutil.rmtree(root)


def page_by_walk(root: Path, offset: int) -> list[tuple[str, os.stat_result]]:
    """The plain technique: walk, sort, cut, look at what is shown."""
    found = [(name, path) for path, _, names in os.walk(root) for name in names]
    found.sort()
    return [(name, (Path(path) / name).stat()) for name, path in found[offset : offset + 50]]


def plain_lines(items: list[dict[str, object]]) -> Iterator[bytes]:
    for item in items:
        yield json.dumps(item).encode() + b"\n"


@contextmanager
def reader() -> Iterator[Callable[[Iterable[bytes]], None]]:
    """Writes pieces, one call each, to another process that reads them."""
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, bufsize=0) as process:
        assert process.stdin is not None
        pipe = process.stdin

        def write(pieces: Iterable[bytes]) -> None:
            for piece in pieces:
                pipe.write(piece)

        yield write
        pipe.close()


@pytest.mark.timeout(900)
def test_pages_of_a_million_files(tree: Path, db: None) -> None:
    filled(tree, FOLDERS)
    root = ReviewPath.objects.create(path=str(tree))
    plain = spent_ms(lambda: page_by_walk(tree, 900_000), rounds=1)
    listed = spent_ms(lambda: os.system(f"find {tree} -printf '%p\\n' > /dev/null"), rounds=3)
    cold = spent_ms(lambda: page_of(root, "all", limit=50), rounds=1)
    print(f"\na million files, cold: ours {cold:,.0f} ms, find {listed:,.0f} ms; ratio {cold / listed:.1f}, goal 1.5")
    for name, work in {
        "first page": lambda: page_of(root, "all", limit=50),
        "page at 900 000": lambda: page_of(root, "all", offset=900_000, limit=50),
        "counts": lambda: counts_of(root),
    }.items():
        ours = spent_ms(work)
        print(f"{name}: ours {ours:.1f} ms, walking {plain:,.0f} ms; ratio {plain / ours:,.0f}, goal 10 ms")

    timed = spent_ms(lambda: page_of(root, "all", limit=50, order="time"), rounds=1)
    print(f"all times, the first time: ours {timed:,.0f} ms")
    for order in ("folder", "time"):
        ours = spent_ms(lambda order=order: page_of(root, "all", offset=900_000, limit=50, order=order))  # type: ignore[misc]
        print(f"page at 900 000 by {order}: ours {ours:.1f} ms, goal 10 ms")

    def changed() -> None:
        apply_action(tree / "0500MEDIA" / "IMG_0500.JPG", "seen")
        os.utime(tree / "0500MEDIA", (SETTLED[0], time.time() - 10))
        page_of(root, "all", offset=500_000, limit=50)

    print(f"one directory changed: ours {spent_ms(changed):.1f} ms, goal 15 ms")
    apply_action(tree / "0999MEDIA" / "IMG_0999.JPG", "lock")
    os.utime(tree / "0999MEDIA", (SETTLED[0], time.time() - 10))
    page_of(root, "locked", limit=50)
    print(f"the one locked file: ours {spent_ms(lambda: page_of(root, 'locked', limit=50)):.1f} ms, goal 10 ms")
    for folder in range(100):
        for number in range(FILES):
            os.close(os.open(tree / f"{folder:04}MEDIA" / f"IMG_{number:04}.JPG.seen", os.O_CREAT | os.O_WRONLY))
        os.utime(tree / f"{folder:04}MEDIA", SETTLED)
    counts_of(root)
    print(f"counts with 100 000 marked files: ours {spent_ms(lambda: counts_of(root)):.1f} ms, goal 10 ms")
    store.scanner_of(root).index.close()
    store._local.opened.clear()


def test_ndjson_of_5000_items(tree: Path, db: None) -> None:
    filled(tree, 5)
    root = ReviewPath.objects.create(path=str(tree))
    rows = page_of(root, "all", limit=5000)
    items = list(items_of(root, rows))
    with reader() as write:
        whole = spent_ms(lambda: write(lines(items_of(root, rows))))
        writer = spent_ms(lambda: write(lines(items)))
        plain = spent_ms(lambda: write(plain_lines(items)))

    assert orjson.loads(list(lines(items))[-1].splitlines()[-1]) == {"type": "done", "count": 5000}
    print(
        f"\n5 000 items: writer {5000 / writer:,.0f} k/s, json.dumps, a write a line {5000 / plain:,.0f} k/s;",
        end=" ",
    )
    print(f"ratio {plain / writer:.1f}, goal 15; whole endpoint, probes known {5000 / whole:,.0f} k/s, goal 100 k/s")
    store.scanner_of(root).index.close()
    store._local.opened.clear()
