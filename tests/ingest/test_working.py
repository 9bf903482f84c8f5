"""Processing of uploads: done, rejected with a reason, or waiting for the rest of the file."""

from __future__ import annotations

import io
import os
import secrets
import struct
import subprocess
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from django.utils import timezone
from PIL import Image, ImageDraw

from cameras.folders import ownership as folder_ownership
from cameras.models import Camera
from media_serving.ingest import leases as ingest_leases
from media_serving.ingest import processor
from media_serving.models import CameraLease, ClipWork, Detection, Event, Upload
from nvr.jobs.models import JobState, LeaseLost
from tests.factories import folder_of, jpeg, make_camera, make_video, put
from tests.ingest.conftest import scan_and_enter, uploads
from tests.media_serving.evidence import detect


def process_all(camera: Camera) -> dict[str, tuple[str, str]]:
    scan_and_enter(camera)
    processor.process_pending()
    return uploads(camera)


def test_a_picture_is_processed_and_its_camera_is_online(porch):
    put(folder_of(porch), "a.jpg", jpeg(), age_s=5)

    assert process_all(porch) == {"a.jpg": ("done", "")}
    porch.refresh_from_db()
    assert porch.status == "online" and timezone.now() - porch.last_seen_at < timedelta(seconds=30)


def ffmpeg(path: Path, *arguments: str) -> Path:
    subprocess.run(["ffmpeg", "-v", "error", "-y", *arguments, str(path)], check=True, timeout=60)
    return path


def picture(path: Path, mode: str, kind: str, **options: object) -> None:
    image = Image.new(mode, (64, 48), 30_000) if mode == "I;16" else Image.effect_noise((64, 48), 50).convert(mode)
    image.save(path, kind, **options)


def test_every_kind_of_picture_is_processed(porch):
    folder = folder_of(porch)
    picture(folder / "cmyk.jpg", "CMYK", "JPEG")
    picture(folder / "grey16.png", "I;16", "PNG")
    picture(folder / "progressive.jpg", "RGB", "JPEG", progressive=True)
    picture(folder / "a.png", "RGBA", "PNG")
    picture(folder / "really_a_png.jpg", "RGB", "PNG")

    assert set(process_all(porch).values()) == {("done", "")}


def test_a_truncated_picture_waits_for_the_rest_and_stays_one_upload(porch):
    put(folder_of(porch), "a.jpg", jpeg(320, 240)[:2000], age_s=30)

    state, reason = process_all(porch)["a.jpg"]
    assert state == "waiting" and "incomplete" in reason and "when it grows" in reason

    put(folder_of(porch), "a.jpg", jpeg(320, 240), age_s=10)
    assert process_all(porch) == {"a.jpg": ("done", "")}
    assert Upload.objects.count() == 1


def test_a_truncated_file_is_rejected_after_hours(porch, settings):
    put(folder_of(porch), "a.jpg", jpeg(320, 240)[:2000])
    put(folder_of(porch), "empty.jpg", b"")
    process_all(porch)
    settings.NVR_INCOMPLETE_UPLOAD_TIMEOUT = timedelta(0)
    Upload.objects.update(retry_at=timezone.now())

    processor.process_pending()

    assert uploads(porch) == {
        "a.jpg": ("rejected", "The picture is incomplete or damaged."),
        "empty.jpg": ("rejected", "The file is empty."),
    }


def bomb() -> bytes:
    """A PNG that claims to be 50 000 pixels wide and high."""
    buffer = io.BytesIO()
    Image.new("1", (8, 8)).save(buffer, "PNG")
    data = bytearray(buffer.getvalue())
    data[16:24] = (50_000).to_bytes(4, "big") * 2
    import zlib

    data[29:33] = zlib.crc32(bytes(data[12:29])).to_bytes(4, "big")
    return bytes(data)


