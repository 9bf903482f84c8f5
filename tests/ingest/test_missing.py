"""A storage that is away is never taken for a deletion; a file that was really deleted does not wait for ever."""

from __future__ import annotations

import errno
import os
import shutil
import time
from datetime import timedelta
from pathlib import Path

import pytest
from django.utils import timezone

from cameras.folders.ownership import current_folders
from cameras.models import Camera
from media_serving.ingest import missing, processor
from media_serving.ingest.scanner import Scanner
from media_serving.ingest.watching import camera_watcher
from media_serving.ingest.watching.watcher import Watcher
from media_serving.models import Upload
from tests import disks
from tests.factories import folder_of, jpeg, make_camera, put
from tests.ingest.conftest import scan_and_enter, uploads


def deliver(camera: Camera, *names: str) -> None:
    for number, name in enumerate(names):
        put(folder_of(camera), name, jpeg(seed=number))
    scan_and_enter(camera)


def work_now() -> None:
    Upload.objects.filter(state="waiting").update(retry_at=None)
    processor.process_pending()


def states(camera: Camera) -> dict[str, str]:
    return {path: state for path, (state, _) in uploads(camera).items()}


def folder_renamed(camera: Camera, aside: Path) -> None:
    folder_of(camera).rename(aside)


def parent_renamed(camera: Camera, aside: Path) -> None:
    folder_of(camera).parent.rename(aside)


def folder_emptied(camera: Camera, aside: Path) -> None:
    aside.mkdir()
    for entry in folder_of(camera).iterdir():
        entry.rename(aside / entry.name)


def folder_made_anew(camera: Camera, aside: Path) -> None:
    folder_of(camera).rename(aside)
    folder_of(camera).mkdir()
    (folder_of(camera) / "@eaDir").mkdir()


def folder_made_anew_with_its_day(camera: Camera, aside: Path) -> None:
    folder_of(camera).rename(aside)
    (folder_of(camera) / "2026-11-30").mkdir(parents=True)


@pytest.mark.parametrize(
    "takes_away",
    [folder_renamed, parent_renamed, folder_emptied, folder_made_anew, folder_made_anew_with_its_day],
)
def test_uploads_wait_while_their_folder_is_missing(porch, tmp_path, takes_away):
    home = folder_of(porch) / "at home" / "porch"
    home.mkdir(parents=True)
    porch.folder_path = str(home)
    porch.save()
    deliver(porch, "a.jpg", "2026-11-30/b.jpg", "2026-11-30/c.jpg")

    aside = tmp_path / "aside"
    takes_away(porch, aside)
    for _ in range(3):
        work_now()
    assert set(states(porch).values()) == {"waiting"}
    assert all(reason for _, reason in uploads(porch).values())

    restore_folder(takes_away, porch, aside)
    work_now()
    assert set(states(porch).values()) == {"done"}


def restore_folder(takes_away: object, camera: Camera, aside: Path) -> None:
    if takes_away is folder_emptied:
        for entry in aside.iterdir():
            entry.rename(folder_of(camera) / entry.name)
        return
    place = folder_of(camera).parent if takes_away is parent_renamed else folder_of(camera)
    shutil.rmtree(place, ignore_errors=True)
    aside.rename(place)


def test_an_unmounted_disk_is_not_a_deletion_even_before_its_mount_was_recorded(porch, tmp_path):
    put(folder_of(porch), "under.txt", b"what lies below the mount point")
    with disks.small_disk(tmp_path / "disk", megabytes=4) as disk:
        porch.folder_path = str(folder_of(porch) / "disk")
        (folder_of(porch)).mkdir()
        porch.save()
        disks.bind(disk, folder_of(porch))
        deliver(porch, "a.jpg", "b.jpg")
        disks.unbind(folder_of(porch))
        work_now()
        assert set(states(porch).values()) == {"waiting"}

        disks.bind(disk, folder_of(porch))
        try:
            work_now()
            assert set(states(porch).values()) == {"done"}
        finally:
            disks.unbind(folder_of(porch))


@pytest.mark.parametrize("fault", [errno.EIO, errno.ESTALE, errno.ENOTCONN, errno.EACCES])
def test_an_unresponsive_folder_is_not_a_deletion(porch, monkeypatch, fault):
    deliver(porch, "a.jpg", "b.jpg")
    root, really = str(folder_of(porch)), {"open": os.open, "scandir": os.scandir}

    def failing(name: str):
        def call(path, *args, **kwargs):
            if str(path).startswith(root):
                raise OSError(fault, os.strerror(fault))
            return really[name](path, *args, **kwargs)

        return call

    with monkeypatch.context() as away:
        for name in really:
            away.setattr(os, name, failing(name))
        work_now()
        assert set(states(porch).values()) == {"waiting"}
        assert "does not respond" in uploads(porch)["a.jpg"][1]

    work_now()
    assert set(states(porch).values()) == {"done"}


def test_a_deleted_file_with_existing_neighbours_is_rejected_at_once(porch):
    deliver(porch, "a.jpg", "b.jpg")
    (folder_of(porch) / "a.jpg").unlink()
    work_now()

    assert uploads(porch) == {"a.jpg": ("rejected", processor.FILE_REMOVED), "b.jpg": ("done", "")}


