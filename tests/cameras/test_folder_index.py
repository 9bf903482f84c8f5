"""The newest files of a folder: always correct, although few files are checked."""

from __future__ import annotations

import os
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from cameras.folders import index as folder_index
from cameras.folders.index import FolderIndex, FolderMissing, FolderUnreadable, index_of
from tests.factories import put, put_system_files


@pytest.fixture
def index(tmp_path: Path) -> FolderIndex:
    return FolderIndex(str(tmp_path))


def settle(*folders: Path) -> None:
    """Give directories old timestamps, so that every later change updates their mtime."""
    for folder in folders:
        timestamp = time.time() - 3600
        os.utime(folder, (timestamp, timestamp))


def names(index: FolderIndex, *, images: bool = True, videos: bool = True, excluded: frozenset[str] = frozenset()):
    return [Path(file.path).name for file in index.newest(images=images, videos=videos, excluded=excluded)]


def test_files_are_ordered_by_time_not_by_name(index: FolderIndex, tmp_path: Path) -> None:
    put(tmp_path, "z.jpg", b"x", age_s=30)
    put(tmp_path, "a.jpg", b"x", age_s=10)
    put(tmp_path, "m.mp4", b"x", age_s=20)

    assert names(index) == ["a.jpg", "m.mp4", "z.jpg"]
    assert names(index, videos=False) == ["a.jpg", "z.jpg"]
    assert names(index, images=False) == ["m.mp4"]


def test_a_new_file_is_found_at_once(index: FolderIndex, tmp_path: Path) -> None:
    put(tmp_path, "a.jpg", b"x", age_s=30)
    settle(tmp_path)
    names(index)

    put(tmp_path, "b.jpg", b"x", age_s=10)

    assert names(index) == ["b.jpg", "a.jpg"]


def test_the_next_older_file_is_found_when_the_newest_is_removed(index: FolderIndex, tmp_path: Path) -> None:
    for number in range(100):
        put(tmp_path, f"{number:03}.jpg", b"x", age_s=1000 - number)
    assert names(index)[0] == "099.jpg"

    for number in range(30, 100):
        (tmp_path / f"{number:03}.jpg").unlink()

    assert names(index) == [f"{number:03}.jpg" for number in range(29, -1, -1)]


def test_a_file_overwritten_in_place_is_found_at_once(index: FolderIndex, tmp_path: Path) -> None:
    put(tmp_path, "old.jpg", b"x", age_s=500)
    put(tmp_path, "new.jpg", b"x", age_s=300)
    settle(tmp_path)
    assert names(index) == ["new.jpg", "old.jpg"]

    with (tmp_path / "old.jpg").open("r+b") as file:
        file.write(b"longer")

    first = index.newest(images=True, videos=True)[0]
    assert (Path(first.path).name, first.size) == ("old.jpg", 6)


def test_a_change_in_a_subfolder_is_found_even_if_the_root_did_not_change(index: FolderIndex, tmp_path: Path) -> None:
    put(tmp_path, "2026/01/a.jpg", b"x", age_s=30)
    settle(tmp_path, tmp_path / "2026", tmp_path / "2026/01")
    assert names(index) == ["a.jpg"]

    put(tmp_path, "2026/01/b.jpg", b"x", age_s=10)
    assert names(index) == ["b.jpg", "a.jpg"]

    put(tmp_path, "2026/02/c.jpg", b"x", age_s=5)
    assert names(index) == ["c.jpg", "b.jpg", "a.jpg"]


def test_a_file_renamed_over_another_is_found(index: FolderIndex, tmp_path: Path) -> None:
    put(tmp_path, "a.jpg", b"x", age_s=300)
    settle(tmp_path)
    names(index)

    put(tmp_path, "tmp", b"newer", age_s=5).rename(tmp_path / "a.jpg")

    assert index.newest(images=True, videos=True)[0].size == 5


def test_a_folder_can_become_a_file_and_a_file_a_folder(index: FolderIndex, tmp_path: Path) -> None:
    put(tmp_path, "x/a.jpg", b"x", age_s=30)
    names(index)
    (tmp_path / "x/a.jpg").unlink()
    (tmp_path / "x").rmdir()

    assert names(index) == []
    put(tmp_path, "x/b.jpg", b"x", age_s=20)
    assert names(index) == ["b.jpg"]


