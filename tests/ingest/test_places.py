"""The same bytes of one camera at another place, or once more: detected in once, and found where they are now."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from django.db import OperationalError
from django.utils import timezone

from cameras.models import Camera
from media_serving import kept_copies
from media_serving.clips import footage
from media_serving.ingest import places, processor
from media_serving.models import ClipWork, Detection, Event, Upload, UploadCopy
from media_serving.purge import remove_batch
from media_serving.tombstones import process_pending_tombstones
from nvr.jobs.models import JobState
from tests.factories import folder_of, jpeg, make_camera, make_video, put
from tests.ingest.conftest import scan_and_enter, uploads
from tests.ingest.test_faults import scene
from tests.ingest.test_working import process_all
from tests.media_serving.evidence import detect
from tests.media_serving.ledger import enter_file
from tests.media_serving.stored import MEDIA, body_of

FILM = "Front_00_20261129120000.mp4"


@pytest.fixture
def yard(db: None) -> Camera:
    return make_camera("Yard", detector="motion", time_zone="Europe/Berlin")


def found(camera: Camera) -> list[int]:
    return list(Detection.objects.filter(camera=camera).order_by("pk").values_list("pk", flat=True))


def film_in(camera: Camera) -> Path:
    return make_video(folder_of(camera) / FILM, seconds=4)


def test_a_moved_video_in_a_renamed_folder_is_processed_once(yard, api):
    film = film_in(yard)
    process_all(yard)
    first = found(yard)
    assert first and Event.objects.count() == 1

    for place in ("2026-11-29", "2026-11-29 front", "archive/2026/11"):
        target = folder_of(yard) / place / FILM
        target.parent.mkdir(parents=True)
        film = film.rename(target)
        process_all(yard)

        assert found(yard) == first and Upload.objects.count() == 1
        assert uploads(yard) == {f"{place}/{FILM}": ("done", "")}
        assert {row.file_path for row in Detection.objects.all()} == {str(target)}
        assert api.get(f"{MEDIA}detections/{first[0]}").status_code == 200
    assert Event.objects.get().detection_count == len(first)


@pytest.mark.parametrize("detector", ["motion", "none"])
def test_a_file_sent_again_is_not_a_new_upload_but_updates_last_seen(yard, detector):
    Camera.objects.update(detector=detector)
    put(folder_of(yard), "snap.jpg", scene(0), age_s=5 * 86_400)
    put(folder_of(yard), "other.jpg", scene(150), age_s=5 * 86_400 - 1)
    process_all(yard)
    first = found(yard)
    Upload.objects.update(received_at=timezone.now() - timedelta(days=5))

    for age_s in (40, 5):
        put(folder_of(yard), "snap.jpg", scene(0), age_s=age_s)
        process_all(yard)

    yard.refresh_from_db()
    assert found(yard) == first and Upload.objects.count() == 2
    assert timezone.now() - yard.last_seen_at < timedelta(seconds=60)
    assert Upload.objects.get(path="snap.jpg").mtime_ns == (folder_of(yard) / "snap.jpg").stat().st_mtime_ns


NAMES = [
    # with the same bytes: the former name, the new one, and whether it is the same upload
    ("20261129_120000.jpg", "20261129_120001.jpg", False),
    ("20261129_120000.jpg", "day/20261129_120000.jpg", True),
    ("day1/a.jpg", "day2/a.jpg", True),
    ("2026-11-28/snap.jpg", "2026-11-29/snap.jpg", True),
    ("a.jpg", "b.jpg", True),
    ("Front_00_20261129120000.jpg", "sorted/20261129_120000.jpg", True),
    ("2026-11-29/001/jpg/12/00/00[M][0@0][0].jpg", "2026-11-29/001/jpg/12/00/05[M][0@0][0].jpg", False),
    ("20261129_120000.jpg", "renamed.jpg", True),
]


@pytest.mark.parametrize(("former", "latter", "is_same"), NAMES)
def test_the_same_content_with_another_time_in_its_name_is_another_upload(porch, former, latter, is_same):
    """As of a lens that is covered: one black frame is like the other."""
    put(folder_of(porch), former, jpeg(), age_s=300)
    process_all(porch)
    put(folder_of(porch), latter, jpeg(), age_s=10)
    process_all(porch)

    assert Upload.objects.filter(state="done").count() == (1 if is_same else 2)
    assert not Upload.objects.exclude(state="done")
    assert UploadCopy.objects.count() == (1 if is_same else 0)


def test_a_name_with_the_time_of_the_first_upload_is_the_same_upload(porch):
    file = put(folder_of(porch), "a.jpg", jpeg(), age_s=3600)
    process_all(porch)
    timestamp = time.strftime("%Y%m%d_%H%M%S", time.gmtime(file.stat().st_mtime))
    file.rename(folder_of(porch) / f"{timestamp}.jpg")
    process_all(porch)

    assert [row.path for row in Upload.objects.all()] == [f"{timestamp}.jpg"]


def test_other_content_and_other_cameras_content_are_separate_uploads(porch):
    yard = make_camera("Yard", detector="none")
    put(folder_of(porch), "a.jpg", jpeg())
    process_all(porch)
    put(folder_of(porch), "b.jpg", jpeg(seed=1))
    put(folder_of(yard), "a.jpg", jpeg())
    process_all(porch)
    process_all(yard)

    assert Upload.objects.filter(state="done").count() == 3


def copied_and_deleted(source: Path, target: Path) -> None:
    shutil.copy2(source, target)


def linked(source: Path, target: Path) -> None:
    os.link(source, target)


@pytest.mark.parametrize("doubles", [copied_and_deleted, linked])
def test_the_first_of_two_locations_is_used_until_it_is_gone(yard, api, doubles: Callable[[Path, Path], None]):
    put(folder_of(yard), "a.jpg", scene(0), age_s=30)
    film = film_in(yard)
    process_all(yard)
    (first, *_) = found(yard)
    target = folder_of(yard) / "sorted" / FILM
    target.parent.mkdir()
    doubles(film, target)
    process_all(yard)
    assert Upload.objects.filter(path=FILM).exists() and UploadCopy.objects.get().path == f"sorted/{FILM}"
    assert scan_and_enter(yard) == 0  # a place that is known is not read again

    film.unlink()
    assert api.get(f"{MEDIA}detections/{first}").status_code == 200  # nobody has noticed yet
    assert places.follow_copies(timezone.now()) == 1
    assert Detection.objects.get(pk=first).file_path == str(target)
    assert not UploadCopy.objects.exists()
    assert api.get(f"{MEDIA}detections/{first}").status_code == 200
    assert places.follow_copies(timezone.now()) == 0


def copied(camera: Camera, name: str, seed: int) -> Path:
    """A file that was copied into a folder; where it was before."""
    source, target = put(folder_of(camera), name, jpeg(seed=seed), age_s=30), folder_of(camera) / "sorted" / name
    process_all(camera)
    target.parent.mkdir(exist_ok=True)
    shutil.copy2(source, target)
    process_all(camera)
    return source


def test_a_location_taken_by_another_upload_does_not_block_others(porch):
    for seed, name in enumerate(("a.jpg", "b.jpg", "c.jpg")):
        copied(porch, name, seed).unlink()
    enter_file(porch, folder_of(porch) / "sorted/b.jpg", state="working")  # as by a scan that ran meanwhile

    assert places.follow_copies(timezone.now()) == 2
    assert set(Upload.objects.exclude(state="working").values_list("path", flat=True)) == {
        "sorted/a.jpg",
        "b.jpg",
        "sorted/c.jpg",
    }

    Upload.objects.filter(state="working").update(state="waiting")
    processor.process_pending()
    assert set(uploads(porch)) == {"sorted/a.jpg", "sorted/b.jpg", "sorted/c.jpg"}


def test_copies_whose_original_stays_do_not_block_others(porch, monkeypatch):
    monkeypatch.setattr(places, "FOLLOW_BATCH_SIZE", 1)
    copied(porch, "a.jpg", 0).unlink()
    copied(porch, "b.jpg", 1)
    copied(porch, "c.jpg", 2)

    now = timezone.now()
    assert sum(places.follow_copies(now + timedelta(minutes=minute)) for minute in range(3)) == 1
    assert Upload.objects.filter(path="sorted/a.jpg").exists()


def test_a_file_that_moved_and_came_back_has_its_first_path(yard):
    film = film_in(yard)
    process_all(yard)
    first = found(yard)
    aside = folder_of(yard) / "aside.mp4"
    film.rename(aside)
    process_all(yard)
    aside.rename(film)
    process_all(yard)

    assert found(yard) == first
    assert uploads(yard) == {FILM: ("done", "")}


def test_contents_a_b_and_a_under_one_name_are_two_uploads(porch, api):
    for number, seed in enumerate((0, 1, 0)):
        put(folder_of(porch), "snap.jpg", jpeg(seed=seed), age_s=60 - 20 * number)
        process_all(porch)

    assert Upload.objects.count() == 2
    former, latter = Upload.objects.order_by("pk")
    assert body_of(api.get(f"{MEDIA}uploads/{former.pk}")) == jpeg(seed=0)
    assert body_of(api.get(f"{MEDIA}uploads/{latter.pk}")) == jpeg(seed=1)


def test_content_that_returns_and_is_overwritten_again_is_still_shown(porch, api):
    for number, seed in enumerate((0, 1, 0, 1)):
        put(folder_of(porch), "snap.jpg", jpeg(seed=seed), age_s=60 - 10 * number)
        process_all(porch)

    first = Upload.objects.earliest("pk")
    assert Upload.objects.count() == 2
    assert first.is_kept and body_of(api.get(f"{MEDIA}uploads/{first.pk}")) == jpeg(seed=0)


def test_a_copy_removed_to_free_space_is_not_created_again(porch, settings):
    for number, seed in enumerate((0, 1, 0, 1, 0)):
        put(folder_of(porch), "snap.jpg", jpeg(seed=seed), age_s=60 - 10 * number)
        if number == 4:
            settings.NVR_KEPT_MAX_AGE = timedelta(0)
            kept_copies.trim(timezone.now() + timedelta(seconds=1))
        process_all(porch)

    first = Upload.objects.earliest("pk")
    assert not first.is_kept and first.copy_removed_at is not None


def test_a_file_sent_again_while_the_first_waits_is_one_upload(yard):
    film = film_in(yard)
    scan_and_enter(yard)
    shutil.copy2(film, folder_of(yard) / f"again_{FILM}")
    scan_and_enter(yard)
    processor.process_pending()
    once = found(yard)

    assert Upload.objects.filter(state="done").count() == 1
    assert len(once) == len(set(Detection.objects.values_list("offset_ms", "bbox_x", "bbox_y")))


def test_an_error_during_a_merge_changes_nothing(yard, monkeypatch):
    film = film_in(yard)
    process_all(yard)
    before = list(Detection.objects.values())
    film.rename(folder_of(yard) / "moved.mp4")

    def away(*args: object) -> None:
        raise OperationalError("away")

    with monkeypatch.context() as faulty:
        faulty.setattr(places, "regenerate_clips", away)
        scan_and_enter(yard)
        with pytest.raises(OperationalError):
            processor.process_pending()
    assert list(Detection.objects.values()) == before
    assert Upload.objects.get(path=FILM).state == "done"

    Upload.objects.update(retry_at=None)
    processor.process_pending()
    assert uploads(yard) == {"moved.mp4": ("done", "")}


def test_an_unresponsive_first_location_defers_the_decision(yard, monkeypatch):
    film = film_in(yard)
    process_all(yard)
    shutil.copy2(film, folder_of(yard) / "copy.mp4")
    scan_and_enter(yard)
    really = os.lstat

    def failing(path, *args, **kwargs):
        if os.fsencode(path).endswith(FILM.encode()):
            raise OSError(5, "Input/output error")
        return really(path, *args, **kwargs)

    monkeypatch.setattr(places.os, "lstat", failing)
    processor.process_pending()

    assert uploads(yard)["copy.mp4"][0] == "waiting"


def test_a_clip_of_a_moved_video_is_created(yard):
    film = film_in(yard)
    process_all(yard)
    event = Event.objects.get()
    Event.objects.update(ended_at=event.last_detected_at)
    ClipWork.objects.update_or_create(event=event, defaults={"state": JobState.FAILED, "reason": "no footage"})
    film.rename(folder_of(yard) / "moved.mp4")
    process_all(yard)

    event.refresh_from_db()
    footage.check_footage(event)
    assert [each.file.name for each in footage.videos_around(event)] == ["moved.mp4"]
    assert ClipWork.objects.get().state == JobState.WAITING


def test_an_external_report_follows_a_moved_video(porch):
    film = make_video(folder_of(porch) / "v.mp4", seconds=1)
    process_all(porch)
    report = detect(porch, Upload.objects.get().captured_at, file_path=str(film), media_type="video", offset_ms=0)
    film.rename(folder_of(porch) / "w.mp4")
    process_all(porch)

    report.refresh_from_db()
    assert report.file_path == str(folder_of(porch) / "w.mp4")


def test_a_kept_copy_stays_with_a_moved_file(porch):
    put(folder_of(porch), "snap.jpg", jpeg(), age_s=60)
    process_all(porch)
    put(folder_of(porch), "snap.jpg", jpeg(seed=3), age_s=20)
    process_all(porch)
    (folder_of(porch) / "snap.jpg").rename(folder_of(porch) / "noon.jpg")
    process_all(porch)

    latest = Upload.objects.get(path="noon.jpg")
    assert latest.is_kept and latest.kept_path.read_bytes() == jpeg(seed=3)


def test_a_file_moved_to_another_extension_is_found(porch, api):
    for seed in (0, 3):
        put(folder_of(porch), "snap.jpg", jpeg(seed=seed), age_s=60 - 10 * seed)
        process_all(porch)
    kept = Upload.objects.latest("pk").kept_path
    (folder_of(porch) / "snap.jpg").rename(folder_of(porch) / "noon.jpeg")
    process_all(porch)
    process_pending_tombstones()

    latest = Upload.objects.get(path="noon.jpeg")
    assert body_of(api.get(f"{MEDIA}uploads/{latest.pk}")) == jpeg(seed=3)
    assert not kept.exists()


def test_many_identical_frames_are_each_recognized_at_their_new_path(porch):
    """As of a lens that was covered for a night."""
    names = [f"20250301_1200{second:02}.jpg" for second in range(places.CANDIDATES + 5)]
    for name in names:
        put(folder_of(porch), name, jpeg(), age_s=30)
    process_all(porch)
    assert Upload.objects.filter(state="done").count() == len(names)

    (folder_of(porch) / "2025-03-01").mkdir()
    for name in names:
        (folder_of(porch) / name).rename(folder_of(porch) / "2025-03-01" / name)
    process_all(porch)

    assert uploads(porch) == {f"2025-03-01/{name}": ("done", "") for name in names}


def test_a_purge_removes_the_other_locations_too(porch):
    put(folder_of(porch), "a.jpg", jpeg(), age_s=60)
    process_all(porch)
    put(folder_of(porch), "b.jpg", jpeg(), age_s=20)
    process_all(porch)
    assert UploadCopy.objects.count() == 1
    assert remove_batch(porch, 100)

    assert not UploadCopy.objects.exists() and not Upload.objects.exists()
