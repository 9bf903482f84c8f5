"""A purged camera's rows go with it, and after the commit the files that were made for them."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from urllib.parse import quote

import pytest
from celery import current_app
from django.db import connection, transaction
from django.utils import timezone

from cameras import registry
from cameras.models import Camera, Purge
from cameras.purge import worker as purging
from cameras.tasks import continue_purge
from media_serving import purge as removal
from media_serving import tombstones
from media_serving.models import CameraLease, Detection, Event, Tombstone, Transcode, Upload
from media_serving.purge import remove_kept_folders
from media_serving.tasks import remove_files, sweep_caches
from media_serving.transcoding.requests import cached_path
from nvr.audit.models import AuditEntry
from nvr.jobs.models import JobState
from tests.cameras.test_purging import Killed, kill
from tests.factories import folder_of, put
from tests.media_serving.evidence import after, detect, detection_of
from tests.media_serving.ledger import enter


@pytest.fixture
def folders(settings, tmp_path):
    settings.THUMBNAIL_DIR, settings.CLIP_DIR = tmp_path / "thumbnails", tmp_path / "clips"
    settings.KEPT_DIR = tmp_path / "kept"
    settings.THUMBNAIL_DIR.mkdir()
    settings.CLIP_DIR.mkdir()
    return tmp_path


def with_files(camera, seconds):
    """A detection with its thumbnail, in an event of its own with its clip."""
    detection = detect(camera, after(seconds), thumbnail_size_bytes=3)
    Event.objects.filter(pk=detection.event_id).update(clip_size_bytes=3, clip_created_at=timezone.now())
    detection.thumbnail_path.write_bytes(b"jpg")
    detection.event.clip_path.write_bytes(b"mp4")
    return detection


def purge(admin, camera):
    registry.trash_camera(admin, camera)
    registry.purge_camera(admin, camera)


@pytest.mark.django_db(transaction=True)
def test_purging_a_camera_removes_its_rows_thumbnails_and_clips_and_nothing_else(
    folders, admin, camera, family_camera, pictures, monkeypatch
):
    monkeypatch.setattr(purging, "BATCH_SIZE", 2)
    monkeypatch.setattr(purging, "BATCHES_IN_REQUEST", 10)
    monkeypatch.setattr(purging, "PAUSE_S", 0)
    gone = [with_files(camera, seconds) for seconds in (0, 100, 200, 300, 400)]
    stays = with_files(family_camera, 0)

    purge(admin, camera)

    assert not any(each.thumbnail_path.exists() or each.event.clip_path.exists() for each in gone)
    assert stays.thumbnail_path.exists()
    assert stays.event.clip_path.exists()
    assert (Detection.objects.get(), Event.objects.get()) == (stays, stays.event)
    assert sorted(path.name for path in folder_of(camera).iterdir()) == pictures
    assert not Tombstone.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_a_file_that_a_crash_left_without_a_size_is_removed_too(folders, admin, camera):
    detection = detect(camera, after(0))
    detection.thumbnail_path.write_bytes(b"jpg")

    purge(admin, camera)

    assert not detection.thumbnail_path.exists()


@pytest.mark.django_db(transaction=True)
def test_files_stay_when_the_purge_is_rolled_back(folders, admin, camera):
    detection = with_files(camera, 0)
    registry.trash_camera(admin, camera)

    with pytest.raises(RuntimeError), transaction.atomic():
        registry.purge_camera(admin, camera)
        raise RuntimeError

    assert detection.thumbnail_path.exists()
    assert Detection.objects.get() == detection
    assert not Tombstone.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_after_a_storage_fault_the_next_attempt_removes_the_file(folders, admin, camera, settings):
    detection = with_files(camera, 0)
    away = folders / "away"
    settings.THUMBNAIL_DIR.rename(away)

    purge(admin, camera)
    assert [(stone.path, stone.attempts) for stone in Tombstone.objects.all()] == [(str(detection.thumbnail_path), 1)]

    remove_files()
    assert Tombstone.objects.get().attempts == 2

    away.rename(settings.THUMBNAIL_DIR)
    remove_files()
    assert not detection.thumbnail_path.exists()
    assert not Tombstone.objects.exists()


def test_a_missing_file_counts_as_removed(folders, db):
    Tombstone.objects.create(path=str(folders / "clips" / "1_clip.mp4"))

    remove_files()

    assert not Tombstone.objects.exists()


def test_a_file_that_cannot_be_removed_does_not_block_the_others(folders, db, monkeypatch):
    monkeypatch.setattr(tombstones, "BATCH", 2)
    stubborn = [folders / f"{number}" for number in range(3)]
    for folder in stubborn:
        folder.mkdir()  # a folder is no file: unlink refuses it
    easy = folders / "clips" / "1_clip.mp4"
    easy.write_bytes(b"mp4")
    for path in (*stubborn, easy):
        Tombstone.objects.create(path=str(path))

    remove_files()

    assert not easy.exists()
    assert [Path(stone.path) for stone in Tombstone.objects.all()] == stubborn
    shutil.rmtree(folders / "clips")


@pytest.mark.django_db(transaction=True)
def test_a_purge_request_does_not_wait_for_every_file_but_all_are_removed(folders, admin, camera, monkeypatch):
    monkeypatch.setattr(tombstones, "BATCH", 2)
    gone = [with_files(camera, seconds) for seconds in (0, 10, 20, 30, 40)]

    purge(admin, camera)
    assert sum(each.thumbnail_path.exists() for each in gone) == 3

    remove_files()
    assert not any(each.thumbnail_path.exists() for each in gone)


@pytest.mark.django_db(transaction=True)
def test_purging_a_camera_removes_the_transcodes_of_its_videos_too(settings, tmp_path, admin, camera, family_camera):
    settings.CACHE_DIR, settings.KEPT_DIR = tmp_path / "cache", tmp_path / "kept"
    rows = {}
    for owner in (camera, family_camera):
        copy = enter(owner, "same.avi", is_kept=True).kept_path
        for video in (put(folder_of(owner), "über.avi", b"x"), put(copy.parent, copy.name, b"former")):
            values = {"path": quote(os.fsencode(video.resolve())), "mtime_ns": 0, "source_size_bytes": 1}
            rows[video] = Transcode.objects.create(key=f"{len(rows):064x}", state=JobState.DONE, size_bytes=3, **values)
            put(cached_path(rows[video]).parent, cached_path(rows[video]).name, b"mp4")

    purge(admin, camera)

    *gone, stays, former_stays = rows.values()
    assert set(Transcode.objects.all()) == {stays, former_stays}
    assert not any(cached_path(form).exists() for form in gone)
    assert cached_path(stays).exists() and cached_path(former_stays).exists()


@pytest.mark.django_db(transaction=True)
def test_purging_a_camera_removes_its_uploads_and_kept_copies_after_its_detections(
    folders, admin, camera, family_camera, pictures
):
    kept, left_by_a_crash = enter(camera, "a.jpg", is_kept=True), enter(camera, "b.JPG")
    plain, stays = enter(camera, "c.jpg"), enter(family_camera, "a.jpg", is_kept=True)
    for upload in (kept, left_by_a_crash, stays):
        put(upload.kept_path.parent, upload.kept_path.name, b"jpg")
    for upload in (kept, plain):
        detect(camera, after(0), upload=upload)
    CameraLease.objects.create(camera=camera)

    purge(admin, camera)

    assert list(Upload.objects.all()) == [stays]
    assert stays.kept_path.exists()
    assert not kept.kept_path.exists()
    assert not left_by_a_crash.kept_path.exists()
    assert sorted(path.name for path in folder_of(camera).iterdir()) == pictures
    assert not Tombstone.objects.exists()
    assert not CameraLease.objects.exists()
    remove_kept_folders()
    assert not kept.kept_path.parent.exists() and stays.kept_path.exists()


@pytest.mark.django_db(transaction=True)
def test_uploads_are_deleted_in_batches_too(folders, admin, camera, monkeypatch):
    monkeypatch.setattr(purging, "BATCH_SIZE", 3)
    monkeypatch.setattr(purging, "BATCHES_IN_REQUEST", 10)
    monkeypatch.setattr(purging, "PAUSE_S", 0)
    for number in range(8):
        detect(camera, after(number), upload=enter(camera, f"{number}.jpg"))

    purge(admin, camera)

    assert not Upload.objects.exists()
    assert not Camera.everything.exists()


@pytest.fixture
def rows_by_transaction():
    """How many detections and events each transaction deleted."""
    counts, running = [], [0]

    def finish():
        counts.append(running[0])
        running[0] = 0

    def count(execute, sql, params, many, context):
        result = execute(sql, params, many, context)
        if sql.startswith(('DELETE FROM "media_serving_detection"', 'DELETE FROM "media_serving_event"')):
            if not running[0]:
                transaction.on_commit(finish)
            running[0] += context["cursor"].rowcount
        return result

    with connection.execute_wrapper(count):
        yield counts


def fill(camera, detections):
    """Ten detections in each event."""
    spans = [(after(1000 * number), after(1000 * number + 9)) for number in range(detections // 10)]
    events = Event.objects.bulk_create(
        Event(camera=camera, started_at=start, last_detected_at=end, ended_at=end, detection_count=10)
        for start, end in spans
    )
    Detection.objects.bulk_create(
        detection_of(camera, event.started_at, event=event) for event in events for _ in range(10)
    )


@pytest.mark.django_db(transaction=True)
@pytest.mark.slow
def test_no_transaction_deletes_more_than_a_batch(
    folders, admin, camera, family_camera, monkeypatch, rows_by_transaction
):
    monkeypatch.setattr(purging, "PAUSE_S", 0)
    monkeypatch.setattr(current_app, "send_task", lambda name, args, queue: None)
    fill(camera, 50_010)  # one batch takes the last detections and the first events
    fill(family_camera, 10)

    purge(admin, camera)
    in_request = sum(rows_by_transaction)
    continue_purge(Purge.objects.get().pk)

    assert in_request == (1 + purging.BATCHES_IN_REQUEST) * purging.BATCH_SIZE
    assert max(rows_by_transaction) == purging.BATCH_SIZE <= 5000
    assert sum(rows_by_transaction) == 55_011
    assert (Detection.objects.count(), Event.objects.count()) == (10, 1)
    assert list(Camera.everything.all()) == [family_camera]


@pytest.mark.django_db(transaction=True)
def test_a_purge_killed_between_detections_and_events_resumes(folders, admin, camera, monkeypatch):
    monkeypatch.setattr(purging, "BATCH_SIZE", 2)
    monkeypatch.setattr(purging, "PAUSE_S", 0)
    gone = [with_files(camera, seconds) for seconds in (0, 100, 200, 300, 400)]
    registry.trash_camera(admin, camera)

    with monkeypatch.context() as killed:
        killed.setattr(removal, "remove_events", kill)  # the third batch ends there, and is undone
        with pytest.raises(Killed):
            registry.purge_camera(admin, camera)
    assert (Detection.objects.count(), Event.objects.count()) == (1, 5)
    assert [each.thumbnail_path.exists() for each in gone] == [True, False, False, False, False]
    assert all(each.event.clip_path.exists() for each in gone)
    with pytest.raises(registry.BeingPurged):
        registry.restore_camera(admin, camera)

    Purge.objects.update(leased_until=timezone.now())
    continue_purge(Purge.objects.get().pk)
    assert not Camera.everything.exists()
    assert not any(each.thumbnail_path.exists() or each.event.clip_path.exists() for each in gone)
    assert AuditEntry.objects.filter(action="camera_purged").count() == 1


@pytest.mark.django_db
def test_partial_files_of_killed_writers_are_removed(folders, settings):
    settings.CACHE_DIR = folders / "cache"
    places = [settings.CLIP_DIR, settings.THUMBNAIL_DIR, settings.KEPT_DIR / "7"]
    for place in places:
        old, new = (put(place, name, b"x") for name in ("old.part", "new.part"))
        os.utime(old, (0, 0))
        assert new.exists()

    sweep_caches()

    assert [path.name for place in places for path in place.iterdir()] == ["new.part"] * 3