def test_a_file_that_became_a_folder_is_entered_by_the_full_scan(
    index: FolderIndex, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folder_index, "FULL_SCAN_INTERVAL_S", 0.0)
    put(tmp_path, "day", b"x")
    names(index)
    (tmp_path / "day").unlink()
    put(tmp_path, "day/a.jpg", b"x")

    assert names(index) == ["a.jpg"]


@pytest.mark.parametrize("name", [".hidden/a.jpg", ".a.jpg", "a.txt", "a", "a.jpg.part", "a.jpg~"])
def test_hidden_and_foreign_files_are_ignored(index: FolderIndex, tmp_path: Path, name: str) -> None:
    put(tmp_path, name, b"x")
    put(tmp_path, "beside.jpg", b"x")

    assert names(index) == ["beside.jpg"]


def test_links_fifos_and_folders_named_like_pictures_are_ignored(index: FolderIndex, tmp_path: Path) -> None:
    inside = tmp_path / "cam"
    inside.mkdir()
    put(tmp_path, "elsewhere/secret.jpg", b"x")
    (inside / "file.jpg").symlink_to(tmp_path / "elsewhere/secret.jpg")
    (inside / "folder").symlink_to(tmp_path / "elsewhere")
    os.mkfifo(inside / "pipe.jpg")
    (inside / "dir.jpg").mkdir()
    put(inside, "plain.jpg", b"x")

    assert names(FolderIndex(str(inside))) == ["plain.jpg"]


def test_excluded_folders_are_skipped_until_they_are_included_again(index: FolderIndex, tmp_path: Path) -> None:
    put(tmp_path, "mine.jpg", b"x", age_s=20)
    put(tmp_path, "inner/theirs.jpg", b"x", age_s=10)
    inner = frozenset({str(tmp_path / "inner")})

    assert names(index, excluded=inner) == ["mine.jpg"]
    assert names(index) == ["theirs.jpg", "mine.jpg"]
    assert names(index, excluded=inner) == ["mine.jpg"]


def test_files_whose_names_are_not_utf_8_are_found(index: FolderIndex, tmp_path: Path) -> None:
    path = os.fsencode(tmp_path) + b"/caf\xe9.jpg"
    Path(os.fsdecode(path)).write_bytes(b"x")

    assert [os.fsencode(file.path) for file in index.newest(images=True, videos=True)] == [path]


def test_many_videos_do_not_displace_the_pictures(index: FolderIndex, tmp_path: Path) -> None:
    put(tmp_path, "a.jpg", b"x", age_s=5000)
    for number in range(100):
        put(tmp_path, f"{number}.mp4", b"x", age_s=number + 1)

    assert names(index, videos=False) == ["a.jpg"]
    assert len(names(index, images=False)) == folder_index.NEWEST


def test_a_missing_folder_is_reported_and_works_again_when_restored(tmp_path: Path) -> None:
    index = FolderIndex(str(tmp_path / "cam"))
    with pytest.raises(FolderMissing):
        index.newest(images=True, videos=True)

    put(tmp_path, "cam/a.jpg", b"x")

    assert names(index) == ["a.jpg"]


def test_a_file_at_the_folders_path_is_reported_as_a_missing_folder(tmp_path: Path) -> None:
    (tmp_path / "cam").write_text("x")

    with pytest.raises(FolderMissing):
        FolderIndex(str(tmp_path / "cam")).newest(images=True, videos=True)


