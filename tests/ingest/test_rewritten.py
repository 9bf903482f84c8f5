"""A picture whose name is written anew each second is ingested every few seconds, each time whole."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from media_serving.ingest import debounce as module
from media_serving.ingest import processor, snapshots
from media_serving.ingest.debounce import Debouncer
from media_serving.ingest.scanner import ScannedFile
from media_serving.models import Upload
from tests.factories import folder_of, jpeg, put
from tests.ingest.conftest import scanned, uploads
from tests.ingest.test_working import read_all


class Clock:
    """Stands in for `time.monotonic`: the tests wait for nothing."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now

    def time_ns(self) -> int:
        return 10**18


@pytest.fixture
def clock(monkeypatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(module, "time", clock)
    return clock


def scanned_file(name: bytes = b"a.jpg", *, written: float, size: int = 100, inode: int = 1) -> ScannedFile:
    """Of a file on a server whose clock is ahead: its age tells nothing."""
    ns = int((10**9 + written) * 1e9) + 10**18
    return ScannedFile(name, size, ns, ns, True, inode)


def settled_at(clock: Clock, each: Callable[[float], ScannedFile], *, until: float = 12.0) -> list[float]:
    debouncer, times, started = Debouncer(timedelta(seconds=2)), [], clock.now
    while clock.now - started < until:
        if debouncer.is_stable(each(clock.now - started)):
            times.append(clock.now - started)
        clock.now += 0.25
    return times


def test_what_is_rewritten_in_place_settles_every_few_seconds(clock):
    times = settled_at(clock, lambda at: scanned_file(written=at // 1, size=100 + int(at) % 3))

    assert 3 <= len(times) <= 6 and times[0] <= 3.5


def test_what_is_replaced_each_second_settles_every_few_seconds(clock):
    assert len(settled_at(clock, lambda at: scanned_file(written=at // 1, inode=int(at)))) >= 3


def test_what_is_replaced_faster_than_anybody_looks_settles_too(clock):
    assert len(settled_at(clock, lambda at: scanned_file(written=at, inode=int(at * 4)))) >= 3


def test_a_slow_upload_settles_at_its_end_only(clock):
    """It grows, with pauses that are longer than two looks."""
    times = settled_at(clock, lambda at: scanned_file(written=min(at // 1, 6), size=100 + 10 * int(min(at // 1, 6))))

    assert len(times) >= 1 and times[0] >= 8


def test_a_video_that_is_rewritten_settles_at_its_end_only(clock):
    """Not every one says where it ends."""
    assert settled_at(clock, lambda at: scanned_file(b"a.ts", written=at // 1, inode=int(at))) == []


def test_an_empty_file_settles_at_its_end_only(clock):
    assert settled_at(clock, lambda at: scanned_file(written=at // 1, size=0)) == []


@pytest.fixture
def rewriting(porch) -> Iterator[Callable[[Callable[[Path, bytes], None]], None]]:
    """Somebody who writes another picture under one name all the time, until the test is over."""
    stop, threads = threading.Event(), []

    def begin(write: Callable[[Path, bytes], None]) -> None:
        def go_on() -> None:
            number = 0
            while not stop.wait(0.4):
                number += 1
                write(folder_of(porch) / "snap.jpg", jpeg(320, 240, seed=number % 7))

        threads.append(threading.Thread(target=go_on))
        threads[0].start()

    yield begin
    stop.set()
    for thread in threads:
        thread.join()


def in_place(path: Path, data: bytes) -> None:
    path.write_bytes(data)


def replaced(path: Path, data: bytes) -> None:
    other = path.with_name("snap.jpg.tmp")
    other.write_bytes(data)
    other.replace(path)


@pytest.mark.parametrize("write", [in_place, replaced])
def test_what_is_rewritten_all_the_time_is_read_whole(porch, rewriting, write):
    put(folder_of(porch), "snap.jpg", jpeg(320, 240, seed=99), age_s=60)
    read_all(porch)
    rewriting(write)

    deadline = time.monotonic() + 60
    while Upload.objects.filter(state="done").count() < 3:
        assert time.monotonic() < deadline, uploads(porch)
        scanned(porch)
        Upload.objects.filter(state="waiting").update(retry_at=None)
        processor.process_pending()

    pictures = [jpeg(320, 240, seed=number) for number in range(7)]
    kept = Upload.objects.filter(is_kept=True)
    assert kept and all(row.kept_path.read_bytes() in pictures for row in kept)


def test_the_first_picture_of_a_name_that_never_holds_is_read_too(porch, monkeypatch):
    file = put(folder_of(porch), "snap.jpg", jpeg(320, 240, seed=1))
    scanned(porch)
    put(folder_of(porch), "snap.jpg", jpeg(320, 240, seed=2), age_s=5)
    processor.process_pending()
    assert uploads(porch)["snap.jpg"] == ("waiting", processor.CHANGED)

    put(folder_of(porch), "snap.jpg", jpeg(320, 240, seed=3), age_s=2)
    Upload.objects.update(retry_at=None)
    processor.process_pending()

    upload = Upload.objects.get()
    assert upload.state == "done" and upload.kept_path.read_bytes() == jpeg(320, 240, seed=3)
    assert upload.mtime_ns == file.stat().st_mtime_ns


def test_what_is_written_to_without_a_pause_is_no_picture_yet(porch, monkeypatch):
    put(folder_of(porch), "snap.jpg", jpeg(), age_s=60)
    read_all(porch)
    file = put(folder_of(porch), "snap.jpg", jpeg(seed=1), age_s=5)
    scanned(porch)
    monkeypatch.setattr(snapshots.time, "sleep", lambda seconds: os.utime(file))
    processor.process_pending()

    assert Upload.objects.latest("pk").state == "waiting"


def test_half_a_picture_that_holds_for_two_looks_waits_for_its_rest(porch):
    put(folder_of(porch), "snap.jpg", jpeg(320, 240), age_s=60)
    read_all(porch)
    put(folder_of(porch), "snap.jpg", jpeg(320, 240, seed=1)[:2000], age_s=0)
    scanned(porch)
    processor.process_pending()

    assert Upload.objects.latest("pk").state == "waiting"


def test_a_sighting_tells_one_inode_from_another(clock):
    one = scanned_file(written=0)

    assert one != replace(one, inode=2)
