"""The files that a scan finds, and when a file is stable."""

from __future__ import annotations

import os
import time
from dataclasses import replace
from datetime import timedelta

import pytest

from media_serving.ingest.scanner import ScannedFile, Scanner, stat_file
from media_serving.ingest.watching.camera_watcher import CameraWatcher
from media_serving.ingest.watching.debounce import Debouncer
from nvr.media.files.mtime import MTIME_GRANULARITY_NS
from tests.factories import jpeg, put


@pytest.fixture
def root(tmp_path):
    for name in ("a.jpg", "2026-01-31/b.jpg", "2026-01-31/001/c.mp4"):
        put(tmp_path, name, jpeg(), age_s=60)
    for folder in (tmp_path, tmp_path / "2026-01-31", tmp_path / "2026-01-31/001"):
        os.utime(folder, (time.time() - 30, time.time() - 30))
    return tmp_path


def names(scanner, *, full=False):
    return sorted(scanned_file.raw for scanned_file in scanner.scan(full=full))


def test_files_in_nested_folders_are_found_once(root):
    scanner = Scanner(os.fsencode(root))

    assert names(scanner) == [b"2026-01-31/001/c.mp4", b"2026-01-31/b.jpg", b"a.jpg"]
    assert names(scanner) == []


def test_only_changed_folders_are_listed_again(root, monkeypatch):
    scanner = Scanner(os.fsencode(root))
    names(scanner)
    listed = []
    scandir = os.scandir
    monkeypatch.setattr("os.scandir", lambda place: listed.append(place) or scandir(place))
    put(root, "2026-01-31/new.jpg", jpeg())

    assert names(scanner) == [b"2026-01-31/new.jpg"]
    assert listed == [os.fsencode(root / "2026-01-31")]


def test_a_full_scan_finds_an_overwritten_file(root):
    scanner = Scanner(os.fsencode(root))
    names(scanner)
    put(root, "a.jpg", jpeg(seed=1), age_s=40)

    assert names(scanner) == []
    assert b"a.jpg" in names(scanner, full=True)


def test_a_folder_that_was_moved_in_is_found_with_all_its_files(root, tmp_path_factory):
    scanner = Scanner(os.fsencode(root))
    names(scanner)
    other = tmp_path_factory.mktemp("other") / "moved"
    put(other, "deep/x.jpg", jpeg(), age_s=3600)
    other.rename(root / "moved")

    assert names(scanner) == [b"moved/deep/x.jpg"]


@pytest.mark.parametrize(
    "name",
    [
        ".hidden.jpg",
        ".in.a.jpg.",
        "a.jpg.part",
        "a.jpg.TMP",
        "a.filepart",
        "a.jpg~",
        "a.jpg.seen",
        "Thumbs.db",
        "a.mp4_",
        "A.JPG_",
        "a.jpg.!qB",
        "a.jpg.incomplete",
        "a.mp4.aria2",
        "a.jpg.opdownload",
        "a.mp4-part",
    ],
)
def test_unfinished_and_foreign_files_are_ignored(root, name):
    put(root, name, jpeg())
    put(root, "beside.jpg", jpeg())

    found = names(Scanner(os.fsencode(root)))
    assert b"beside.jpg" in found
    assert os.fsencode(name) not in found


def test_hidden_folders_links_and_other_cameras_folders_are_not_scanned(root, tmp_path_factory):
    outside = tmp_path_factory.mktemp("outside")
    put(outside, "secret.jpg", jpeg())
    put(root, ".thumbnails/x.jpg", jpeg())
    put(root, "nested/y.jpg", jpeg())
    (root / "linked").symlink_to(outside)

    found = names(Scanner(os.fsencode(root), frozenset({os.fsencode(root / "nested")})))

    assert not {name for name in found if name.startswith((b".thumb", b"nested", b"linked/"))}
    assert b"nested/y.jpg" in names(Scanner(os.fsencode(root)))


def test_links_and_pipes_are_reported_as_not_regular(root):
    os.mkfifo(root / "pipe.jpg")
    (root / "link.jpg").symlink_to("/etc/passwd")

    found = {scanned_file.raw: scanned_file.is_regular for scanned_file in Scanner(os.fsencode(root)).scan()}

    assert (found[b"pipe.jpg"], found[b"link.jpg"], found[b"a.jpg"]) == (False, False, True)


@pytest.mark.parametrize("name", [b"new\nline.jpg", b"broken\xff.jpg", "right‮.jpg".encode(), b"x" * 251 + b".jpg"])
def test_any_name_on_the_disk_is_found(root, name):
    with open(os.fsencode(root) + b"/" + name, "wb") as file:
        file.write(jpeg())

    assert name in names(Scanner(os.fsencode(root)))


def test_a_folder_that_cannot_be_read_raises_an_error(tmp_path):
    with pytest.raises(OSError):
        list(Scanner(os.fsencode(tmp_path / "away")).scan())