def test_invalid_files_are_recorded_with_a_reason(porch, tmp_path):
    folder = folder_of(porch)
    secret = put(tmp_path, "secret.jpg", jpeg())
    put(folder, "playlist.avi", f"#EXTM3U\n#EXTINF:1,\n{secret}\n".encode())
    put(folder, "concat.mp4", f"ffconcat version 1.0\nfile {secret}\n".encode())
    put(folder, "text.jpg", b"no picture at all, but long enough")
    make_video(folder / "clip.avi").rename(folder / "video.jpg")
    put(folder, "huge.png", bomb())
    ffmpeg(folder / "sound.mp4", "-f", "lavfi", "-i", "sine=duration=1")

    found = process_all(porch)

    assert {state for state, _ in found.values()} == {"rejected"}
    assert "not a video of a known format" in found["playlist.avi"][1]
    assert "not a video of a known format" in found["concat.mp4"][1]
    assert "not an image of a known format" in found["text.jpg"][1]
    assert "not an image of a known format" in found["video.jpg"][1]
    assert "200,000,000 pixels; at most 100,000,000" in found["huge.png"][1]
    assert "contains no video" in found["sound.mp4"][1]
    porch.refresh_from_db()
    assert porch.last_seen_at is None


def test_a_video_without_its_index_waits(porch):
    whole = make_video(folder_of(porch) / "a.mp4").read_bytes()
    put(folder_of(porch), "a.mp4", whole[: whole.index(b"moov") - 4])

    state, reason = process_all(porch)["a.mp4"]

    assert state == "waiting" and "no index" in reason


def test_a_video_started_its_duration_before_its_modification_time(porch):
    file = make_video(folder_of(porch) / "a.mp4", seconds=4)
    os.utime(file, (1_790_000_000, 1_790_000_000))
    put(folder_of(porch), "20260131_120000.mp4", file.read_bytes())
    process_all(porch)

    began = dict(Upload.objects.values_list("path", "captured_at"))
    assert began["20260131_120000.mp4"] == datetime(2026, 1, 31, 12, tzinfo=UTC)
    assert began["a.mp4"].timestamp() == 1_790_000_000 - 4


def test_a_gif_with_very_many_frames_is_processed_quickly(porch):
    frame = b"\x2c\x00\x00\x00\x00\x01\x00\x01\x00\x00\x02\x02\x44\x01\x00"
    data = b"GIF89a\x01\x00\x01\x00\x80\x00\x00\x00\x00\x00\xff\xff\xff" + frame * 100_000 + b"\x3b"
    put(folder_of(porch), "a.gif", data)
    started = time.monotonic()

    assert process_all(porch) == {"a.gif": ("done", "")}
    assert time.monotonic() - started < 10


def test_a_file_that_was_deleted_is_recorded(porch):
    file = put(folder_of(porch), "a.jpg", jpeg())
    scan_and_enter(porch)
    file.unlink()
    processor.process_pending()

    assert uploads(porch) == {"a.jpg": ("rejected", processor.FILE_REMOVED)}


def test_files_wait_while_the_volume_is_unavailable(porch, monkeypatch):
    file = put(folder_of(porch), "a.jpg", jpeg())
    scan_and_enter(porch)
    Camera.everything.filter(pk=porch.pk).update(
        mount={"device": 1, "type": "ext4", "source": "/dev/sdz1", "point": str(folder_of(porch))}
    )
    file.rename(folder_of(porch).parent / "elsewhere.jpg")

    processor.process_pending()

    state, reason = uploads(porch)["a.jpg"]
    assert state == "waiting" and "no longer mounted" in reason


def test_a_file_that_changed_since_the_scan_is_processed_as_it_is_now(porch):
    put(folder_of(porch), "a.jpg", jpeg(), age_s=30)
    scan_and_enter(porch)
    put(folder_of(porch), "a.jpg", jpeg(seed=2), age_s=20)
    processor.process_pending()
    Upload.objects.update(retry_at=timezone.now())
    processor.process_pending()

    assert uploads(porch) == {"a.jpg": ("done", "")}


