"""What becomes of an upload: read, refused with a reason, or waiting for the rest of it."""

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

from cameras import folder_ownership
from cameras.models import Camera
from media_serving import leases
from media_serving.ingest import leases as ingest_leases
from media_serving.ingest import processor
from media_serving.models import CameraTurn, ClipWork, Detection, Event, Upload, WorkState
from tests.factories import folder_of, jpeg, make_camera, make_video, put
from tests.ingest.conftest import scanned, uploads
from tests.media_serving.evidence import detect


def read_all(camera: Camera) -> dict[str, tuple[str, str]]:
    scanned(camera)
    processor.process_pending()
    return uploads(camera)


def test_a_picture_is_read_and_its_camera_lives(porch):
    put(folder_of(porch), "a.jpg", jpeg(), age_s=5)

    assert read_all(porch) == {"a.jpg": ("done", "")}
    porch.refresh_from_db()
    assert porch.status == "online" and timezone.now() - porch.last_seen_at < timedelta(seconds=30)


def ffmpeg(path: Path, *arguments: str) -> Path:
    subprocess.run(["ffmpeg", "-v", "error", "-y", *arguments, str(path)], check=True, timeout=60)
    return path


def picture(path: Path, mode: str, kind: str, **options: object) -> None:
    image = Image.new(mode, (64, 48), 30_000) if mode == "I;16" else Image.effect_noise((64, 48), 50).convert(mode)
    image.save(path, kind, **options)


def test_every_kind_of_picture_is_read(porch):
    folder = folder_of(porch)
    picture(folder / "cmyk.jpg", "CMYK", "JPEG")
    picture(folder / "grey16.png", "I;16", "PNG")
    picture(folder / "progressive.jpg", "RGB", "JPEG", progressive=True)
    picture(folder / "a.png", "RGBA", "PNG")
    picture(folder / "really_a_png.jpg", "RGB", "PNG")

    assert set(read_all(porch).values()) == {("done", "")}


def test_what_is_cut_off_waits_for_its_rest_and_is_one_upload_when_it_has_come(porch):
    put(folder_of(porch), "a.jpg", jpeg(320, 240)[:2000], age_s=30)

    state, reason = read_all(porch)["a.jpg"]
    assert state == "waiting" and "incomplete" in reason and "when it grows" in reason

    put(folder_of(porch), "a.jpg", jpeg(320, 240), age_s=10)
    assert read_all(porch) == {"a.jpg": ("done", "")}
    assert Upload.objects.count() == 1


def test_what_stays_cut_off_is_given_up_after_hours(porch, settings):
    put(folder_of(porch), "a.jpg", jpeg(320, 240)[:2000])
    put(folder_of(porch), "empty.jpg", b"")
    read_all(porch)
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


def test_what_nothing_can_be_made_of_is_on_record_with_its_reason(porch, tmp_path):
    folder = folder_of(porch)
    secret = put(tmp_path, "secret.jpg", jpeg())
    put(folder, "playlist.avi", f"#EXTM3U\n#EXTINF:1,\n{secret}\n".encode())
    put(folder, "concat.mp4", f"ffconcat version 1.0\nfile {secret}\n".encode())
    put(folder, "text.jpg", b"no picture at all, but long enough")
    make_video(folder / "clip.avi").rename(folder / "video.jpg")
    put(folder, "huge.png", bomb())
    ffmpeg(folder / "sound.mp4", "-f", "lavfi", "-i", "sine=duration=1")

    found = read_all(porch)

    assert {state for state, _ in found.values()} == {"rejected"}
    assert "not a video of a known format" in found["playlist.avi"][1]
    assert "not a video of a known format" in found["concat.mp4"][1]
    assert "not an image of a known format" in found["text.jpg"][1]
    assert "not an image of a known format" in found["video.jpg"][1]
    assert "200,000,000 pixels; at most 100,000,000" in found["huge.png"][1]
    assert "holds no video" in found["sound.mp4"][1]
    porch.refresh_from_db()
    assert porch.last_seen_at is None


def test_a_video_without_its_index_waits(porch):
    whole = make_video(folder_of(porch) / "a.mp4").read_bytes()
    put(folder_of(porch), "a.mp4", whole[: whole.index(b"moov") - 4])

    state, reason = read_all(porch)["a.mp4"]

    assert state == "waiting" and "no index" in reason


def test_a_video_began_its_length_before_it_was_written(porch):
    file = make_video(folder_of(porch) / "a.mp4", seconds=4)
    os.utime(file, (1_790_000_000, 1_790_000_000))
    put(folder_of(porch), "20260131_120000.mp4", file.read_bytes())
    read_all(porch)

    began = dict(Upload.objects.values_list("path", "captured_at"))
    assert began["20260131_120000.mp4"] == datetime(2026, 1, 31, 12, tzinfo=UTC)
    assert began["a.mp4"].timestamp() == 1_790_000_000 - 4


