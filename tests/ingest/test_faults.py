"""Faults in the middle of reading a file: what was recorded stays so once, what was not is read later."""

from __future__ import annotations

import os
import struct
import subprocess
import time
from datetime import timedelta
from pathlib import Path

import pytest
from django.db import DataError, IntegrityError, OperationalError
from django.utils import timezone
from PIL import Image, ImageDraw

from cameras.models import Camera
from media_serving.detectors.vision import sampling
from media_serving.ingest import detection, pipeline, processor
from media_serving.ingest import leases as ingest_leases
from media_serving.ingest.retry import retry
from media_serving.models import Detection, Upload
from media_serving.thumbnails import rendering as thumbnails
from nvr.media.images.decoder import pool
from tests.factories import folder_of, jpeg, make_camera, make_video, put
from tests.ingest.conftest import scan_and_enter, uploads
from tests.ingest.test_working import process_all


def scene(x: int) -> bytes:
    import io

    buffer, image = io.BytesIO(), Image.new("RGB", (320, 240), (90, 110, 90))
    ImageDraw.Draw(image).rectangle((x, 100, x + 40, 200), fill=(20, 20, 20))
    image.save(buffer, "JPEG", quality=90)
    return buffer.getvalue()


@pytest.fixture
def yard(db: None) -> Camera:
    camera = make_camera("Yard", detector="motion")
    put(folder_of(camera), "20260131_120000.jpg", scene(0))
    put(folder_of(camera), "20260131_120001.jpg", scene(150))
    return camera


def test_a_failed_thumbnail_does_not_process_the_file_again(yard, settings, tmp_path):
    (tmp_path / "file").touch()
    settings.THUMBNAIL_DIR = tmp_path / "file"

    assert set(process_all(yard).values()) == {("done", "")}
    assert Detection.objects.exists()
    assert not Detection.objects.exclude(thumbnail_size_bytes=None)


def test_a_thumbnail_is_never_rendered_from_newer_content(yard, monkeypatch, settings, tmp_path):
    (tmp_path / "file").touch()
    settings.THUMBNAIL_DIR = tmp_path / "file"
    process_all(yard)
    settings.THUMBNAIL_DIR = tmp_path / "thumbnails"  # its own: other tests leave detections of the same number
    (upload,) = Upload.objects.filter(detections__isnull=False).distinct()
    put(folder_of(yard), upload.path, jpeg(320, 240), age_s=2)
    thumbnails.make_pending()

    assert not Detection.objects.first().thumbnail_path.exists()
    assert Detection.objects.first().thumbnail_size_bytes == 0


def test_thumbnails_of_an_unavailable_camera_do_not_block_others(yard, monkeypatch):
    from nvr.media.files.paths import StorageFault

    other = make_camera("Other", detector="motion")
    monkeypatch.setattr(pipeline, "make_thumbnails", lambda upload: 0)
    monkeypatch.setattr(thumbnails, "BATCH_SIZE", 1)
    for camera in (other, yard):
        put(folder_of(camera), "20260131_120000.jpg", scene(0))
        put(folder_of(camera), "20260131_120001.jpg", scene(150))
        process_all(camera)
    delivered = thumbnails.uploaded_file

    def away(upload, camera):
        if camera.pk == yard.pk:
            raise StorageFault("The volume is not mounted.")
        return delivered(upload, camera)

    monkeypatch.setattr(thumbnails, "uploaded_file", away)
    thumbnails.make_pending()

    assert not Detection.objects.filter(camera=other, thumbnail_size_bytes=None)
    assert Detection.objects.filter(camera=yard, thumbnail_size_bytes=None)


def test_the_complete_content_of_a_reused_name_is_kept(porch):
    put(folder_of(porch), "snap.jpg", jpeg(320, 240), age_s=60)
    process_all(porch)
    put(folder_of(porch), "snap.jpg", jpeg(320, 240, seed=3)[:3000], age_s=40)
    assert process_all(porch)
    put(folder_of(porch), "snap.jpg", jpeg(320, 240, seed=3), age_s=20)
    process_all(porch)

    latest = Upload.objects.latest("pk")
    assert latest.state == "done" and latest.kept_path.read_bytes() == jpeg(320, 240, seed=3)


