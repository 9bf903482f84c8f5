"""File ownership when folders are nested through symlinks, and when a disk hangs."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.db import transaction
from rest_framework.test import APIClient

from cameras.folders import ownership as folder_ownership
from cameras.folders.access import newest_files
from cameras.folders.concurrent_probe import ConcurrentProbe
from cameras.folders.ownership import current_folders
from cameras.models import Camera, ListVersion
from cameras.tiles import tiles_for
from tests.factories import folder_of, jpeg, make_camera, put

pytestmark = pytest.mark.django_db


def names_of(camera: Camera) -> list[str]:
    return [Path(file.path).name for file in newest_files(camera)]


def test_a_camera_does_not_show_files_of_one_whose_folder_is_a_link_into_its_own(tmp_path: Path) -> None:
    outer = make_camera()
    put(folder_of(outer), "own.jpg", jpeg())
    put(folder_of(outer) / "inner", "private.jpg", jpeg(), age_s=1)
    link = folder_of(outer).with_name(f"link_to_{outer.pk}")
    link.symlink_to(folder_of(outer) / "inner")
    inner = make_camera(folder_path=str(link))

    assert names_of(inner) == ["private.jpg"]
    assert names_of(outer) == ["own.jpg"]


def test_a_camera_whose_folder_is_a_link_does_not_show_files_of_one_inside_it() -> None:
    inner = make_camera()
    put(folder_of(inner), "private.jpg", jpeg(), age_s=1)
    real = folder_of(inner).parent / f"real_{inner.pk}"
    real.mkdir()
    put(real, "own.jpg", jpeg())
    folder_of(inner).rename(real / "inner")
    Camera.objects.filter(pk=inner.pk).update(folder_path=str(real / "inner"))
    link = real.with_name(f"link_{inner.pk}")
    link.symlink_to(real)
    outer = make_camera(folder_path=str(link))

    assert names_of(outer) == ["own.jpg"]


@pytest.fixture
def hang(monkeypatch: pytest.MonkeyPatch) -> Iterator[set[str]]:
    """Folders that do not respond until the test is over."""
    stuck: set[str] = set()
    release = threading.Event()
    answer = os.path.realpath

    def realpath(path, **kwargs):
        if any(str(path).startswith(folder) for folder in stuck):
            release.wait(30)
        return answer(path, **kwargs)

    monkeypatch.setattr(os.path, "realpath", realpath)
    monkeypatch.setattr(folder_ownership._probe, "timeout_s", 0.2)
    yield stuck
    release.set()


def test_a_hanging_disk_fails_its_own_camera_and_does_not_delay_others(api: APIClient, hang: set[str]) -> None:
    dead, other = make_camera("Dead"), make_camera("Other")
    for camera in (dead, other):
        put(folder_of(camera), "a.jpg", jpeg())
    hang.add(dead.folder_path)
    started = time.monotonic()

    for address in ("/api/cameras/dead/snapshot", "/api/media/cameras/dead/a.jpg"):
        response = api.get(address)
        assert response.status_code == 503
        assert "Retry-After" in response
    assert api.get("/api/media/cameras/other/a.jpg").status_code == 200
    assert api.get("/api/cameras/other/snapshot").status_code == 200
    assert time.monotonic() - started < 20


def test_a_hanging_disk_does_not_block_the_path_check(api: APIClient, hang: set[str]) -> None:
    dead, other = make_camera("Dead"), make_camera("Other")
    put(folder_of(other), "a.jpg", jpeg())
    hang.add(dead.folder_path)

    report = api.get("/api/cameras/validation/paths").json()

    assert [row["id"] for row in report["valid_cameras"]] == ["other"]
    (wrong,) = report["invalid_cameras"]
    assert wrong["issues"] == ["directory does not answer"]
    assert wrong["resolved_path"] == dead.folder_path


def test_files_are_served_again_when_the_disk_responds_again(api: APIClient, hang: set[str]) -> None:
    camera = make_camera("Dead")
    put(folder_of(camera), "a.jpg", jpeg())
    hang.add(camera.folder_path)
    assert api.get("/api/media/cameras/dead/a.jpg").status_code == 503

    camera.folder_path = str(folder_of(camera).rename(f"{camera.folder_path}_moved"))
    hang.clear()
    camera.save()

    assert api.get("/api/media/cameras/dead/a.jpg").status_code == 200


def test_a_hanging_probe_is_waited_for_once() -> None:
    camera, release = make_camera(), threading.Event()
    concurrent_probe: ConcurrentProbe[bool] = ConcurrentProbe(late=lambda camera: False, timeout_s=0.2, name="test")

    def probe(camera: Camera) -> bool:
        return release.wait(30)

    concurrent_probe.run([camera], probe)
    concurrent_probe.timeout_s = 25
    started = time.monotonic()
    assert concurrent_probe.run([camera], probe) == {camera.pk: False}
    assert time.monotonic() - started < 10

    release.set()
    deadline = time.monotonic() + 60
    while not concurrent_probe.run([camera], probe)[camera.pk] and time.monotonic() < deadline:
        time.sleep(0.01)
    assert concurrent_probe.run([camera], probe) == {camera.pk: True}


def test_the_live_view_shows_a_camera_on_a_dead_disk_with_its_last_known_state(hang: set[str]) -> None:
    camera = make_camera()
    put(folder_of(camera), "a.jpg", jpeg())
    hang.add(camera.folder_path)

    (tile,) = tiles_for([camera])

    assert tile.picture_at is None


def test_the_probe_threads_of_the_live_view_do_not_query_the_database(monkeypatch: pytest.MonkeyPatch) -> None:
    """Otherwise each would open its own connection: for a hundred cameras, a hundred every three seconds."""
    cameras = [make_camera() for _ in range(3)]
    threads: list[str] = []
    current = ListVersion.current
    monkeypatch.setattr(ListVersion, "current", lambda: (threads.append(threading.current_thread().name), current())[1])

    tiles_for(cameras)

    assert set(threads) == {threading.current_thread().name}


@pytest.mark.django_db(transaction=True)
def test_a_rolled_back_change_does_not_stay_cached_under_the_next_version() -> None:
    camera = make_camera("Front Door")
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        Camera.objects.filter(pk=camera.pk).update(slug="never")
        assert "never" in current_folders().live
        raise ZeroDivisionError
    Camera.objects.filter(pk=camera.pk).update(slug="later")

    assert set(current_folders().live) == {"later"}
