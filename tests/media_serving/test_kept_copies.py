"""Copies of overwritten files: bounded by age and room, never at the cost of what an event to be kept needs."""

from __future__ import annotations

import os
import time
from datetime import timedelta
from pathlib import Path

import pytest
from django.test import Client
from django.utils import timezone

from cameras.models import Camera
from media_serving import kept_copies
from media_serving.ingest import overwrites, processor, retry
from media_serving.ingest.state import figures
from media_serving.models import Detection, Tombstone, Upload
from media_serving.tombstones import process_pending_tombstones
from tests.factories import folder_of, jpeg, make_camera, put
from tests.media_serving.evidence import detect
from tests.media_serving.ledger import enter, enter_file
from tests.media_serving.stored import MEDIA

pytestmark = pytest.mark.django_db(transaction=True)
MIB = 2**20


@pytest.fixture
def porch(settings, tmp_path: Path) -> Camera:
    settings.KEPT_DIR = tmp_path / "kept"
    settings.NVR_KEPT_FREE_MB = 0
    return make_camera("Porch", detector="none")


def copy_of(camera: Camera, name: str, *, days: float = 0, size: int = MIB, **values: object) -> Upload:
    """An upload of which a copy was kept, `days` ago."""
    at = timezone.now() - timedelta(days=days)
    times = {"received_at": at, "captured_at": at} | values
    plain = {"state": "done", "is_kept": True, "size_bytes": size, "mtime_ns": int(days * 1e9)}
    upload = enter(camera, name, **(plain | times))
    put(upload.kept_path.parent, upload.kept_path.name, bytes(size))
    return upload


def kept_names() -> list[str]:
    return sorted(Upload.objects.filter(is_kept=True).values_list("path", flat=True))


def test_the_oldest_copies_are_removed_above_the_size_limit(porch, settings):
    settings.NVR_KEPT_MB = 2
    uploads = [copy_of(porch, f"{number}.jpg", days=5 - number) for number in range(5)]

    assert kept_copies.trim() == 3

    assert kept_names() == ["3.jpg", "4.jpg"]
    assert [row.kept_path.exists() for row in uploads] == [False, False, False, True, True]
    assert not Tombstone.objects.exists()
    assert kept_copies.trim() == 0


def test_copies_that_are_too_old_are_removed_at_any_size(porch, settings):
    settings.NVR_KEPT_MAX_AGE = timedelta(days=3)
    copy_of(porch, "old.jpg", days=4)
    copy_of(porch, "new.jpg", days=2)
    kept_copies.trim()

    assert kept_names() == ["new.jpg"]


def test_copies_needed_by_kept_events_stay(porch, settings):
    settings.NVR_KEPT_MB, settings.NVR_KEPT_MAX_AGE = 0, timedelta(days=3)
    detected, near, film = copy_of(porch, "a.jpg", days=9), copy_of(porch, "b.jpg", days=9), None
    event = detect(porch, detected.captured_at, upload=detected).event
    film = copy_of(porch, "c.mp4", captured_at=event.started_at - timedelta(minutes=20), days=9)
    copy_of(porch, "far.jpg", captured_at=event.started_at - timedelta(minutes=20), days=9)
    near.captured_at = event.started_at + timedelta(seconds=3)
    near.save()
    type(event).objects.update(keep=True)

    kept_copies.trim()
    assert kept_names() == ["a.jpg", "b.jpg", film.path]

    type(event).objects.update(keep=False)
    kept_copies.trim()
    assert kept_names() == []


def test_the_picture_of_a_removed_copy_reports_its_removal(porch, settings, api):
    settings.NVR_KEPT_MB = 0
    upload = copy_of(porch, "snap.jpg")
    detection = detect(porch, upload.captured_at, upload=upload, file_path=str(upload.file))
    put(folder_of(porch), "snap.jpg", jpeg())
    kept_copies.trim()

    response = api.get(f"{MEDIA}detections/{detection.pk}")
    assert response.status_code == 404
    assert response.json()["error"].endswith("its kept copy was removed to free disk space.")
    assert Detection.objects.filter(pk=detection.pk).exists()