def test_a_file_whose_copy_fails_keeps_waiting(porch, settings, tmp_path):
    put(folder_of(porch), "snap.jpg", jpeg(), age_s=60)
    process_all(porch)
    put(folder_of(porch), "snap.jpg", jpeg(seed=3), age_s=20)
    (tmp_path / "file").touch()
    settings.KEPT_DIR = tmp_path / "file"

    assert process_all(porch) and Upload.objects.latest("pk").state == "waiting"
    assert "data folder" in Upload.objects.latest("pk").reason


def test_a_file_that_changes_during_detection_is_processed_again(yard, monkeypatch):
    look = pipeline.run_detector
    file = folder_of(yard) / "20260131_120001.jpg"

    def slow(*args, **kwargs):
        if args[3].minute == 0 and args[3].second == 1 and len(file.read_bytes()) == len(scene(150)):
            put(folder_of(yard), file.name, scene(200) + b"more", age_s=5)
        return look(*args, **kwargs)

    monkeypatch.setattr(pipeline, "run_detector", slow)
    process_all(yard)
    Upload.objects.update(retry_at=None)
    processor.process_pending()

    assert set(uploads(yard).values()) == {("done", "")}
    assert Upload.objects.get(path=file.name).size_bytes == len(scene(200)) + 4
    assert Detection.objects.count() == Detection.objects.filter(upload__path=file.name).count() > 0


def test_a_video_that_times_out_each_time_fails(yard, monkeypatch):
    make_video(folder_of(yard) / "a.mp4")
    monkeypatch.setattr(
        sampling.sample_frames, "__kwdefaults__", {**sampling.sample_frames.__kwdefaults__, "time_limit": timedelta(0)}
    )
    scan_and_enter(yard)
    for _ in range(5):
        processor.process_pending()
        Upload.objects.update(retry_at=None)

    assert uploads(yard)["a.mp4"][0] == "failed"


def test_a_picture_that_times_out_is_retried_with_growing_delays(porch, monkeypatch):
    """The disk may be slow for a night. Each try takes a worker for as long as one waits for a decoder."""
    put(folder_of(porch), "a.jpg", jpeg(), age_s=86_400)
    scan_and_enter(porch)
    pauses = []
    with monkeypatch.context() as slow:
        slow.setattr(pool, "TIMEOUT_S", 0.0)
        for quiet_for in (timedelta(0), timedelta(minutes=10), timedelta(hours=20)):
            Upload.objects.update(received_at=timezone.now() - quiet_for, retry_at=None)
            begun = timezone.now()
            processor.process_pending()
            row = Upload.objects.get()
            assert (row.state, row.attempts) == ("waiting", 0) and "too long" in row.reason
            pauses.append(row.retry_at - begun)
    assert pauses[0] < timedelta(minutes=2) < pauses[1] < pauses[2]

    Upload.objects.update(retry_at=None)
    processor.process_pending()
    assert uploads(porch) == {"a.jpg": ("done", "")}


@pytest.mark.parametrize("fault", [DataError("too large"), IntegrityError("check")])
def test_a_row_rejected_by_the_database_does_not_block_other_files(yard, monkeypatch, fault):
    scan_and_enter(yard)
    poison = Upload.objects.get(path="20260131_120000.jpg").pk
    finish = pipeline.finish

    def refused(job):
        if job.upload.pk == poison:
            raise fault
        finish(job)

    monkeypatch.setattr(pipeline, "finish", refused)
    for _ in range(3):
        processor.process_pending()
        Upload.objects.update(retry_at=None)

    found = uploads(yard)
    assert found["20260131_120001.jpg"][0] == "done"
    state, reason = found["20260131_120000.jpg"]
    assert state == "failed" and type(fault).__name__ in reason


def test_a_retried_upload_that_was_overwritten_is_reported(porch, admin):
    put(folder_of(porch), "a.jpg", b"no picture at all, but long enough", age_s=60)
    process_all(porch)
    put(folder_of(porch), "a.jpg", jpeg(), age_s=20)
    process_all(porch)
    old = Upload.objects.get(state="rejected")
    retry(admin, old)
    processor.process_pending()

    old.refresh_from_db()
    assert old.state == "rejected" and "overwritten" in old.reason
    assert Upload.objects.count() == 2


