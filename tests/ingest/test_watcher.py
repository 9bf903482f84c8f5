"""The watcher with a real folder: files are in the ledger within seconds, however they arrive."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest
from django.db import connection

from cameras import registry
from cameras.models import Camera
from media_serving.ingest.scanner import Scanner
from media_serving.ingest.watching import camera_watcher, inotify
from media_serving.ingest.watching import watcher as module
from media_serving.ingest.watching.watcher import Watcher
from media_serving.models import Upload
from nvr.log_throttle import LogThrottle
from tests.factories import folder_of, jpeg, make_camera, put
from tests.ingest.conftest import wait_for

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def notifications() -> list[float]:
    return []


@pytest.fixture
def stable_s() -> float:
    """Shorter than the usual two seconds, which most of these tests would wait for."""
    return 0.5


@pytest.fixture
def short_delays(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shorten the delays until a new camera is watched and until the listener stops."""
    monkeypatch.setattr(inotify, "STOP_TIMEOUT_MS", 100)
    monkeypatch.setattr(module, "RELOAD_S", 0.3)


@pytest.fixture
def watching(
    porch: Camera, notifications: list[float], stable_s: float, settings: Any, short_delays: None
) -> Iterator[Watcher]:
    settings.NVR_UPLOAD_STABLE_TIME = timedelta(seconds=stable_s)
    wait_for(lambda: not inotify.watch_count())  # those of the test before
    stop, watcher = threading.Event(), Watcher(lambda: notifications.append(time.monotonic()))

    def run() -> None:
        try:
            watcher.run(stop)
        finally:
            connection.close()

    thread = threading.Thread(target=run)
    thread.start()
    wait_for(lambda: watcher.listener is not None and porch.pk in watcher.watchers)
    yield watcher
    stop.set()
    thread.join()


def entered() -> set[str]:
    return set(Upload.objects.values_list("path", flat=True))


def test_files_from_before_the_start_are_entered(porch, request):
    put(folder_of(porch), "2026/01/old.jpg", jpeg(), age_s=3600)
    request.getfixturevalue("watching")

    wait_for(lambda: entered() == {"2026/01/old.jpg"})


@pytest.mark.parametrize("stable_s", [2])
def test_a_file_is_entered_when_it_is_stable_and_the_workers_are_notified(porch, watching, notifications, stable_s):
    file = folder_of(porch) / "a.jpg"
    written_at = [time.monotonic()]
    with file.open("wb") as upload:
        for part in range(6):  # a slow upload
            upload.write(jpeg(640, 480)[part * 1000 : (part + 1) * 1000])
            upload.flush()
            written_at.append(time.monotonic())
            time.sleep(0.4)
        # Where the machine itself made a pause, the file had settled in it.
        pauses = [after - before for before, after in pairwise([*written_at, time.monotonic()])]
        assert entered() == set() or max(pauses) > stable_s

    wait_for(lambda: entered() == {"a.jpg"})
    assert time.monotonic() - written_at[-1] >= stable_s or max(pauses) > stable_s
    wait_for(lambda: Upload.objects.get().size_bytes == 6000)
    assert notifications


def test_a_file_that_is_renamed_at_the_end_is_entered_under_its_final_name(porch, watching):
    put(folder_of(porch), "a.jpg.part", jpeg())
    time.sleep(1)
    (folder_of(porch) / "a.jpg.part").rename(folder_of(porch) / "a.jpg")

    wait_for(lambda: entered() == {"a.jpg"})


def test_a_folder_that_is_moved_in_and_new_folders_are_entered(porch, watching, tmp_path):
    other = tmp_path / "moved"
    put(other, "deep/x.jpg", jpeg(), age_s=3600)
    other.rename(folder_of(porch) / "moved")
    put(folder_of(porch), "2026-01-31/001/y.jpg", jpeg())

    wait_for(lambda: entered() == {"moved/deep/x.jpg", "2026-01-31/001/y.jpg"})


def test_a_scan_finds_a_name_that_is_not_utf8(porch, watching, settings, monkeypatch):
    settings.NVR_INGEST_POLLING = True
    with open(os.fsencode(folder_of(porch)) + b"/broken\xff.jpg", "wb") as file:
        file.write(jpeg())

    wait_for(lambda: entered() == {"broken\ufffd.jpg"})