def test_a_gif_of_very_many_frames_is_read_in_little_time(porch):
    frame = b"\x2c\x00\x00\x00\x00\x01\x00\x01\x00\x00\x02\x02\x44\x01\x00"
    data = b"GIF89a\x01\x00\x01\x00\x80\x00\x00\x00\x00\x00\xff\xff\xff" + frame * 100_000 + b"\x3b"
    put(folder_of(porch), "a.gif", data)
    started = time.monotonic()

    assert read_all(porch) == {"a.gif": ("done", "")}
    assert time.monotonic() - started < 10


def test_a_file_that_is_gone_again_is_on_record(porch):
    file = put(folder_of(porch), "a.jpg", jpeg())
    scanned(porch)
    file.unlink()
    processor.process_pending()

    assert uploads(porch) == {"a.jpg": ("rejected", processor.FILE_REMOVED)}


def test_while_the_volume_is_away_files_wait(porch, monkeypatch):
    file = put(folder_of(porch), "a.jpg", jpeg())
    scanned(porch)
    Camera.everything.filter(pk=porch.pk).update(
        mount={"device": 1, "type": "ext4", "source": "/dev/sdz1", "point": str(folder_of(porch))}
    )
    file.rename(folder_of(porch).parent / "elsewhere.jpg")

    processor.process_pending()

    state, reason = uploads(porch)["a.jpg"]
    assert state == "waiting" and "away" in reason


def test_a_file_that_changed_since_it_was_seen_is_read_as_it_is_now(porch):
    put(folder_of(porch), "a.jpg", jpeg(), age_s=30)
    scanned(porch)
    put(folder_of(porch), "a.jpg", jpeg(seed=2), age_s=20)
    processor.process_pending()
    Upload.objects.update(retry_at=timezone.now())
    processor.process_pending()

    assert uploads(porch) == {"a.jpg": ("done", "")}


def test_the_same_bytes_again_are_one_upload_and_other_bytes_are_kept(porch):
    put(folder_of(porch), "snap.jpg", jpeg(), age_s=60)
    read_all(porch)
    put(folder_of(porch), "snap.jpg", jpeg(), age_s=40)
    read_all(porch)
    assert Upload.objects.count() == 1 and not Upload.objects.get().is_kept

    put(folder_of(porch), "snap.jpg", jpeg(seed=3), age_s=20)
    assert read_all(porch) == {"snap.jpg": ("done", "")}
    latest = Upload.objects.order_by("-pk").first()
    assert Upload.objects.count() == 2 and latest.is_kept
    assert latest.kept_path.read_bytes() == jpeg(seed=3)


def test_a_file_that_was_gone_and_is_there_again_is_read(porch, tmp_path):
    picture = put(folder_of(porch), "a.jpg", jpeg())
    scanned(porch)
    picture.rename(tmp_path / "elsewhere.jpg")
    processor.process_pending()
    assert uploads(porch) == {"a.jpg": ("rejected", processor.FILE_REMOVED)}

    (tmp_path / "elsewhere.jpg").rename(picture)
    assert scanned(porch) == 1
    processor.process_pending()

    assert uploads(porch) == {"a.jpg": ("done", "")}
    assert scanned(porch) == 0


def test_of_a_name_with_a_newer_upload_that_waits_the_former_bytes_come_back(porch, tmp_path):
    picture = put(folder_of(porch), "a.jpg", jpeg())
    scanned(porch)
    picture.rename(tmp_path / "elsewhere.jpg")
    processor.process_pending()
    put(folder_of(porch), "a.jpg", jpeg(seed=2), age_s=5)
    scanned(porch)

    (tmp_path / "elsewhere.jpg").rename(picture)
    scanned(porch)
    processor.process_pending()

    assert Upload.objects.filter(state="done").count() == 1
    assert Upload.objects.get(state="done").size_bytes == len(jpeg())


def die_reading(camera: Camera, monkeypatch: pytest.MonkeyPatch, *, with_all_others: bool) -> None:
    """What a worker leaves that is killed while it reads the camera's file, its lease having lapsed."""
    lease = ingest_leases.acquire(camera.pk)
    assert lease is not None
    (upload,) = ingest_leases.next_batch(camera.pk, timezone.now())
    assert ingest_leases.start_processing(lease, upload)
    CameraTurn.objects.update(leased_until=timezone.now())
    if with_all_others:
        monkeypatch.setattr(leases, "WORKER", secrets.token_hex(6))  # what starts afterwards is another