@pytest.mark.parametrize("kind", ["fifo", "text", "link"])
def test_a_retried_upload_that_is_not_media_is_rejected_again(porch, admin, kind):
    folder = folder_of(porch)
    if kind == "fifo":
        os.mkfifo(folder / "a.jpg")
    elif kind == "link":
        (folder / "a.jpg").symlink_to("/etc/hostname")
    else:
        put(folder, "a.txt", b"hello")
    scan_and_enter(porch)
    before = uploads(porch)
    retry(admin, Upload.objects.get())
    processor.process_pending()

    assert uploads(porch) == before


def test_an_unreadable_file_is_reported_and_processed_once_it_is_readable(porch, monkeypatch):
    file = put(folder_of(porch), "a.jpg", jpeg())
    scan_and_enter(porch)
    really = os.open

    def refused(path, *args, **kwargs):
        if str(path) == str(file):
            raise PermissionError(13, "Permission denied")
        return really(path, *args, **kwargs)

    monkeypatch.setattr(os, "open", refused)
    processor.process_pending()
    state, reason = uploads(porch)["a.jpg"]
    assert state == "waiting" and "may not" in reason
    monkeypatch.setattr(os, "open", really)
    Upload.objects.update(retry_at=None)
    processor.process_pending()

    assert uploads(porch) == {"a.jpg": ("done", "")}


def ffmpeg(path: Path, *arguments: str) -> Path:
    subprocess.run(["ffmpeg", "-v", "error", "-y", *arguments, str(path)], check=True, timeout=150)
    return path


