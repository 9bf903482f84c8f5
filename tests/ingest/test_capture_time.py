"""When a picture was taken: EXIF, file names, the camera's zone, clocks that cannot be right."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from media_serving.ingest.capture_time import capture_time, time_in_name

NOON = datetime(2026, 1, 31, 12, 0, 0)
BERLIN = ZoneInfo("Europe/Berlin")
RECEIVED = datetime(2026, 1, 31, 11, 0, 5, tzinfo=UTC)


@pytest.mark.parametrize(
    ("path", "at"),
    [
        ("snap/MDAlarm_20260131-120000.jpg", NOON),  # Foscam
        ("snap/Schedule_20260131-120000.jpg", NOON),
        ("2026/01/31/Front_00_20260131120000.jpg", NOON),  # Reolink
        ("RLC-520A_00_20260131120000.mp4", NOON),
        ("192.168.1.64_01_20260131120000123_TIMING.jpg", NOON.replace(microsecond=123000)),  # Hikvision
        ("ch01_20260131120000_MOTION.mp4", NOON),
        ("cam/2026-01-31/001/jpg/12/00/00[M][0@0][0].jpg", NOON),  # Dahua
        ("2026-01-31/001/dav/12/12.00.00-12.00.30[M][0@0][0].mp4", NOON),
        ("26-01-31_12-00-00-00.jpg", NOON),  # Axis
        ("20260131_120000_A1B2.mkv", NOON),
        ("2026-01-31T12.00.00.jpg", NOON),
        ("IMG_0001.JPG", None),
        ("20261331_120000.jpg", None),
        ("20260231_120000.jpg", None),
        ("1920x1080_000123.jpg", None),
        ("120000.jpg", None),
        ("", None),
    ],
)
def test_names_of_well_known_cameras_tell_the_time(path, at):
    assert time_in_name(path) == at


def taken(said=None, path="a.jpg", mtime=RECEIVED, received=RECEIVED, zone=BERLIN):
    return capture_time(said=said, path=path, mtime=mtime, received=received, zone=zone)


def test_what_the_picture_says_counts_before_its_name_and_that_before_its_time():
    said, name = NOON - timedelta(seconds=10), "20260131_115955.jpg"

    assert taken(said, name).at == datetime(2026, 1, 31, 10, 59, 50, tzinfo=UTC)
    assert taken(None, name).at == datetime(2026, 1, 31, 10, 59, 55, tzinfo=UTC)
    assert taken(None, "a.jpg").at == RECEIVED


def test_a_picture_that_says_its_zone_is_believed():
    said = datetime(2026, 1, 31, 12, 0, 0, tzinfo=ZoneInfo("Asia/Tokyo"))

    assert taken(said).at == datetime(2026, 1, 31, 3, 0, 0, tzinfo=UTC)


@pytest.mark.parametrize(("utc_hour", "expected"), [(0, 0), (1, 1)])
def test_of_the_hour_that_comes_twice_the_one_near_the_files_time_is_meant(utc_hour, expected):
    """On 25 October 2026, 02:30 in Berlin is 00:30 UTC, and an hour later again."""
    mtime = datetime(2026, 10, 25, utc_hour, 30, 4, tzinfo=UTC)

    found = taken(None, "20261025_023000.jpg", mtime=mtime, received=mtime)

    assert found.at == datetime(2026, 10, 25, expected, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    "said", [datetime(1970, 1, 1), datetime(2000, 1, 1, 0, 5), datetime(2026, 2, 1), datetime(9999, 1, 1)]
)
def test_a_clock_that_cannot_be_right_is_told_and_the_time_of_arrival_counts(said):
    assert (taken(said).at, taken(said).is_absurd) == (RECEIVED, True)
    assert not taken(NOON).is_absurd


def test_a_clock_that_is_a_little_fast_is_believed():
    assert not taken(NOON + timedelta(minutes=5)).is_absurd


@pytest.mark.parametrize("at", [datetime(1, 1, 1), datetime(9999, 12, 31, 23, 59)])
@pytest.mark.parametrize("zone", ["Asia/Tokyo", "America/New_York"])
def test_a_clock_at_the_end_of_the_calendar_is_absurd(at, zone):
    assert (taken(at, zone=ZoneInfo(zone)).at, taken(at, zone=ZoneInfo(zone)).is_absurd) == (RECEIVED, True)