@pytest.mark.parametrize("with_all_others", [False, True])
def test_a_file_that_kills_its_workers_is_given_up(porch, monkeypatch, with_all_others):
    put(folder_of(porch), "a.jpg", jpeg())
    scanned(porch)
    for _ in range(leases.MAX_RESTARTS if with_all_others else leases.MAX_ATTEMPTS):
        die_reading(porch, monkeypatch, with_all_others=with_all_others)
    processor.process_pending()

    assert uploads(porch) == {"a.jpg": ("failed", ingest_leases.WORKERS_DIED)}


def test_a_file_that_is_in_hand_whenever_everything_is_killed_is_read_all_the_same(porch, monkeypatch):
    put(folder_of(porch), "a.jpg", jpeg())
    scanned(porch)
    for _ in range(leases.MAX_ATTEMPTS * 2):
        die_reading(porch, monkeypatch, with_all_others=True)
    processor.process_pending()

    assert uploads(porch) == {"a.jpg": ("done", "")}


def test_what_we_cannot_explain_is_tried_again_and_then_given_up(porch, monkeypatch):
    put(folder_of(porch), "a.jpg", jpeg())
    scanned(porch)
    monkeypatch.setattr(processor, "run_steps", lambda job: 1 / 0)
    for _ in range(leases.MAX_ATTEMPTS):
        Upload.objects.update(retry_at=None)
        processor.process_pending()

    state, reason = uploads(porch)["a.jpg"]
    assert state == "failed" and "ZeroDivisionError" in reason


def test_the_newest_hour_comes_first_and_within_it_the_oldest_picture(porch, monkeypatch):
    for name in ("20260131_120000.jpg", "20260131_121000.jpg", "20260131_140500.jpg", "20260131_145900.jpg"):
        put(folder_of(porch), name, jpeg(seed=hash(name) % 1000))
    scanned(porch)
    order = []
    monkeypatch.setattr(processor, "run_steps", lambda job: (order.append(job.upload.path), run_steps(job)))
    from media_serving.ingest.pipeline import run_steps

    processor.process_pending()

    assert [name[9:13] for name in order] == ["1405", "1459", "1200", "1210"]


def test_two_workers_never_have_the_same_camera(porch):
    with ingest_leases.camera_lease(porch.pk) as first, ingest_leases.camera_lease(porch.pk) as second:
        assert first is not None and second is None
    with ingest_leases.camera_lease(porch.pk) as third:
        assert third is not None


def test_who_lost_the_turn_writes_nothing(porch):
    camera = make_camera("Yard", detector="motion")
    put(folder_of(camera), "a.jpg", jpeg())
    scanned(camera)
    with ingest_leases.camera_lease(camera.pk) as lease:
        CameraTurn.objects.update(holder="another")
        (upload,) = ingest_leases.next_batch(camera.pk, timezone.now())
        with pytest.raises(ingest_leases.LeaseLost):
            processor.process_upload(lease, upload)

    assert not Detection.objects.exists() and not Event.objects.exists()
    assert Upload.objects.get().state == "waiting"


def test_nothing_is_read_for_a_camera_that_is_off_or_in_the_trash(porch):
    put(folder_of(porch), "a.jpg", jpeg())
    scanned(porch)
    Camera.everything.filter(pk=porch.pk).update(enabled=False)
    processor.process_pending()

    assert uploads(porch) == {"a.jpg": ("waiting", "")}


def test_a_name_that_is_no_text_is_read_too(porch):
    with open(os.fsencode(folder_of(porch)) + b"/broken\xff\n.jpg", "wb") as file:
        file.write(jpeg())

    assert read_all(porch) == {"broken\ufffd\n.jpg": ("done", "")}


def test_a_camera_with_long_videos_gives_its_turn_to_others(porch, monkeypatch):
    yard = make_camera("Yard", detector="none")
    for camera in (porch, yard):
        for number in range(2):
            put(folder_of(camera), f"20260131_12000{number}.jpg", jpeg(seed=number))
        scanned(camera)
    monkeypatch.setattr(processor, "CAMERA_BUDGET_S", 0.01)
    order = []
    monkeypatch.setattr(processor, "run_steps", lambda job: (order.append(job.camera.pk), time.sleep(0.02)))

    for camera_id in ingest_leases.cameras_with_work(timezone.now()):
        processor.process_camera(camera_id)

    assert order == [porch.pk, yard.pk]


def test_a_video_that_comes_when_its_event_is_over_has_the_clip_made_anew(porch):
    now = timezone.now()
    shown, waits, later = (detect(porch, now - timedelta(seconds=ago)).event for ago in (600, 500, 100))
    ClipWork.objects.exclude(event=waits).update(state=WorkState.DONE, retry_at=None)
    film = make_video(folder_of(porch) / "v.avi", seconds=200)
    os.utime(film, (now.timestamp() - 400, now.timestamp() - 400))  # it began 600 s ago

    assert read_all(porch) == {"v.avi": ("done", "")}

    assert ClipWork.objects.get(event=shown).state == WorkState.WAITING
    assert ClipWork.objects.get(event=shown).wanted == 2
    assert ClipWork.objects.get(event=waits).wanted == 1
    assert ClipWork.objects.get(event=later).state == WorkState.DONE