def test_without_inotify_events_a_scan_finds_the_file(porch, settings, monkeypatch):
    settings.NVR_INGEST_POLLING = True
    monkeypatch.setattr(camera_watcher, "POLL_S", 0.5)
    monkeypatch.setattr(inotify, "is_relevant", lambda change, path: False)
    wait_for(lambda: not inotify.watch_count())  # those of the test before
    stop, watcher = threading.Event(), Watcher(lambda: None)
    thread = threading.Thread(target=lambda: (watcher.run(stop), connection.close()))
    thread.start()
    try:
        put(folder_of(porch), "a.jpg", jpeg())
        wait_for(lambda: entered() == {"a.jpg"})
    finally:
        stop.set()
        thread.join(10)


def test_an_added_camera_is_watched_and_a_trashed_one_is_not(porch, watching, admin):
    yard = make_camera("Yard", detector="none")
    registry.trash_camera(admin, porch)
    wait_for(lambda: set(watching.watchers) == {yard.pk})
    put(folder_of(porch), "a.jpg", jpeg())
    put(folder_of(yard), "b.jpg", jpeg())

    wait_for(lambda: entered() == {"b.jpg"})
    put(folder_of(yard), "c.jpg", jpeg(seed=2))
    wait_for(lambda: "c.jpg" in entered())  # `a.jpg` would have been entered before it
    assert entered() == {"b.jpg", "c.jpg"}


def test_a_file_in_a_nested_cameras_folder_belongs_only_to_that_camera(porch, watching):
    inner = folder_of(porch) / "inner"
    inner.mkdir()
    nested = make_camera("Nested", folder_path=str(inner), detector="none")
    wait_for(lambda: nested.pk in watching.watchers)
    put(inner, "a.jpg", jpeg())

    wait_for(lambda: entered() == {"a.jpg"})
    assert Upload.objects.get().camera_id == nested.pk


def test_no_file_is_lost_while_the_database_is_unavailable(porch, watching, monkeypatch):
    from django.db import OperationalError

    entering = module.enter
    faults = iter([OperationalError("away"), OperationalError("away")])

    def faulty(*args):
        fault = next(faults, None)
        if fault:
            raise fault
        return entering(*args)

    monkeypatch.setattr(module, "enter", faulty)
    monkeypatch.setattr(module, "DATABASE_RETRY_S", 0.2)
    put(folder_of(porch), "a.jpg", jpeg())

    wait_for(lambda: entered() == {"a.jpg"})


def test_a_file_that_grows_during_processing_is_entered_again_afterwards(porch, watching):
    put(folder_of(porch), "a.jpg", jpeg())
    wait_for(lambda: entered() == {"a.jpg"})
    Upload.objects.update(state="working")
    put(folder_of(porch), "a.jpg", jpeg(seed=1) + b"more")
    wait_for(lambda: len(watching.watchers[porch.pk].debouncer))
    put(folder_of(porch), "later.jpg", jpeg(seed=2))
    wait_for(lambda: "later.jpg" in entered())  # it became stable after the first file
    assert Upload.objects.get(path="a.jpg").size_bytes == len(jpeg())

    Upload.objects.filter(path="a.jpg").update(state="waiting", reason="It is incomplete.")
    wait_for(lambda: Upload.objects.get(path="a.jpg").size_bytes == len(jpeg(seed=1)) + 4)


def test_a_hanging_folder_does_not_delay_other_cameras(porch, monkeypatch, request):
    dead, ended = make_camera("Dead", detector="none"), threading.Event()
    unavailable_reason = camera_watcher.unavailable_reason

    def hanging(root, remembered):
        if root == folder_of(dead):
            ended.wait(30)
        return unavailable_reason(root, remembered)

    monkeypatch.setattr(camera_watcher, "unavailable_reason", hanging)
    monkeypatch.setattr(module, "TIMEOUT_S", 0.3)
    put(folder_of(dead), "late.jpg", jpeg())
    try:
        request.getfixturevalue("watching")
        put(folder_of(porch), "a.jpg", jpeg())
        wait_for(lambda: entered() == {"a.jpg"})
    finally:
        ended.set()

    wait_for(lambda: entered() == {"a.jpg", "late.jpg"})


def test_a_folder_with_very_many_files_does_not_block_others(porch, monkeypatch):
    full = make_camera("Full", detector="none")
    for number in range(1200):
        (folder_of(full) / f"{number:05}.jpg").touch()
    put(folder_of(porch), "a.jpg", jpeg())
    monkeypatch.setattr(camera_watcher.Debouncer, "is_stable", lambda self, now: True)
    monkeypatch.setattr(module, "TIMEOUT_S", 60.0)  # what a late look found is entered with the next one's
    watcher = Watcher(lambda: None)
    watcher.reload()

    entered_at_once = []
    while sum(entered_at_once) < 1201:
        entered_at_once.append(watcher.poll())
    watcher.close()

    assert max(entered_at_once) < 800
    assert Upload.objects.count() == 1201