def test_files_of_a_folder_that_was_deleted_are_rejected_after_hours(porch, settings):
    deliver(porch, "2026-11-29/old.jpg", "2026-11-30/a.jpg", "2026-11-30/b.jpg")
    shutil.rmtree(folder_of(porch) / "2026-11-30")
    work_now()
    assert states(porch) == {"2026-11-29/old.jpg": "done", "2026-11-30/a.jpg": "waiting", "2026-11-30/b.jpg": "waiting"}

    long_ago = timezone.now() - settings.NVR_INCOMPLETE_UPLOAD_TIMEOUT - timedelta(minutes=1)
    Upload.objects.filter(state="waiting").update(missing_since=long_ago)
    work_now()
    assert uploads(porch)["2026-11-30/a.jpg"] == ("rejected", processor.FILE_REMOVED)


def test_a_folder_that_temporarily_links_outside_loses_nothing(porch, tmp_path):
    deliver(porch, "a.jpg", "b.jpg")
    folder_of(porch).rename(tmp_path / "aside")
    folder_of(porch).symlink_to(tmp_path / "aside")
    work_now()
    assert set(states(porch).values()) == {"waiting"}

    folder_of(porch).unlink()
    (tmp_path / "aside").rename(folder_of(porch))
    work_now()
    assert set(states(porch).values()) == {"done"}


def test_a_folder_that_temporarily_links_to_another_cameras_loses_nothing(porch, tmp_path):
    other = make_camera("Other")
    deliver(porch, "a.jpg", "b.jpg")
    folder_of(porch).rename(tmp_path / "aside")
    folder_of(porch).symlink_to(folder_of(other))
    current_folders(refresh=True)
    work_now()
    assert set(states(porch).values()) == {"waiting"}

    folder_of(porch).unlink()
    (tmp_path / "aside").rename(folder_of(porch))
    current_folders(refresh=True)
    work_now()
    assert set(states(porch).values()) == {"done"}


def look_until(watcher: Watcher, what: object) -> None:
    deadline = time.monotonic() + 30
    while not what():  # type: ignore[operator]
        assert time.monotonic() < deadline
        for each in watcher.watchers.values():
            each.scan_requested = True
        watcher.poll()


def test_a_rejected_missing_file_that_is_back_is_entered_again(porch, tmp_path):
    deliver(porch, "day/a.jpg", "day/b.jpg", "c.jpg")
    os.utime(folder_of(porch), (1_700_000_000, 1_700_000_000))
    watcher = Watcher(lambda: None)
    try:
        look_until(watcher, lambda: watcher.watchers and watcher.watchers[porch.pk].has_been_scanned)
        Upload.objects.update(state="rejected", reason=processor.FILE_REMOVED, missing_since=timezone.now())
        look_until(watcher, lambda: set(states(porch).values()) == {"waiting"})
    finally:
        watcher.close()

    assert not Upload.objects.exclude(missing_since=None)


def test_all_missing_files_are_checked_in_turn(porch, monkeypatch):
    monkeypatch.setattr("media_serving.ingest.watching.watcher.MISSING_BATCH_SIZE", 2)
    deliver(porch, *(f"{number}.jpg" for number in range(5)))
    Upload.objects.update(state="rejected", reason=processor.FILE_REMOVED, missing_since=timezone.now())
    for name in ("1.jpg", "2.jpg", "3.jpg", "4.jpg"):
        (folder_of(porch) / name).unlink()
    watcher = Watcher(lambda: None)
    try:
        look_until(watcher, lambda: states(porch)["0.jpg"] == "waiting")
    finally:
        watcher.close()

    assert states(porch)["1.jpg"] == "rejected"


def test_a_file_that_vanished_before_it_was_stable_is_found_again(porch, tmp_path, settings):
    settings.NVR_UPLOAD_STABLE_TIME = timedelta(seconds=0.5)
    folder = camera_watcher.CameraWatcher(porch, Scanner(os.fsencode(folder_of(porch))))
    put(folder_of(porch), "day/a.jpg", jpeg())
    folder.poll()
    assert len(folder.debouncer) == 1 and not folder.stable

    (folder_of(porch) / "day").rename(tmp_path / "day")
    folder.poll()
    assert not len(folder.debouncer)
    (tmp_path / "day").rename(folder_of(porch) / "day")

    deadline = time.monotonic() + 30
    while not folder.stable:
        assert time.monotonic() < deadline
        folder.scan_requested = True
        folder.poll()
    assert folder.stable.pop().raw == b"day/a.jpg"


def test_a_folder_that_was_renamed_and_back_is_listed_again(porch, tmp_path):
    put(folder_of(porch), "day/a.jpg", jpeg())
    scanner = Scanner(os.fsencode(folder_of(porch)))
    assert [s.raw for s in scanner.scan()] == [b"day/a.jpg"]
    assert [s.raw for s in scanner.scan()] == []

    folder_of(porch).rename(tmp_path / "away")
    (tmp_path / "away").rename(folder_of(porch))
    (folder_of(porch) / "day").rename(tmp_path / "day")
    (tmp_path / "day").rename(folder_of(porch) / "day")

    assert [s.raw for s in scanner.scan()] == [b"day/a.jpg"]


def test_neighbours_are_found_by_an_index(porch, django_assert_max_num_queries):
    deliver(porch, "a.jpg", "b.jpg", "c.jpg")
    upload = Upload.objects.select_related("camera").get(path="b.jpg")
    with django_assert_max_num_queries(2):
        assert sorted(missing.neighbours_of(upload)) == [b"a.jpg", b"c.jpg"]
