"""Which footage and time ranges a clip contains: real files, real ffmpeg."""

from __future__ import annotations

import os
import shutil
import struct
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path

import pytest
from django.utils import timezone

from cameras.folders.ownership import folders_for
from cameras.models import Camera
from media_serving.clips import rendering
from media_serving.clips.footage import NoFootage, footage_exists, stills_around
from media_serving.clips.rendering import make_clip
from media_serving.models import Event, Upload
from nvr.media.ffmpeg.clips import Deadline, NoReadableFootage
from nvr.media.files.mtime import stored_mtime_ns
from nvr.media.files.paths import StorageFault
from tests.factories import folder_of, make_camera
from tests.films import FPS, H264, frame_numbers, numbered_still, numbered_video, streams_by_type
from tests.media_serving.evidence import after, detect
from tests.media_serving.footage import event_over, still, uploaded, video

NOISY = ("-vf", "noise=c1s=60:c1f=t:c2s=60:c2f=t")  # in its colours: it fills the file evenly
pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("own_folders")]


@pytest.fixture
def part(tmp_path: Path) -> Path:
    return tmp_path / "clip.part"


def shown(event: Event, part: Path) -> list[int]:
    make_clip(event, part)
    return frame_numbers(part)


def about(found: list[int], *expected: int) -> bool:
    """The same frames, each within one."""
    within = all(abs(one - other) <= 1 for one, other in zip(found, expected, strict=False))
    return abs(len(found) - len(expected)) <= 1 and within


def test_a_clip_shows_the_event_and_five_seconds_on_both_sides(camera, part):
    video(camera, "v.mp4", -20, frames=100, first=0)
    video(camera, "w.mp4", -10, frames=110, first=0)  # 10 s before to 1 s after
    event = event_over(camera, -7, -6)

    found = shown(event, part)

    assert about(found, *range(80, 100), *range(0, 90))


def test_make_clip_returns_the_ranges_it_shows(camera, part):
    video(camera, "v.mp4", -20, frames=100, first=0)
    video(camera, "w.mp4", -8, frames=110, first=0)  # 2 s after the other ends
    event = event_over(camera, -7, -6)

    ranges = make_clip(event, part)

    assert [(footage_range.at, round(footage_range.length_s, 1)) for footage_range in ranges] == [
        (after(-12), 2.0),
        (after(-8), 7.0),
    ]


def test_make_clip_returns_how_long_each_still_is_shown(camera, part):
    for second in (-1, 0, 3):
        still(camera, f"{second}.jpg", second, 10)

    ranges = make_clip(event_over(camera, 0, 0), part)

    assert [(footage_range.at, footage_range.length_s) for footage_range in ranges] == [
        (after(-1), 0.5),
        (after(0), 0.5),
        (after(3), 1.5),
    ]
    assert float(streams_by_type(part)["video"]["duration"]) == pytest.approx(2.5, abs=0.02)


def test_the_padding_is_a_setting(camera, part, settings):
    settings.NVR_CLIP_PADDING = after(0.5) - after(0)
    video(camera, "w.mp4", -10, frames=110)
    event = event_over(camera, -5, -4)

    assert about(shown(event, part), *range(45, 65))


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".avi"])
def test_three_videos_are_concatenated_without_the_gap_between_them(camera, part, suffix):
    options = ("-c:v", "mjpeg", "-q:v", "2") if suffix == ".avi" else ()
    video(camera, f"c{suffix}", 2, *options, frames=50, first=60)  # the order of arrival does not matter
    video(camera, f"a{suffix}", -10, *options, frames=60)
    video(camera, f"b{suffix}", -1, *options, frames=30, first=0)  # 3 s of nothing before it
    event = event_over(camera, -3, 0)

    found = shown(event, part)

    assert about(found, *range(20, 60), *range(0, 30), *range(60, 90))