def test_an_error_in_one_cameras_folder_does_not_stop_others(porch, monkeypatch, request):
    yard = make_camera("Yard", detector="none")
    unavailable_reason = camera_watcher.unavailable_reason

    def broken(root, remembered):
        return 1 / 0 if root == folder_of(yard) else unavailable_reason(root, remembered)

    monkeypatch.setattr(camera_watcher, "unavailable_reason", broken)
    request.getfixturevalue("watching")
    put(folder_of(porch), "a.jpg", jpeg())

    wait_for(lambda: entered() == {"a.jpg"})


def test_a_folder_without_inotify_events_is_polled_for_a_while(porch, monkeypatch):
    """For example, when the system has no inotify watches left."""
    folder = camera_watcher.CameraWatcher(porch, Scanner(os.fsencode(folder_of(porch))))

    put(folder_of(porch), "a.jpg", jpeg())
    assert not is_polled_after_a_scan(folder)
    put(folder_of(porch), "b.jpg", jpeg())
    with monkeypatch.context() as long_folder_timeout:
        long_folder_timeout.setattr(camera_watcher, "UNREPORTED_S", 600)  # it has not lain there for long
        assert not is_polled_after_a_scan(folder)
    put(folder_of(porch), "c.jpg", jpeg())
    monkeypatch.setattr(camera_watcher, "UNREPORTED_S", 0)
    assert is_polled_after_a_scan(folder)


def is_polled_after_a_scan(folder: camera_watcher.CameraWatcher) -> bool:
    folder.scan_requested = True
    folder.poll()
    return folder.polled_until > time.monotonic()


def test_a_folder_with_inotify_events_is_not_polled(porch, monkeypatch):
    """However much time passes between the events and the next scans."""
    monkeypatch.setattr(camera_watcher, "UNREPORTED_S", 0)
    folder = camera_watcher.CameraWatcher(porch, Scanner(os.fsencode(folder_of(porch))))
    folder.poll()
    put(folder_of(porch), "a.jpg", jpeg())
    folder.changed_names.append(b"a.jpg")

    for is_full in (False, True, True):
        folder.next_full_scan = 0.0 if is_full else time.monotonic() + 600
        assert not is_polled_after_a_scan(folder)
    assert not folder.reported and not folder.reported_before


def test_an_error_of_every_poll_is_logged_rarely(porch, monkeypatch, caplog):
    folder = camera_watcher.CameraWatcher(porch, Scanner(os.fsencode(folder_of(porch))))
    monkeypatch.setattr(camera_watcher, "unavailable_reason", lambda root, remembered: 1 / 0)
    for _ in range(3):
        folder.scan_requested = True
        folder.poll()

    assert caplog.text.count("folder not polled") == 1


def test_missing_inotify_watches_are_logged_once(porch, caplog, monkeypatch):
    for day in range(5):
        (folder_of(porch) / f"{day}").mkdir()
    watcher = Watcher(lambda: None)
    wait_for(lambda: watcher.poll() == 0 and any(each.has_been_scanned for each in watcher.watchers.values()))
    watcher.close()
    monkeypatch.setattr(module, "watch_count", lambda: 3)

    watcher.count_watches()
    watcher.count_watches()

    assert caplog.text.count("raise fs.inotify.max_user_watches") == 1


def test_all_folders_are_watched(porch, watching, caplog):
    for day in range(5):
        (folder_of(porch) / f"{day}").mkdir()
    put(folder_of(porch), "4/a.jpg", jpeg())
    wait_for(lambda: entered() == {"4/a.jpg"})
    wait_for(lambda: folder_count(watching.watchers[porch.pk]) == 6)  # the camera's folder, and five days

    # Never, if not all are watched. Now and then the kernel's messages are subscribed to anew, and nothing is watched.
    wait_for(lambda: reports_no_missing_watches(watching, caplog))


def reports_no_missing_watches(watcher: Watcher, caplog: pytest.LogCaptureFixture) -> bool:
    caplog.clear()
    watcher._watch_log = LogThrottle(timedelta(hours=1))  # so that it would be logged again
    watcher.count_watches()
    return "max_user_watches" not in caplog.text


def folder_count(folder: camera_watcher.CameraWatcher) -> int:
    """The folder count of the last scan; 0 while a scan is running."""
    return 0 if folder.scanning else folder.scanner.folder_count