def test_the_same_bytes_again_are_one_upload_and_other_bytes_are_kept(porch):
    put(folder_of(porch), "snap.jpg", jpeg(), age_s=60)
    process_all(porch)
    put(folder_of(porch), "snap.jpg", jpeg(), age_s=40)
    process_all(porch)
    assert Upload.objects.count() == 1 and not Upload.objects.get().is_kept

    put(folder_of(porch), "snap.jpg", jpeg(seed=3), age_s=20)
    assert process_all(porch) == {"snap.jpg": ("done", "")}
    latest = Upload.objects.order_by("-pk").first()
    assert Upload.objects.count() == 2 and latest.is_kept
    assert latest.kept_path.read_bytes() == jpeg(seed=3)


def test_a_file_that_was_missing_and_is_back_is_processed(porch, tmp_path):
    picture = put(folder_of(porch), "a.jpg", jpeg())
    scan_and_enter(porch)
    picture.rename(tmp_path / "elsewhere.jpg")
    processor.process_pending()
    assert uploads(porch) == {"a.jpg": ("rejected", processor.FILE_REMOVED)}

    (tmp_path / "elsewhere.jpg").rename(picture)
    assert scan_and_enter(porch) == 1
    processor.process_pending()

    assert uploads(porch) == {"a.jpg": ("done", "")}
    assert scan_and_enter(porch) == 0


def test_old_bytes_that_return_under_a_name_with_a_newer_waiting_upload_are_processed(porch, tmp_path):
    picture = put(folder_of(porch), "a.jpg", jpeg())
    scan_and_enter(porch)
    picture.rename(tmp_path / "elsewhere.jpg")
    processor.process_pending()
    put(folder_of(porch), "a.jpg", jpeg(seed=2), age_s=5)
    scan_and_enter(porch)

    (tmp_path / "elsewhere.jpg").rename(picture)
    scan_and_enter(porch)
    processor.process_pending()

    assert Upload.objects.filter(state="done").count() == 1
    assert Upload.objects.get(state="done").size_bytes == len(jpeg())


def die_during_processing(camera: Camera, monkeypatch: pytest.MonkeyPatch, *, with_all_others: bool) -> None:
    """The state after a worker was killed while processing the camera's file, with an expired lease."""
    lease = ingest_leases.acquire(camera.pk)
    assert lease is not None
    (upload,) = ingest_leases.next_batch(camera.pk, timezone.now())
    assert ingest_leases.start_processing(lease, upload)
    CameraLease.objects.update(leased_until=timezone.now())
    if with_all_others:
        monkeypatch.setattr("nvr.jobs.models.WORKER", secrets.token_hex(6))  # what starts afterwards is another


@pytest.mark.parametrize("with_all_others", [False, True])
def test_a_file_that_kills_its_workers_fails(porch, monkeypatch, with_all_others):
    put(folder_of(porch), "a.jpg", jpeg())
    scan_and_enter(porch)
    for _ in range(Upload.MAX_RESTARTS if with_all_others else Upload.MAX_ATTEMPTS):
        die_during_processing(porch, monkeypatch, with_all_others=with_all_others)
    processor.process_pending()

    assert uploads(porch) == {"a.jpg": ("failed", ingest_leases.WORKERS_DIED)}


def test_a_file_in_progress_when_everything_is_killed_is_processed_later(porch, monkeypatch):
    put(folder_of(porch), "a.jpg", jpeg())
    scan_and_enter(porch)
    for _ in range(Upload.MAX_ATTEMPTS * 2):
        die_during_processing(porch, monkeypatch, with_all_others=True)
    processor.process_pending()

    assert uploads(porch) == {"a.jpg": ("done", "")}


def test_an_unexpected_error_is_retried_and_then_fails(porch, monkeypatch):
    put(folder_of(porch), "a.jpg", jpeg())
    scan_and_enter(porch)
    monkeypatch.setattr(processor, "run_steps", lambda job: 1 / 0)
    for _ in range(Upload.MAX_ATTEMPTS):
        Upload.objects.update(retry_at=None)
        processor.process_pending()

    state, reason = uploads(porch)["a.jpg"]
    assert state == "failed" and "ZeroDivisionError" in reason