class Clock:
    """The debouncer's clock; only the test advances it."""

    def __init__(self) -> None:
        self.now = time.time()

    def monotonic(self) -> float:
        return self.now

    def time_ns(self) -> int:
        return int(self.now * 1e9)


@pytest.fixture
def clock(monkeypatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr("media_serving.ingest.watching.debounce.time", clock)
    return clock


def test_a_file_is_stable_after_the_stable_time(root, clock):
    debouncer = Debouncer(timedelta(seconds=3))
    file = root / "a.jpg"

    def is_stable(after: float) -> bool:
        clock.now = file.stat().st_ctime + after
        return debouncer.is_stable(stat_file(os.fsencode(root), b"a.jpg"))

    file.write_bytes(b"begun")
    assert not is_stable(2)
    file.write_bytes(b"begun, and more")
    assert not is_stable(2)
    assert not is_stable(2.9)
    assert is_stable(3.1)
    assert len(debouncer) == 0


def test_with_a_wrong_clock_a_file_is_stable_after_being_watched(clock):
    debouncer = Debouncer(timedelta(seconds=3))
    ahead = clock.time_ns() + 3_600_000_000_000
    scanned_file = ScannedFile(b"a.jpg", 10, ahead, ahead, True)

    assert not debouncer.is_stable(scanned_file)
    clock.now += 2.9
    assert not debouncer.is_stable(scanned_file)
    clock.now += 0.2
    assert debouncer.is_stable(scanned_file)


def test_a_full_scan_returns_only_files_changed_since_the_last_one(root):
    scanner = Scanner(os.fsencode(root))

    def full_scan() -> list[bytes]:
        found = sorted(s.raw for batch in scanner.batches(full=True) for s in batch)
        scanner._last_full_scan = replace(
            scanner._last_full_scan, wall_ns=time.time_ns() + MTIME_GRANULARITY_NS
        )  # no need to wait that long
        return found

    assert len(full_scan()) == 3
    assert full_scan() == []
    put(root, "a.jpg", jpeg(seed=1), age_s=4000)  # a camera that sets the time itself
    put(root, "new.jpg", jpeg(), age_s=4000)
    assert full_scan() == [b"a.jpg", b"new.jpg"]


def test_after_a_clock_change_a_full_scan_returns_all_files(root):
    scanner = Scanner(os.fsencode(root))
    list(scanner.batches(full=True))
    now = scanner._last_full_scan
    scanner._last_full_scan = replace(now, wall_ns=now.wall_ns + 10**13, ahead_ns=now.ahead_ns + 10**13)

    assert len([s for batch in scanner.batches(full=True) for s in batch]) == 3


def test_without_reliable_folder_times_all_folders_are_listed(root):
    scanner = Scanner(os.fsencode(root))
    names(scanner)
    before = os.stat(root / "2026-01-31")
    put(root, "2026-01-31/new.jpg", jpeg())
    os.utime(root / "2026-01-31", ns=(before.st_atime_ns, before.st_mtime_ns))
    scanner._known[b"2026-01-31"].ctime_ns = os.stat(root / "2026-01-31").st_ctime_ns

    assert names(scanner) == []
    assert [s.raw for batch in scanner.batches(trust_mtimes=False) for s in batch] == [b"2026-01-31/new.jpg"]


# What Synology, QNAP and Windows put into a share by themselves, and their neighbours.
SYSTEM_FILES = [
    "@eaDir/front.jpg/SYNOPHOTO_THUMB_XL.jpg",
    "#recycle/old.jpg",
    "$RECYCLE.BIN/S-1-5-21-1/$R0ABCD.jpg",
    "@Recycle/gone.jpg",
    "#snapshot/GMT-2026/front.jpg",
    "lost+found/x.jpg",
    "System Volume Information/y.jpg",
    "2026/11/@eaDir/front.jpg",
    ".Trash-1000/files/z.jpg",
]


@pytest.mark.parametrize("name", SYSTEM_FILES)
def test_system_folders_are_not_scanned(root, porch, name):
    put(root, name, jpeg())
    folder = CameraWatcher(porch, Scanner(os.fsencode(root)))

    assert names(Scanner(os.fsencode(root))) == [b"2026-01-31/001/c.mp4", b"2026-01-31/b.jpg", b"a.jpg"]
    assert folder.file_at(os.fsencode(name)) is None


@pytest.mark.parametrize("name", ["#1 front/a.jpg", "recycle/a.jpg", "@home/a.jpg", "$5/a.jpg", "a_/b_.jpg"])
def test_folders_named_by_users_are_scanned(root, name):
    put(root, name, jpeg())

    assert os.fsencode(name) in names(Scanner(os.fsencode(root)))


def test_a_file_that_loses_its_unfinished_suffix_is_found(root):
    put(root, "20260131.mp4_", b"video")
    scanner = Scanner(os.fsencode(root))
    names(scanner)
    (root / "20260131.mp4_").rename(root / "20260131.mp4")

    assert names(scanner) == [b"20260131.mp4"]