def test_a_video_that_declares_hours_is_not_believed(porch):
    event = detect(porch, timezone.now() - timedelta(hours=2)).event
    ClipWork.objects.update(state=WorkState.DONE)
    film = make_video(folder_of(porch) / "v.mkv", seconds=1)
    data = film.read_bytes()
    at = data.index(b"\x44\x89\x88") + 3  # Matroska's duration, in ms
    film.write_bytes(data[:at] + struct.pack(">d", 36_000_000.0) + data[at + 8 :])
    os.utime(film, (time.time() - 60, time.time() - 60))

    assert read_all(porch) == {"v.mkv": ("done", "")}

    assert abs(Upload.objects.get().captured_at - timezone.now()) < timedelta(minutes=5)
    assert ClipWork.objects.get(event=event).state == WorkState.DONE


def test_a_camera_whose_folder_hangs_takes_no_worker_from_the_others(porch, monkeypatch):
    yard = make_camera("Yard", detector="none")
    for camera in (porch, yard):
        put(folder_of(camera), "a.jpg", jpeg())
        scanned(camera)
    folders = folder_ownership.current_folders(refresh=True)
    monkeypatch.setattr(processor, "current_folders", lambda: replace(folders, unresponsive=frozenset({porch.pk})))

    processor.process_pending()

    assert uploads(porch) == {"a.jpg": ("waiting", "")}
    assert uploads(yard) == {"a.jpg": ("done", "")}


def test_a_turn_that_was_taken_before_the_clock_was_put_back_is_free(porch):
    with ingest_leases.camera_lease(porch.pk):
        CameraTurn.objects.update(leased_until=timezone.now() + timedelta(hours=3))
        with ingest_leases.camera_lease(porch.pk) as lease:
            assert lease is not None


def walked_past(camera: Camera, name: str, x: int, at: str) -> None:
    """A picture with somebody at `x` who was not there before, written at `at` by our clock."""
    image = Image.new("RGB", (320, 240), (90, 110, 90))
    ImageDraw.Draw(image).rectangle((x, 100, x + 40, 200), fill=(20, 20, 20))
    image.save(folder_of(camera) / name, "JPEG")
    moment = datetime.fromisoformat(at).timestamp()
    os.utime(folder_of(camera) / name, (moment, moment))
    read_all(camera)


def detected(camera: Camera) -> list[str]:
    """When each event began, in UTC."""
    starts = Event.objects.filter(camera=camera).order_by("started_at").values_list("started_at", flat=True)
    return [f"{at:%m-%d %H:%M:%S}" for at in starts]


def test_in_the_night_in_which_an_hour_comes_twice_each_event_is_at_its_own_time(db):
    """The camera uses the same names again in the second hour."""
    berlin = make_camera("Berlin", detector="motion", time_zone="Europe/Berlin")
    walked_past(berlin, "20261025_022950.jpg", 0, "2026-10-25T00:29:52Z")
    walked_past(berlin, "20261025_023000.jpg", 150, "2026-10-25T00:30:02Z")
    walked_past(berlin, "20261025_023000.jpg", 250, "2026-10-25T01:30:02Z")
    walked_past(berlin, "20261025_030000.jpg", 60, "2026-10-25T02:00:02Z")

    assert detected(berlin) == ["10-25 00:30:00", "10-25 01:30:00", "10-25 02:00:00"]
    assert not Upload.objects.filter(clock_is_absurd=True)


def test_a_camera_that_does_not_know_of_summer_time_is_believed_in_the_hour_that_is_left_out(db):
    berlin = make_camera("Berlin", detector="motion", time_zone="Europe/Berlin")
    walked_past(berlin, "20260329_015950.jpg", 0, "2026-03-29T00:59:52Z")
    walked_past(berlin, "20260329_023000.jpg", 150, "2026-03-29T01:30:02Z")

    assert detected(berlin) == ["03-29 01:30:00"]


@pytest.mark.parametrize(
    ("zone", "at"),
    [("America/New_York", "01-31 17:00:01"), ("Asia/Kathmandu", "01-31 06:15:01"), ("", "01-31 11:00:01")],
)
def test_a_cameras_clock_is_read_in_its_own_zone(db, settings, zone, at):
    settings.NVR_TIME_ZONE = "Europe/Berlin"
    abroad = make_camera("Abroad", detector="motion", time_zone=zone)
    walked_past(abroad, "20260131_120000.jpg", 0, "2026-02-01T00:00:00Z")
    walked_past(abroad, "20260131_120001.jpg", 150, "2026-02-01T00:00:00Z")

    assert detected(abroad) == [at]