def test_the_newest_hour_comes_first_and_within_it_the_oldest_picture(porch, monkeypatch):
    for name in ("20260131_120000.jpg", "20260131_121000.jpg", "20260131_140500.jpg", "20260131_145900.jpg"):
        put(folder_of(porch), name, jpeg(seed=hash(name) % 1000))
    scan_and_enter(porch)
    order = []
    monkeypatch.setattr(processor, "run_steps", lambda job: (order.append(job.upload.path), run_steps(job)))
    from media_serving.ingest.pipeline import run_steps

    processor.process_pending()

    assert [name[9:13] for name in order] == ["1405", "1459", "1200", "1210"]


def test_two_workers_never_lease_the_same_camera(porch):
    with ingest_leases.camera_lease(porch.pk) as first, ingest_leases.camera_lease(porch.pk) as second:
        assert first is not None and second is None
    with ingest_leases.camera_lease(porch.pk) as third:
        assert third is not None


def test_a_worker_that_lost_its_lease_writes_nothing(porch):
    camera = make_camera("Yard", detector="motion")
    put(folder_of(camera), "a.jpg", jpeg())
    scan_and_enter(camera)
    with ingest_leases.camera_lease(camera.pk) as lease:
        CameraLease.objects.update(worker="another")
        (upload,) = ingest_leases.next_batch(camera.pk, timezone.now())
        with pytest.raises(LeaseLost):
            processor.process_upload(lease, upload)

    assert not Detection.objects.exists() and not Event.objects.exists()
    assert Upload.objects.get().state == "waiting"


def test_uploads_of_a_disabled_camera_are_not_processed(porch):
    put(folder_of(porch), "a.jpg", jpeg())
    scan_and_enter(porch)
    Camera.everything.filter(pk=porch.pk).update(enabled=False)
    processor.process_pending()

    assert uploads(porch) == {"a.jpg": ("waiting", "")}


def test_a_file_whose_name_is_not_utf8_is_processed(porch):
    with open(os.fsencode(folder_of(porch)) + b"/broken\xff\n.jpg", "wb") as file:
        file.write(jpeg())

    assert process_all(porch) == {"broken\ufffd\n.jpg": ("done", "")}


def test_a_camera_with_long_videos_does_not_block_others(porch, monkeypatch):
    yard = make_camera("Yard", detector="none")
    for camera in (porch, yard):
        for number in range(2):
            put(folder_of(camera), f"20260131_12000{number}.jpg", jpeg(seed=number))
        scan_and_enter(camera)
    monkeypatch.setattr(processor, "CAMERA_BUDGET_S", 0.01)
    order = []
    monkeypatch.setattr(processor, "run_steps", lambda job: (order.append(job.camera.pk), time.sleep(0.02)))

    for camera_id in ingest_leases.cameras_with_work(timezone.now()):
        processor.process_camera(camera_id)

    assert order == [porch.pk, yard.pk]


def test_a_video_that_arrives_after_its_event_regenerates_the_clip(porch):
    now = timezone.now()
    shown, waits, later = (detect(porch, now - timedelta(seconds=ago)).event for ago in (600, 500, 100))
    ClipWork.objects.exclude(event=waits).update(state=JobState.DONE, retry_at=None)
    film = make_video(folder_of(porch) / "v.avi", seconds=200)
    os.utime(film, (now.timestamp() - 400, now.timestamp() - 400))  # it began 600 s ago

    assert process_all(porch) == {"v.avi": ("done", "")}

    assert ClipWork.objects.get(event=shown).state == JobState.WAITING
    assert ClipWork.objects.get(event=shown).request_number == 2
    assert ClipWork.objects.get(event=waits).request_number == 1
    assert ClipWork.objects.get(event=later).state == JobState.DONE


def test_an_implausible_video_duration_is_ignored(porch):
    event = detect(porch, timezone.now() - timedelta(hours=2)).event
    ClipWork.objects.update(state=JobState.DONE)
    film = make_video(folder_of(porch) / "v.mkv", seconds=1)
    data = film.read_bytes()
    at = data.index(b"\x44\x89\x88") + 3  # Matroska's duration, in ms
    film.write_bytes(data[:at] + struct.pack(">d", 36_000_000.0) + data[at + 8 :])
    os.utime(film, (time.time() - 60, time.time() - 60))

    assert process_all(porch) == {"v.mkv": ("done", "")}

    assert abs(Upload.objects.get().captured_at - timezone.now()) < timedelta(minutes=5)
    assert ClipWork.objects.get(event=event).state == JobState.DONE


