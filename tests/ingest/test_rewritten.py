"""A picture that is rewritten every second is ingested every few seconds, complete each time."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from media_serving.ingest import processor, snapshots
from media_serving.ingest.scanner import ScannedFile
from media_serving.ingest.watching import debounce as module
from media_serving.ingest.watching.debounce import Debouncer
from media_serving.models import Upload
from tests.factories import folder_of, jpeg, put
from tests.ingest.conftest import scan_and_enter, uploads
from tests.ingest.test_working import process_all


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
    """A file on a server whose clock is ahead: its age is meaningless."""
    ns = int((10**9 + written) * 1e9) + 10**18
    return ScannedFile(name, size, ns, ns, True, inode)


def stable_times(clock: Clock, each: Callable[[float], ScannedFile], *, until: float = 12.0) -> list[float]:
    debouncer, times, started = Debouncer(timedelta(seconds=2)), [], clock.now
    while clock.now - started < until:
        if debouncer.is_stable(each(clock.now - started)):
            times.append(clock.now - started)
        clock.now += 0.25
    return times


def test_a_file_rewritten_in_place_is_stable_every_few_seconds(clock):
    times = stable_times(clock, lambda at: scanned_file(written=at // 1, size=100 + int(at) % 3))

    assert 3 <= len(times) <= 6 and times[0] <= 3.5


def test_a_file_replaced_every_second_is_stable_every_few_seconds(clock):
    assert len(stable_times(clock, lambda at: scanned_file(written=at // 1, inode=int(at)))) >= 3


def test_a_file_replaced_faster_than_it_is_polled_is_stable_too(clock):
    assert len(stable_times(clock, lambda at: scanned_file(written=at, inode=int(at * 4)))) >= 3


def test_a_slow_upload_is_stable_only_at_its_end(clock):
    """The file grows, with pauses longer than two checks."""
    times = stable_times(clock, lambda at: scanned_file(written=min(at // 1, 6), size=100 + 10 * int(min(at // 1, 6))))

    assert len(times) >= 1 and times[0] >= 8


def test_a_rewritten_video_is_stable_only_at_its_end(clock):
    """Not every video has an end marker."""
    assert stable_times(clock, lambda at: scanned_file(b"a.ts", written=at // 1, inode=int(at))) == []


def test_an_empty_file_is_stable_only_at_its_end(clock):
    assert stable_times(clock, lambda at: scanned_file(written=at // 1, size=0)) == []


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
def test_a_constantly_rewritten_picture_is_read_completely(porch, rewriting, write):
    put(folder_of(porch), "snap.jpg", jpeg(320, 240, seed=99), age_s=60)
    process_all(porch)
    rewriting(write)

    deadline = time.monotonic() + 60
    while Upload.objects.filter(state="done").count() < 3:
        assert time.monotonic() < deadline, uploads(porch)
        scan_and_enter(porch)
        Upload.objects.filter(state="waiting").update(retry_at=None)
        processor.process_pending()

    pictures = [jpeg(320, 240, seed=number) for number in range(7)]
    kept = Upload.objects.filter(is_kept=True)
    assert kept and all(row.kept_path.read_bytes() in pictures for row in kept)


def test_the_first_picture_of_a_constantly_rewritten_name_is_read_too(porch, monkeypatch):
    file = put(folder_of(porch), "snap.jpg", jpeg(320, 240, seed=1))
    scan_and_enter(porch)
    put(folder_of(porch), "snap.jpg", jpeg(320, 240, seed=2), age_s=5)
    processor.process_pending()
    assert uploads(porch)["snap.jpg"] == ("waiting", processor.CHANGED)

    put(folder_of(porch), "snap.jpg", jpeg(320, 240, seed=3), age_s=2)
    Upload.objects.update(retry_at=None)
    processor.process_pending()

    upload = Upload.objects.get()
    assert upload.state == "done" and upload.kept_path.read_bytes() == jpeg(320, 240, seed=3)
    assert upload.mtime_ns == file.stat().st_mtime_ns


def test_a_picture_that_changes_during_every_read_keeps_waiting(porch, monkeypatch):
    put(folder_of(porch), "snap.jpg", jpeg(), age_s=60)
    process_all(porch)
    file = put(folder_of(porch), "snap.jpg", jpeg(seed=1), age_s=5)
    scan_and_enter(porch)
    monkeypatch.setattr(snapshots.time, "sleep", lambda seconds: os.utime(file))
    processor.process_pending()

    assert Upload.objects.latest("pk").state == "waiting"


def test_half_a_picture_that_is_stable_waits_for_the_rest(porch):
    put(folder_of(porch), "snap.jpg", jpeg(320, 240), age_s=60)
    process_all(porch)
    put(folder_of(porch), "snap.jpg", jpeg(320, 240, seed=1)[:2000], age_s=0)
    scan_and_enter(porch)
    processor.process_pending()

    assert Upload.objects.latest("pk").state == "waiting"


def test_scanned_files_with_different_inodes_differ(clock):
    one = scanned_file(written=0)

    assert one != replace(one, inode=2)