def test_an_interrupted_removal_is_completed_later(porch, settings, monkeypatch):
    settings.NVR_KEPT_MB = 0
    upload = copy_of(porch, "a.jpg")
    monkeypatch.setattr("media_serving.tombstones.process_tombstones", lambda stones: 0)
    kept_copies.trim()
    assert upload.kept_path.exists() and Tombstone.objects.count() == 1
    monkeypatch.undo()

    process_pending_tombstones()
    assert not upload.kept_path.exists() and not Tombstone.objects.exists()


def test_a_copy_of_a_pending_upload_stays(porch, settings):
    settings.NVR_KEPT_MB = 0
    for state in ("waiting", "working", "rejected"):
        copy_of(porch, f"{state}.jpg", state=state, days=len(state))

    assert kept_copies.trim() == 1
    assert kept_names() == ["waiting.jpg", "working.jpg"]


@pytest.mark.parametrize("state", ["waiting", "failed"])
def test_a_late_tombstone_removes_no_copy_of_a_second_attempt(porch, settings, monkeypatch, state):
    """The first attempt made a copy and then failed; the copy was to be removed while the upload waited."""
    enter(porch, "snap.jpg", state="done", content_digest="0" * 64)  # the name is used again
    file = put(folder_of(porch), "snap.jpg", jpeg(), age_s=30)
    upload = enter_file(porch, file, state=state, is_kept=True, reason="It could not be read.")
    put(upload.kept_path.parent, upload.kept_path.name, jpeg())

    with monkeypatch.context() as killed:
        killed.setattr("media_serving.tombstones.process_tombstones", lambda stones: 0)
        kept_copies.trim(timezone.now() + settings.NVR_KEPT_MAX_AGE * 2)
    if state == "failed":
        retry.retry(None, upload)
    processor.process_pending()
    process_pending_tombstones()

    upload.refresh_from_db()
    assert upload.state == "done"
    assert upload.is_kept is (state == "waiting") is upload.kept_path.exists()


def test_copies_without_a_row_are_removed_after_a_day(porch):
    known = copy_of(porch, "a.jpg")
    other = put(known.kept_path.parent, "999999.jpg", b"left by a crash", age_s=90_000)
    young = put(known.kept_path.parent, "999998.jpg", b"just being made")
    foreign = put(known.kept_path.parent, "notes.txt", b"not ours", age_s=90_000)
    os.utime(known.kept_path, (time.time() - 90_000,) * 2)
    kept_copies.remove_strays()

    assert [path.exists() for path in (known.kept_path, other, young, foreign)] == [True, False, True, True]


def test_a_file_too_large_for_the_limit_is_not_copied(porch, settings, tmp_path):
    upload = enter(porch, "a.jpg", size_bytes=MIB)
    file = put(tmp_path, "a.jpg", bytes(MIB))
    for quota, reserve, is_kept in ((0, 0, False), (10, 10**8, False), (10, 0, True)):
        settings.NVR_KEPT_MB, settings.NVR_KEPT_FREE_MB = quota, reserve
        with file.open("rb") as opened:
            assert overwrites.keep(upload, opened) is is_kept
        assert upload.kept_path.exists() is is_kept


def test_the_uploads_page_and_the_health_section_show_the_copies(porch, settings, admin):
    settings.NVR_KEPT_MB = 2_000
    copy_of(porch, "a.jpg", days=3)
    copy_of(porch, "b.jpg")

    browser = Client()
    browser.force_login(admin)
    page = browser.get("/uploads").content.decode().replace("\xa0", " ")
    assert "2.0 MB" in page and "of 2.0 GB" in page and "; 2 files, the oldest arrived" in page
    facts = figures(admin)
    assert (facts["kept_copies"], facts["kept_bytes"], facts["kept_limit_bytes"]) == (2, 2 * MIB, 2_000 * MIB)
