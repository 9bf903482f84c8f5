"""Ingest without a detector: a scanner of 1 000 folders in which nothing changed, and a backlog of pictures.

The plain techniques: walking the tree and looking at each file; one insert for each file, which is read whole, decoded
and hashed before it.
"""

from __future__ import annotations

import hashlib
import io
import os
import shutil
import sqlite3
import time
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pytest
from PIL import Image

from cameras.models import Camera
from media_serving.ingest import processor
from media_serving.ingest.ledger import enter
from media_serving.ingest.scanner import Scanner
from media_serving.models import Upload
from nvr.media.images import opening as images
from tests.factories import folder_of, make_camera
from tests.servers import report

FOLDERS, FILES, BACKLOG, ROUNDS = 1000, 20, 2000, 7
SETTLED = (1_700_000_000, 1_700_000_000)


@pytest.fixture
def tree(tmp_path: Path) -> Iterator[Path]:
    root = tmp_path / "camera"
    for folder in range(FOLDERS):
        place = root / f"{folder:04}"
        place.mkdir(parents=True)
        for number in range(FILES):
            os.close(os.open(place / f"{number:04}.jpg", os.O_CREAT | os.O_WRONLY))
        os.utime(place, SETTLED)
    os.utime(root, SETTLED)
    yield root
    shutil.rmtree(root)


def spent_ms(work: Callable[[], object]) -> float:
    figures = []
    for _ in range(ROUNDS):
        started = time.perf_counter()
        work()
        figures.append(1000 * (time.perf_counter() - started))
    return sorted(figures)[ROUNDS // 2]


def walked(root: Path) -> int:
    return sum((Path(path) / name).stat().st_size for path, _, names in os.walk(root) for name in names)


def test_a_sweep_in_which_nothing_changed(tree: Path) -> None:
    scanner = Scanner(os.fsencode(tree))
    assert len(list(scanner.scan())) == FOLDERS * FILES
    ours, plain = spent_ms(lambda: list(scanner.scan())), spent_ms(lambda: walked(tree))

    print(f"\nsweep of {FOLDERS} folders: ours {ours:.1f} ms, a walk {plain:.1f} ms, goal 10 ms")


def plainly(folder: Path, database: Path) -> None:
    with sqlite3.connect(database) as connection:
        connection.execute("CREATE TABLE file (path TEXT, digest TEXT)")
        for path in sorted(folder.iterdir()):
            data = path.read_bytes()
            with images.open_image(data) as image:
                image.load()
            connection.execute("INSERT INTO file VALUES (?, ?)", (str(path), hashlib.sha256(data).hexdigest()))
            connection.commit()


@pytest.fixture
def backlog(db: None) -> Camera:
    camera = make_camera("Yard", detector="none")
    for number in range(BACKLOG):
        name = f"20260131_{number // 360:02}{number // 60 % 60:02}{number % 60:02}.jpg"
        (folder_of(camera) / name).write_bytes(picture(number % 20))
    return camera


@cache
def picture(seed: int) -> bytes:
    """As large as a camera's: soft shapes under some noise."""
    soft = Image.radial_gradient("L").resize((768, 576)).rotate(7 * seed)
    buffer = io.BytesIO()
    Image.blend(soft, Image.effect_noise((768, 576), 40), 0.15).convert("RGB").save(buffer, "JPEG", quality=85)
    return buffer.getvalue()


def test_a_backlog(backlog: Camera, tmp_path: Path) -> None:
    started = time.perf_counter()
    enter(backlog, Scanner(os.fsencode(folder_of(backlog))).scan())
    processor.process_pending(budget_s=600)
    ours = BACKLOG / (time.perf_counter() - started)
    assert Upload.objects.filter(state="done").count() == BACKLOG
    started = time.perf_counter()
    plainly(folder_of(backlog), tmp_path / "plain.sqlite3")
    plain = BACKLOG / (time.perf_counter() - started)

    report(f"backlog of {BACKLOG} pictures without a detector", ours, plain, "decode, hash, insert", 50)
