"""When an upload was taken, from the file in the camera's folder to the ledger and the API: real files, read by the
worker. Nothing that a file says may break the reading, or lead to a time that cannot be."""

from __future__ import annotations

import io
import os
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from media_serving.ingest import processor
from media_serving.ingest.capture_time import FileFacts, capture_time
from media_serving.ingest.capture_time.container import readings_of
from media_serving.ingest.capture_time.exif import OFFSETS, REQUESTED_TAGS, TIME_ZONE_OFFSET, TIMES, reading_of
from media_serving.ingest.capture_time.exif import readings_of as readings_of_tags
from media_serving.ingest.capture_time.plausibility import EARLIEST
from media_serving.models import Detection, Event, Upload
from nvr.media.files.mtime import MAX_CLOCK_DIFFERENCE
from nvr.media.images.decoder.tags import read_tags
from tests.factories import folder_of, make_camera, make_user, put
from tests.ingest.conftest import scan_and_enter
from tests.ingest.test_exif import ORIGINAL, exif, picture
from tests.media_serving import pedestrians as footage

BERLIN = ZoneInfo("Europe/Berlin")
RECEIVED = datetime(2026, 11, 30, 9, 0, tzinfo=UTC)
FRAMES = ("-f", "lavfi", "-i", "testsrc2=size=160x120:rate=10:duration=4")
SOUND = ("-f", "lavfi", "-i", "sine=frequency=440:sample_rate=8000:duration=40")
H264 = ("-c:v", "libx264", "-preset", "veryfast", "-crf", "35", "-pix_fmt", "yuv420p")


def film(path: Path, *arguments: str) -> Path:
    subprocess.run(["ffmpeg", "-v", "error", "-y", *FRAMES, *arguments, str(path)], check=True, timeout=150)
    return path


def read(name: str, data: bytes, *, zone: str = "Europe/Berlin") -> Upload:
    camera = make_camera("Yard", detector="none", time_zone=zone)
    put(folder_of(camera), name, data, age_s=5)
    scan_and_enter(camera)
    processor.process_pending()
    return Upload.objects.get()


def test_ledger_api_and_admin_show_the_clue_and_the_reason(db, client):
    upload = read("20150101_000310.jpg", picture(exif=exif({ORIGINAL: "0000:00:00 00:00:00"})).getvalue())

    assert abs(upload.captured_at - timezone.now()) < timedelta(minutes=1)
    assert (upload.state, upload.capture_clue, upload.clock_is_absurd) == ("done", "file", True)
    assert upload.capture_note == (
        'EXIF DateTimeOriginal is blank. The name "20150101_000310" (2015-01-01 00:03:10) is a factory date: the clock '
        "was reset."
    )

    client.force_login(make_user("chief", is_superuser=True, is_staff=True))
    told = client.get("/api/uploads").json()["items"][0]
    page = client.get(f"/admin/media_serving/upload/{upload.pk}/change/").content.decode()

    assert (told["capture_clue"], told["capture_note"]) == ("file", upload.capture_note)
    assert "the file&#x27;s own time" in page and "was reset" in page


def test_exif_replaces_the_time_from_the_name_after_processing(db):
    camera = make_camera("Yard", detector="none", time_zone="Europe/Berlin")
    data = picture(exif=exif({ORIGINAL: "2026:01:31 12:00:05"})).getvalue()
    put(folder_of(camera), "20260131_120000.jpg", data, age_s=5)

    scan_and_enter(camera)
    entered = Upload.objects.get()
    processor.process_pending()
    done = Upload.objects.get()

    assert (entered.capture_clue, entered.captured_at.second) == ("name", 0)
    assert (done.capture_clue, done.captured_at.second) == ("exif", 5)


