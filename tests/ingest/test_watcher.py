"""The watcher with a real folder: what arrives, however it arrives, is in the ledger within seconds."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator

import pytest
from django.db import connection

from cameras import registry
from cameras.models import Camera
from media_serving.ingest import watcher as module
from media_serving.ingest.watcher import Watcher
from media_serving.models import Upload
from tests.factories import folder_of, jpeg, make_camera, put
from tests.ingest.conftest import wait_for

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def woken() -> list[float]:
    return []


@pytest.fixture
def watching(porch: Camera, woken: list[float]) -> Iterator[Watcher]:
    stop, watcher = threading.Event(), Watcher(lambda: woken.append(time.monotonic()))

    def run() -> None:
        try:
            watcher.run(stop)
        finally:
            connection.close()

    thread = threading.Thread(target=run)
    thread.start()
    wait_for(lambda: watcher.hints is not None and porch.pk in watcher.watched)
    yield watcher
    stop.set()
    thread.join(10)


def entered() -> set[str]:
    return set(Upload.objects.values_list("path", flat=True))


def test_what_was_there_before_the_start_is_entered(porch, request):
    put(folder_of(porch), "2026/01/old.jpg", jpeg(), age_s=3600)
    request.getfixturevalue("watching")

    wait_for(lambda: entered() == {"2026/01/old.jpg"})


def test_a_file_is_entered_when_it_has_settled_and_the_workers_are_told(porch, watching, woken):
    file = folder_of(porch) / "a.jpg"
    with file.open("wb") as upload:
        for part in range(6):  # a slow upload
            upload.write(jpeg(640, 480)[part * 1000 : (part + 1) * 1000])
            upload.flush()
            time.sleep(0.4)
        assert entered() == set()
    ended = time.monotonic()

    wait_for(lambda: entered() == {"a.jpg"})
    assert 1.5 < time.monotonic() - ended < 5
    assert Upload.objects.get().size_bytes == 6000
    assert woken


def test_a_file_that_gets_its_name_at_the_end_is_entered_under_it(porch, watching):
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


def test_a_name_that_is_no_text_is_found_by_the_sweep(porch, watching, settings, monkeypatch):
    settings.NVR_INGEST_POLLING = True
    with open(os.fsencode(folder_of(porch)) + b"/broken\xff.jpg", "wb") as file:
        file.write(jpeg())

    wait_for(lambda: entered() == {"broken\ufffd.jpg"})


def test_where_nothing_is_told_the_sweep_finds_it(porch, settings, monkeypatch):
    settings.NVR_INGEST_POLLING = True
    monkeypatch.setattr(module, "POLL_S", 0.5)
    monkeypatch.setattr(module, "is_hint", lambda change, path: False)
    stop, watcher = threading.Event(), Watcher(lambda: None)
    thread = threading.Thread(target=lambda: (watcher.run(stop), connection.close()))
    thread.start()
    try:
        put(folder_of(porch), "a.jpg", jpeg())
        wait_for(lambda: entered() == {"a.jpg"})
    finally:
        stop.set()
        thread.join(10)


def test_a_camera_that_is_added_is_watched_and_one_that_goes_is_not(porch, watching, admin):
    yard = make_camera("Yard", detector="none")
    registry.trash_camera(admin, porch)
    wait_for(lambda: set(watching.watched) == {yard.pk})
    put(folder_of(porch), "a.jpg", jpeg())
    put(folder_of(yard), "b.jpg", jpeg())

    wait_for(lambda: entered() == {"b.jpg"})
    time.sleep(1)
    assert entered() == {"b.jpg"}


def test_a_file_in_a_nested_cameras_folder_is_that_cameras_alone(porch, watching):
    inner = folder_of(porch) / "inner"
    inner.mkdir()
    nested = make_camera("Nested", folder_path=str(inner), detector="none")
    wait_for(lambda: nested.pk in watching.watched)
    put(inner, "a.jpg", jpeg())

    wait_for(lambda: entered() == {"a.jpg"})
    assert Upload.objects.get().camera_id == nested.pk


def test_while_the_database_is_away_nothing_is_lost(porch, watching, monkeypatch):
    from django.db import OperationalError

    entering = module.enter
    faults = iter([OperationalError("away"), OperationalError("away")])

    def faulty(*args):
        fault = next(faults, None)
        if fault:
            raise fault
        return entering(*args)

    monkeypatch.setattr(module, "enter", faulty)
    monkeypatch.setattr(module, "POLL_S", 0.2)
    put(folder_of(porch), "a.jpg", jpeg())

    wait_for(lambda: entered() == {"a.jpg"}, seconds=20)