@pytest.mark.parametrize("name", ["a.avi", "a.mp4", "a.mov", "a.mkv", "a.webm"])
def test_a_truncated_video_waits_for_the_rest(porch, name):
    flags = ("-movflags", "+faststart") if name.endswith(("mp4", "mov")) else ()
    codec = ("-c:v", "libvpx") if name.endswith("webm") else ("-c:v", "mpeg4")
    source = "testsrc=duration=6:size=320x240:rate=10"
    file = ffmpeg(folder_of(porch) / name, "-f", "lavfi", "-i", source, *codec, *flags)
    whole = file.read_bytes()
    put(folder_of(porch), name, whole[: len(whole) // 2], age_s=30)
    state, reason = process_all(porch)[name]
    assert state == "waiting", (state, reason)

    put(folder_of(porch), name, whole, age_s=10)
    assert process_all(porch) == {name: ("done", "")}


def test_detections_before_a_videos_damage_are_kept(yard, monkeypatch):
    make_video(folder_of(yard) / "a.mp4", seconds=6)
    frames = sampling.sample_frames

    def breaking(*args, **kwargs):
        from nvr.media.ffmpeg.operations import FfmpegFailed

        for number, frame in enumerate(frames(*args, **kwargs)):
            if number == 4:
                raise FfmpegFailed("The video could not be read: damaged")
            yield frame

    monkeypatch.setattr(detection.sampling, "sample_frames", breaking)
    scan_and_enter(yard)
    processor.process_pending()

    state, reason = uploads(yard)["a.mp4"]
    assert state == "done" and "damaged" in reason


def test_a_truncated_video_is_processed_after_hours(porch, settings):
    file = ffmpeg(folder_of(porch) / "a.avi", "-f", "lavfi", "-i", "testsrc=duration=6:size=320x240:rate=10")
    put(folder_of(porch), "a.avi", file.read_bytes()[:40_000], age_s=30)
    assert process_all(porch)["a.avi"][0] == "waiting"

    settings.NVR_INCOMPLETE_UPLOAD_TIMEOUT = timedelta(0)
    Upload.objects.update(retry_at=None)
    processor.process_pending()

    assert uploads(porch) == {"a.avi": ("done", "")}


def read_while_the_database_refuses(camera: Camera, monkeypatch: pytest.MonkeyPatch, *, times: int) -> None:
    """As PostgreSQL does whose disk is full: what a row has room for is taken, new rows are not."""

    def refused(job: pipeline.Job) -> None:
        raise OperationalError("could not extend file: No space left on device")

    with monkeypatch.context() as full:
        full.setattr(pipeline, "finish", refused)
        for _ in range(times):
            with pytest.raises(OperationalError):
                processor.process_pending()
            Upload.objects.update(retry_at=None)


def test_a_full_database_disk_does_not_fail_files(porch, monkeypatch):
    put(folder_of(porch), "a.jpg", jpeg())
    scan_and_enter(porch)

    read_while_the_database_refuses(porch, monkeypatch, times=2 * Upload.MAX_ATTEMPTS)
    state, reason = uploads(porch)["a.jpg"]
    assert state == "waiting" and "database" in reason
    processor.process_pending()

    assert uploads(porch) == {"a.jpg": ("done", "")}


def test_a_row_that_the_database_always_rejects_fails_after_hours(porch, monkeypatch):
    put(folder_of(porch), "a.jpg", jpeg())
    scan_and_enter(porch)

    read_while_the_database_refuses(porch, monkeypatch, times=Upload.MAX_RESTARTS)

    assert uploads(porch) == {"a.jpg": ("failed", processor.REFUSED)}


def test_retries_after_database_errors_have_growing_delays(porch, monkeypatch):
    put(folder_of(porch), "a.jpg", jpeg())
    scan_and_enter(porch)
    pauses = []
    monkeypatch.setattr(Upload, "postpone", lambda upload, reason, delay, **more: pauses.append(delay))
    lease = ingest_leases.acquire(porch.pk)
    for attempts in range(1, Upload.MAX_RESTARTS):
        processor.postpone_after_database_error(lease, Upload(pk=Upload.objects.get().pk, attempts=attempts))

    assert pauses == sorted(pauses) and pauses[0] == processor.RECHECK_DELAY
    assert timedelta(hours=5) < sum(pauses, timedelta()) < timedelta(hours=8)


def test_a_truncated_file_with_a_time_in_the_far_future_is_rejected_too(porch):
    """As of a camera that sets the file's time by its own wrong clock."""
    file = put(folder_of(porch), "a.jpg", jpeg()[:500])
    ahead = time.time() + 3e7
    os.utime(file, (ahead, ahead))
    assert process_all(porch)["a.jpg"][0] == "waiting"

    Upload.objects.update(received_at=timezone.now() - timedelta(hours=7), retry_at=None)
    processor.process_pending()

    assert uploads(porch)["a.jpg"][0] == "rejected"


def test_a_truncated_file_from_a_slightly_fast_clock_keeps_waiting(porch):
    file = put(folder_of(porch), "a.jpg", jpeg()[:500])
    ahead = time.time() + 300
    os.utime(file, (ahead, ahead))
    scan_and_enter(porch)
    Upload.objects.update(received_at=timezone.now() - timedelta(hours=7))
    processor.process_pending()

    assert uploads(porch)["a.jpg"][0] == "waiting"


@pytest.mark.parametrize("length", [2**64 - 1, 2**63, 2**40])
def test_a_video_with_a_box_beyond_its_end_waits_for_the_rest(porch, length):
    film = make_video(folder_of(porch) / "v.mp4", seconds=1)
    put(folder_of(porch), "v.mp4", film.read_bytes() + struct.pack(">I4sQ", 1, b"free", length), age_s=30)

    state, reason = process_all(porch)["v.mp4"]

    assert state == "waiting" and "truncated" in reason


def test_an_avi_whose_length_includes_its_header_is_complete(porch):
    film = make_video(folder_of(porch) / "v.avi", seconds=1)
    data = film.read_bytes()
    put(folder_of(porch), "v.avi", data[:4] + struct.pack("<I", len(data)) + data[8:], age_s=30)

    assert process_all(porch) == {"v.avi": ("done", "")}


@pytest.mark.parametrize("rubbish", [b"\xff" * 64, bytes(64), b"\x7f"], ids=["ones", "zeros", "a byte"])
def test_trailing_garbage_does_not_delay_a_video(porch, rubbish):
    film = make_video(folder_of(porch) / "v.mp4", seconds=1)
    put(folder_of(porch), "v.mp4", film.read_bytes() + rubbish, age_s=30)

    assert process_all(porch) == {"v.mp4": ("done", "")}