def test_the_start_of_a_video_depends_on_its_video_track_not_its_audio(db, tmp_path):
    long_sound = film(tmp_path / "long_sound.mp4", *SOUND, *H264, "-c:a", "aac", "-b:a", "16k")
    camera = make_camera("Yard", detector="none")
    put(folder_of(camera), "long_sound.mp4", long_sound.read_bytes())
    os.utime(folder_of(camera) / "long_sound.mp4", (1_790_000_000, 1_790_000_000))

    scan_and_enter(camera)
    processor.process_pending()

    assert Upload.objects.get().captured_at.timestamp() == pytest.approx(1_790_000_000 - 4, abs=0.2)


@pytest.mark.parametrize(
    ("name", "metadata", "expected"),
    [
        ("a.mp4", {"creation_time": "2026-01-31T12:00:00Z"}, "12:00:00"),
        ("a.mkv", {"creation_time": "2026-01-31T12:00:00Z"}, "12:00:00"),
        ("a.mov", {"com.apple.quicktime.creationdate": "2026-01-31T12:00:00+0100"}, "11:00:00"),
        (
            "b.mov",
            {
                "creation_time": "2026-01-31T13:00:00Z",
                "com.apple.quicktime.creationdate": "2026-01-31T12:00:00-0500",
            },
            "17:00:00",
        ),
        ("a.avi", {"date": "2026-01-31 12:00:00"}, "11:00:00"),
    ],
)
def test_a_container_time_is_used(db, tmp_path, name, metadata, expected):
    options = [text for key, value in metadata.items() for text in ("-metadata", f"{key}={value}")]
    whole = film(tmp_path / name, *H264, "-movflags", "use_metadata_tags", *options)

    upload = read(name, whole.read_bytes())

    assert f"{upload.captured_at:%Y-%m-%d %H:%M:%S}" == f"2026-01-31 {expected}"
    assert (upload.capture_clue, upload.clock_is_absurd) == ("container", False)


def told(tags: dict[str, str], *, written: datetime = RECEIVED, length_s: float = 0):
    facts = FileFacts("a.mp4", written, RECEIVED, timedelta(seconds=length_s), container=readings_of(tags))
    return capture_time(facts, BERLIN)


def test_a_container_time_in_local_time_is_recognized_by_the_file_time():
    tags = {"creation_time": "2026-11-30T10:00:00.000000Z"}

    ahead = told({"creation_time": "2026-11-30T09:58:00.000000Z"})
    agreeing = told({"creation_time": "2026-11-29T12:00:00Z"}, written=datetime(2026, 11, 29, 11, 0, 2, tzinfo=UTC))
    late = told({"creation_time": "2026-11-29T12:00:00Z"})

    assert told(tags).at == RECEIVED
    assert ahead.at == RECEIVED - timedelta(minutes=2) and not ahead.is_absurd
    assert agreeing.at.hour == 11 and late.at.hour == 12


def test_a_container_time_may_be_the_end_of_the_recording():
    at_the_end = told({"creation_time": "2026-11-30T08:59:59Z"}, length_s=60)
    at_the_beginning = told({"creation_time": "2026-11-30T08:59:00Z"}, length_s=60)

    assert at_the_end.at == RECEIVED - timedelta(seconds=61)
    assert at_the_beginning.at == RECEIVED - timedelta(seconds=60)


@pytest.mark.parametrize("text", ["1904-01-01T00:00:00Z", "1970-01-01T00:00:00.000000Z", "", "yesterday"])
def test_an_unset_container_time_does_not_mean_a_wrong_clock(text):
    found = told({"creation_time": text})

    assert (found.at, found.clue, found.is_absurd, found.note) == (RECEIVED, "file", False, "")


def test_a_container_time_of_a_reset_clock_is_rejected():
    assert told({"creation_time": "2015-01-01T00:03:10Z"}).is_absurd