def test_overlapping_videos_are_shown_once(camera, part):
    video(camera, "long.mp4", -10, frames=110)
    video(camera, "short.mkv", -3, frames=20, first=70)
    event = event_over(camera, -2, -2)

    assert about(shown(event, part), *range(30, 110))


def test_videos_with_an_early_start_or_a_detection_are_found(camera, part):
    for number in range(rendering.MAX_PIECES // 4):
        video(camera, f"short{number}.mp4", -60 - number * 10, frames=5)
    upload = video(camera, "long.mp4", -3600, frames=110)
    clock_was_wrong = after(-3600)
    detection = detect(camera, after(-3595), file_path=str(upload.file), media_type="video", upload=upload)

    assert clock_was_wrong == upload.captured_at
    assert about(shown(detection.event, part), *range(0, 100))


def test_stills_fill_the_time_without_video(camera, part):
    for number in range(6):
        still(camera, f"{number}.jpg", number * 2 - 4, number * 10)  # -4 to 6 s
    video(camera, "before.mp4", -20, frames=120)  # ends 8 s before
    video(camera, "just_before.mp4", -6, frames=30)  # ends 3 s before, within the padding
    event = event_over(camera, 0, 0)

    found = shown(event, part)

    assert about(found, 0, 10, 20, 30, 40, 40, 40)  # what was taken at 6 s is not of the clip
    assert float(streams_by_type(part)["video"]["duration"]) == pytest.approx(3.5, abs=0.02)


def test_without_stills_videos_from_just_before_the_event_are_used(camera, part):
    video(camera, "just_before.mp4", -6, frames=30)
    event = event_over(camera, 0, 0)

    assert about(shown(event, part), *range(10, 30))


def test_a_truncated_still_is_skipped_and_one_still_is_enough(camera, part):
    torn = still(camera, "torn.jpg", -1, 10)
    torn.file.write_bytes(torn.file.read_bytes()[:200])
    Upload.objects.filter(pk=torn.pk).update(size_bytes=200, mtime_ns=torn.file.stat().st_mtime_ns)
    still(camera, "whole.jpg", 0, 50)
    event = event_over(camera, 0, 0)

    assert about(shown(event, part), 50, 50, 50)


def test_an_externally_reported_file_need_not_be_in_the_ledger(camera, part):
    film = numbered_video(folder_of(camera) / "reported.avi", "-c:v", "mjpeg", "-q:v", "2", frames=110)
    detection = detect(camera, after(0), file_path=str(film), media_type="video", offset_ms=7000)

    assert about(shown(detection.event, part), *range(20, 110))


def test_externally_reported_pictures_are_stills(camera, part):
    for number in range(3):
        (folder_of(camera) / f"{number}.png").write_bytes(numbered_still(number * 20, kind="PNG"))
        event = detect(camera, after(number * 3), file_path=f"{camera.folder_path}/{number}.png").event

    assert about(shown(Event.objects.get(pk=event.pk), part), 0, 20, 40, 40, 40)


def test_a_reused_name_shows_its_content_at_that_time(camera, part, settings, tmp_path):
    settings.KEPT_DIR = tmp_path / "kept"
    former = still(camera, "image.jpg", 0, 10)
    former.kept_path.parent.mkdir(parents=True)
    shutil.copy2(former.file, former.kept_path)
    Upload.objects.filter(pk=former.pk).update(is_kept=True)
    still(camera, "image.jpg", 100, 60)
    event = detect(camera, after(0), file_path=f"{camera.folder_path}/image.jpg").event

    assert about(shown(event, part), 10, 10, 10)


def test_an_overwritten_file_without_a_copy_is_not_footage(camera, part):
    upload = still(camera, "image.jpg", 0, 10)
    event = detect(camera, after(0), file_path=f"{camera.folder_path}/image.jpg", upload=upload).event
    upload.file.write_bytes(numbered_still(60))

    with pytest.raises(NoFootage, match="The footage of this event no longer exists"):
        make_clip(event, part)


def test_truncated_videos_do_not_hide_others(camera, part):
    """A film that declares ten hours, before the one that shows the event."""
    lying = numbered_video(folder_of(camera) / "lying.mkv", frames=20)
    data = lying.read_bytes()
    at = data.index(b"\x44\x89\x88") + 3  # Matroska's duration, in ms
    lying.write_bytes(data[:at] + struct.pack(">d", 36_000_000.0) + data[at + 8 :])
    uploaded(camera, lying, after(-60))
    video(camera, "true.mp4", -10, frames=110)
    event = event_over(camera, -3, -3)

    assert about(shown(event, part), *range(20, 110))


@pytest.mark.slow
@pytest.mark.parametrize("suffix", [".mkv", ".avi", ".mp4"])
def test_a_truncated_video_has_the_length_of_its_readable_part(camera, part, suffix):
    """It says ten seconds and holds about five; another begins before the five that it lacks are over."""
    film = numbered_video(folder_of(camera) / f"cut{suffix}", *H264, *NOISY, "-movflags", "+faststart")
    film.write_bytes(film.read_bytes()[: film.stat().st_size // 2])
    uploaded(camera, film, after(-10))
    video(camera, "later.mp4", -3, frames=80)
    event = event_over(camera, -6, -1)

    first, second = make_clip(event, part)

    assert 4 <= first.length_s <= 6 and first.at == after(-10)
    assert (second.at, round(second.length_s, 1)) == (after(-3), 7.0)
    assert len(frame_numbers(part)) == pytest.approx(FPS * (first.length_s + second.length_s), abs=2)


def test_stills_replace_an_unreadable_video(camera, part):
    for name, data in {
        "script.mp4": b"ffconcat version 1.0\nfile /etc/passwd\n",
        "list.avi": b"#EXTM3U\n/etc/passwd\n",
        "empty.mkv": b"",
        "no_moov.mp4": b"\0\0\0\x18ftypmp42" + bytes(5000),
    }.items():
        (folder_of(camera) / name).write_bytes(data)
        uploaded(camera, folder_of(camera) / name, after(-1))
    still(camera, "a.jpg", 0, 33)
    event = event_over(camera, 0, 0)

    assert about(shown(event, part), 33, 33, 33)


def test_stills_replace_a_complete_video_without_readable_frames(camera, part):
    film = numbered_video(folder_of(camera) / "damaged.mp4", frames=110)
    data = bytearray(film.read_bytes())
    start, end = data.index(b"mdat") + 4, data.index(b"moov") - 4
    data[start:end] = bytes(end - start)
    film.write_bytes(data)
    uploaded(camera, film, after(-5))
    still(camera, "a.jpg", 0, 33)

    assert about(shown(event_over(camera, 0, 0), part), 33, 33, 33)


def test_few_videos_are_opened_if_all_have_the_same_start_time(camera, monkeypatch):
    monkeypatch.setattr(rendering, "MAX_PIECES", 3)
    for number in range(9):
        video(camera, f"{number}.mp4", -4, frames=number + 5)
    event = event_over(camera, 0, 0)
    open_before = len(list(Path("/proc/self/fd").iterdir()))

    with ExitStack() as files:
        pieces = rendering.pieces_of(event, folders_for(camera), files, Deadline(timedelta(minutes=1)))
        assert len(list(Path("/proc/self/fd").iterdir())) == open_before + 3

    assert len(pieces) == 3


def test_a_file_with_a_time_in_the_far_future_is_footage(camera, part):
    upload = still(camera, "a.jpg", 0, 33)
    os.utime(upload.file, (10**10, 10**10))
    Upload.objects.filter(pk=upload.pk).update(mtime_ns=stored_mtime_ns(upload.file.stat().st_mtime_ns))

    assert about(shown(event_over(camera, 0, 0), part), 33, 33, 33)


def test_unreadable_stills_are_distinguished_from_no_stills(camera, part):
    upload = still(camera, "a.jpg", 0, 33)
    upload.file.write_bytes(b"nonsense")
    Upload.objects.filter(pk=upload.pk).update(size_bytes=8, mtime_ns=upload.file.stat().st_mtime_ns)

    with pytest.raises(NoReadableFootage):
        make_clip(event_over(camera, 0, 0), part)


def test_files_of_nested_cameras_and_links_outside_are_not_shown(camera, part, tmp_path):
    nested = make_camera("Nested", folder_path=f"{camera.folder_path}/nested")
    folder_of(nested).mkdir()
    (folder_of(nested) / "a.jpg").write_bytes(numbered_still(10))
    (tmp_path / "secret.jpg").write_bytes(numbered_still(20))
    (folder_of(camera) / "link.jpg").symlink_to(tmp_path / "secret.jpg")
    os.mkfifo(folder_of(camera) / "fifo.jpg")
    detect(camera, after(0), file_path=f"{camera.folder_path}/link.jpg")
    detect(camera, after(0), file_path=f"{camera.folder_path}/fifo.jpg")
    event = detect(camera, after(0), file_path=f"{camera.folder_path}/nested/a.jpg").event
    uploaded(camera, folder_of(nested) / "a.jpg", after(0))  # from before the other camera was

    with pytest.raises(NoFootage):
        make_clip(event, part)


def test_rejected_and_waiting_uploads_are_not_footage(camera, part):
    for state in ("rejected", "failed", "waiting", "working"):
        upload = still(camera, f"{state}.jpg", 0, 10)
        Upload.objects.filter(pk=upload.pk).update(state=state, reason="x")

    with pytest.raises(NoFootage):
        make_clip(event_over(camera, 0, 0), part)


def test_a_file_whose_name_is_not_utf_8_is_shown(camera, part):
    path = folder_of(camera) / "caf\udce9\n.jpg"
    path.write_bytes(numbered_still(44))
    uploaded(camera, path, after(0))

    assert about(shown(event_over(camera, 0, 0), part), 44, 44, 44)


def test_an_unmounted_volume_is_not_reported_as_missing_footage(camera, part):
    event = event_over(camera, 0, 0)
    Camera.objects.filter(pk=camera.pk).update(
        mount={"point": camera.folder_path, "device": 1, "type": "ext4", "source": "/dev/gone"}
    )

    with pytest.raises(StorageFault, match="mount it again"):
        make_clip(Event.objects.get(pk=event.pk), part)


def test_thousands_of_stills_are_thinned_evenly(camera, monkeypatch):
    monkeypatch.setattr(rendering, "MAX_STILLS", 5)
    for number in range(21):
        still(camera, f"{number}.jpg", number / 5 - 2, number)
    event = event_over(camera, 0, 0)
    folders = folders_for(event.camera)

    stills = [each for each in stills_around(event) if footage_exists(each, folders)]

    assert [each.file.name for each in rendering.sample_evenly(stills)] == [
        "0.jpg",
        "5.jpg",
        "10.jpg",
        "15.jpg",
        "20.jpg",
    ]


def test_the_number_of_queries_is_constant(camera, django_assert_num_queries):
    for number in range(12):
        still(camera, f"{number}.jpg", number / 4 - 2, number)
        detect(camera, after(number / 4 - 2), file_path=f"{camera.folder_path}/{number}.jpg")
    event = Event.objects.select_related("camera").get()

    with django_assert_num_queries(3):
        assert len(stills_around(event)) == 12


def test_clips_of_trashed_cameras_are_created_too(camera, part):
    still(camera, "a.jpg", 0, 33)
    event = event_over(camera, 0, 0)
    Camera.objects.filter(pk=camera.pk).update(deleted_at=timezone.now())

    assert about(shown(Event.objects.get(pk=event.pk), part), 33, 33, 33)