def test_an_unchanged_folder_is_not_listed_again(
    index: FolderIndex, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(tmp_path, "a.jpg", b"x")
    put(tmp_path, "sub/b.jpg", b"x")
    settle(tmp_path, tmp_path / "sub")
    names(index)
    listings: list[str] = []
    listdir = os.listdir
    monkeypatch.setattr(folder_index.os, "listdir", lambda path: listings.append(path) or listdir(path))

    names(index)
    put(tmp_path, "sub/c.jpg", b"x")
    names(index)

    assert listings == [str(tmp_path / "sub")]


def test_an_overwritten_old_file_in_a_subfolder_is_found_by_the_full_scan(
    index: FolderIndex, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(100):
        put(tmp_path, f"{number:03}.jpg", b"x", age_s=1000 - number)
    settle(tmp_path)
    names(index)
    (tmp_path / "000.jpg").write_bytes(b"again")

    monkeypatch.setattr(folder_index, "FULL_SCAN_INTERVAL_S", 0.0)

    assert names(index)[0] == "000.jpg"


def test_a_link_that_replaces_a_directory_is_not_followed(tmp_path: Path) -> None:
    elsewhere, folder = tmp_path / "elsewhere", tmp_path / "camera"
    put(elsewhere, "secret.jpg", b"x", age_s=1)
    put(folder / "day", "a.jpg", b"x")
    index = FolderIndex(str(folder))
    assert len(index.newest(images=True, videos=True)) == 1

    (folder / "day").rename(tmp_path / "moved")
    (folder / "day").symlink_to(elsewhere)

    assert index.newest(images=True, videos=True) == []


def test_waiting_for_a_hanging_folder_raises_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folder_index, "TIMEOUT_S", 0.1)
    index = FolderIndex(str(tmp_path))

    with index._lock, pytest.raises(FolderUnreadable, match="does not respond"):
        index.newest(images=True, videos=True)
    assert index.newest(images=True, videos=True) == []


def test_a_live_view_of_two_hundred_cameras_keeps_the_index_of_each(tmp_path: Path) -> None:
    first = index_of(str(tmp_path))

    for number in range(200):
        index_of(f"{tmp_path}/{number}")

    assert index_of(str(tmp_path)) is first


def test_files_in_system_folders_are_ignored(index: FolderIndex, tmp_path: Path) -> None:
    put(tmp_path, "front.jpg", b"x", age_s=30)
    put(tmp_path, "2026-11-30/front.jpg", b"x", age_s=40)
    put_system_files(tmp_path)
    put_system_files(tmp_path / "2026-11-30")

    assert names(index) == ["front.jpg", "front.jpg"]


def ahead(folder: Path, name: str, *, days: float) -> Path:
    """A file whose time was set by a camera with a clock that is this many days ahead."""
    return put(folder, name, b"x", age_s=-86_400 * days)


def test_a_file_from_the_future_has_the_time_of_its_arrival(index: FolderIndex, tmp_path: Path) -> None:
    before = time.time()
    ahead(tmp_path, "ahead.jpg", days=400)

    (file,) = index.newest(images=True, videos=True)

    assert before - 1 <= file.at.timestamp() <= time.time()
    assert 399 <= file.ahead.days <= 400


def test_a_file_from_the_future_is_not_newer_than_those_that_arrived_later(index: FolderIndex, tmp_path: Path) -> None:
    ahead(tmp_path, "far_ahead.jpg", days=400)
    let_the_clock_step()
    ahead(tmp_path, "ahead.jpg", days=100)
    let_the_clock_step()
    put(tmp_path, "now.jpg", b"x", age_s=0)
    put(tmp_path, "old.jpg", b"x", age_s=60)

    assert names(index) == ["now.jpg", "ahead.jpg", "far_ahead.jpg", "old.jpg"]


def test_a_small_clock_difference_is_not_a_wrong_clock(index: FolderIndex, tmp_path: Path) -> None:
    put(tmp_path, "a.jpg", b"x", age_s=-300)

    assert not index.newest(images=True, videos=True)[0].ahead


def test_a_file_with_both_times_in_the_future_has_the_time_at_which_it_was_found(tmp_path: Path) -> None:
    """As on a memory card whose camera sets both times."""
    path = ahead(tmp_path, "a.jpg", days=400)
    facts = path.stat()
    both_ahead = SimpleNamespace(
        st_mtime_ns=facts.st_mtime_ns, st_ctime_ns=facts.st_mtime_ns, st_ino=facts.st_ino, st_size=facts.st_size
    )

    first = folder_index.arrival_of(str(path), both_ahead)
    let_the_clock_step()

    assert folder_index.arrival_of(str(path), both_ahead) == first <= time.time_ns()


def let_the_clock_step() -> None:
    """Wait until a new file gets a later timestamp than the previous one."""
    since = time.time_ns() + 20_000_000
    while time.time_ns() < since:
        time.sleep(0.005)