LIKE_TIMES = st.from_regex(r"[0-9:/.T \-+apmZ_]{0,40}", fullmatch=True)
TEXTS = st.one_of(
    st.text(max_size=60), LIKE_TIMES, st.from_regex(r"(19|20)\d\d[:-]?\d\d[:-]?\d\d.\d\d:?\d\d:?\d\d.{0,8}")
)
VALUES = st.one_of(TEXTS, st.binary(max_size=40), st.integers(-(2**31), 2**31 - 1), st.none(), st.tuples(TEXTS))
NAMES = st.lists(
    st.one_of(TEXTS, st.from_regex(r"[A-Za-z_]{0,4}[0-9]{4,20}[-_T.A-Za-z0-9]{0,12}")), min_size=1, max_size=6
)
TIMES_OF_FILES = st.datetimes(datetime(1970, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC))
ZONES = st.sampled_from(["Europe/Berlin", "America/New_York", "Asia/Kathmandu", "Pacific/Kiritimati", "UTC"])


# No machine is too slow for a test, and a test that failed fails again.
UNHURRIED = settings(deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))


def is_plausible(at: datetime, received: datetime, length: timedelta) -> bool:
    return EARLIEST - length <= at <= received + MAX_CLOCK_DIFFERENCE


@settings(UNHURRIED, max_examples=100)
@given(path=NAMES, mtime=TIMES_OF_FILES, zone=ZONES, length=st.floats(0, 86_400))
def test_any_path_results_in_a_plausible_time(path, mtime, zone, length):
    facts = FileFacts("/".join(path), mtime, RECEIVED, timedelta(seconds=length))

    found = capture_time(facts, ZoneInfo(zone))

    assert found.at.tzinfo is UTC and is_plausible(found.at, RECEIVED, facts.length)
    assert len(found.note) <= 300 and "\0" not in found.note


@settings(UNHURRIED, max_examples=100)
@given(
    tags=st.dictionaries(st.sampled_from([tag.number for tag in TIMES]), VALUES),
    others=st.dictionaries(st.sampled_from([*OFFSETS, TIME_ZONE_OFFSET, *(tag.fraction for tag in TIMES)]), VALUES),
    text=TEXTS,
    zone=ZONES,
)
def test_any_exif_results_in_a_plausible_time(tags, others, text, zone):
    image = Image.new("RGB", (8, 8))
    image.getexif().update(tags | others)
    said = (*readings_of_tags(read_tags(image, REQUESTED_TAGS)), reading_of("XMP", text))

    found = capture_time(
        FileFacts("a.jpg", RECEIVED, RECEIVED, exif=said, container=readings_of({"date": text})), ZoneInfo(zone)
    )

    assert found.at.tzinfo is UTC and is_plausible(found.at, RECEIVED, timedelta(0))
    assert len(found.note) <= 300 and "\0" not in found.note


@settings(UNHURRIED, max_examples=40)
@given(data=st.binary(max_size=300))
def test_invalid_exif_is_ignored(data):
    image = Image.new("RGB", (8, 8))
    image.info["exif"] = b"Exif\0\0" + data
    image.info["xmp"] = data

    readings_of_tags(read_tags(image, REQUESTED_TAGS))


def test_the_worker_also_reads_times_from_other_formats_than_jpeg(db):
    upload = read("a.png", picture("PNG", exif=exif({ORIGINAL: "2026:01:31 12:00:00"})).getvalue())

    assert (upload.capture_clue, upload.captured_at.hour) == ("exif", 11)


@pytest.mark.skipif(not footage.IS_HERE, reason=footage.WHY_NOT)
def test_the_only_picture_of_a_burst_is_searched_for_people(db):
    """A camera that uploads when it saw something: one still, half an hour later another."""
    camera = make_camera("Yard", detector="people")
    still = next(frame.image for number, frame in footage.frames() if number == 6)
    for at in ("110000", "113000"):
        file = io.BytesIO()
        still.save(file, "JPEG", quality=90, comment=at.encode())
        put(folder_of(camera), f"20260131_{at}.jpg", file.getvalue(), age_s=5)
    scan_and_enter(camera)
    processor.process_pending()

    found = Detection.objects.filter(camera=camera).order_by("detected_at")

    assert {each.object_class for each in found} == {"person"}
    assert {f"{each.detected_at:%H:%M}" for each in found} == {"11:00", "11:30"}
    assert Event.objects.filter(camera=camera).count() == 2