def test_a_camera_with_a_hanging_folder_blocks_no_worker(porch, monkeypatch):
    yard = make_camera("Yard", detector="none")
    for camera in (porch, yard):
        put(folder_of(camera), "a.jpg", jpeg())
        scan_and_enter(camera)
    folders = folder_ownership.current_folders(refresh=True)
    monkeypatch.setattr(processor, "current_folders", lambda: replace(folders, unresponsive=frozenset({porch.pk})))

    processor.process_pending()

    assert uploads(porch) == {"a.jpg": ("waiting", "")}
    assert uploads(yard) == {"a.jpg": ("done", "")}


def test_a_lease_acquired_before_the_clock_was_set_back_is_free(porch):
    with ingest_leases.camera_lease(porch.pk):
        CameraLease.objects.update(leased_until=timezone.now() + timedelta(hours=3))
        with ingest_leases.camera_lease(porch.pk) as lease:
            assert lease is not None


def add_picture_with_person(camera: Camera, name: str, x: int, at: str) -> None:
    """Upload a picture with a person at `x`, written at `at` by the local clock."""
    image = Image.new("RGB", (320, 240), (90, 110, 90))
    ImageDraw.Draw(image).rectangle((x, 100, x + 40, 200), fill=(20, 20, 20))
    image.save(folder_of(camera) / name, "JPEG")
    timestamp = datetime.fromisoformat(at).timestamp()
    os.utime(folder_of(camera) / name, (timestamp, timestamp))
    process_all(camera)


def event_starts(camera: Camera) -> list[str]:
    """The start of each event, in UTC."""
    starts = Event.objects.filter(camera=camera).order_by("started_at").values_list("started_at", flat=True)
    return [f"{at:%m-%d %H:%M:%S}" for at in starts]


def test_when_an_hour_repeats_each_event_has_its_own_time(db):
    """The camera reuses the same names in the second hour."""
    berlin = make_camera("Berlin", detector="motion", time_zone="Europe/Berlin")
    add_picture_with_person(berlin, "20261025_022950.jpg", 0, "2026-10-25T00:29:52Z")
    add_picture_with_person(berlin, "20261025_023000.jpg", 150, "2026-10-25T00:30:02Z")
    add_picture_with_person(berlin, "20261025_023000.jpg", 250, "2026-10-25T01:30:02Z")
    add_picture_with_person(berlin, "20261025_030000.jpg", 60, "2026-10-25T02:00:02Z")

    assert event_starts(berlin) == ["10-25 00:30:00", "10-25 01:30:00", "10-25 02:00:00"]
    assert not Upload.objects.filter(clock_is_absurd=True)


def test_a_camera_without_summer_time_is_accepted_in_the_skipped_hour(db):
    berlin = make_camera("Berlin", detector="motion", time_zone="Europe/Berlin")
    add_picture_with_person(berlin, "20260329_015950.jpg", 0, "2026-03-29T00:59:52Z")
    add_picture_with_person(berlin, "20260329_023000.jpg", 150, "2026-03-29T01:30:02Z")

    assert event_starts(berlin) == ["03-29 01:30:00"]


@pytest.mark.parametrize(
    ("zone", "at"),
    [("America/New_York", "01-31 17:00:01"), ("Asia/Kathmandu", "01-31 06:15:01"), ("", "01-31 11:00:01")],
)
def test_a_cameras_clock_is_read_in_its_own_zone(db, settings, zone, at):
    settings.NVR_TIME_ZONE = "Europe/Berlin"
    abroad = make_camera("Abroad", detector="motion", time_zone=zone)
    add_picture_with_person(abroad, "20260131_120000.jpg", 0, "2026-02-01T00:00:00Z")
    add_picture_with_person(abroad, "20260131_120001.jpg", 150, "2026-02-01T00:00:00Z")

    assert event_starts(abroad) == [at]
