"""When a picture was taken: which clue counts, the camera's zone, clocks that cannot be right."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest

from media_serving.ingest.capture_time import CaptureTime, FileFacts, Reading, capture_time

NOON = datetime(2026, 1, 31, 12, 0, 0)
BERLIN = ZoneInfo("Europe/Berlin")
RECEIVED = datetime(2026, 1, 31, 11, 0, 5, tzinfo=UTC)


def taken(
    *said: datetime | None,
    path: str = "a.jpg",
    mtime: datetime = RECEIVED,
    received: datetime = RECEIVED,
    length_s: float = 0,
    container: tuple[Reading, ...] = (),
    zone: ZoneInfo = BERLIN,
) -> CaptureTime:
    readings = tuple(Reading("EXIF", (at,)) if at else Reading("EXIF", problem="is blank") for at in said)
    return capture_time(FileFacts(path, mtime, received, timedelta(seconds=length_s), readings, container), zone)


def test_exif_takes_precedence_over_the_name_and_the_name_over_the_file_time():
    said, name = NOON - timedelta(seconds=10), "20260131_115955.jpg"

    itself, named, folder, neither = (
        taken(said, path=name),
        taken(path=name),
        taken(path="2026-01-31/11.59.50.jpg"),
        taken(path="a.jpg"),
    )

    assert (itself.at, itself.clue) == (datetime(2026, 1, 31, 10, 59, 50, tzinfo=UTC), "exif")
    assert (named.at, named.clue) == (datetime(2026, 1, 31, 10, 59, 55, tzinfo=UTC), "name")
    assert (folder.at, folder.clue) == (datetime(2026, 1, 31, 10, 59, 50, tzinfo=UTC), "folder")
    assert (neither.at, neither.clue) == (RECEIVED, "file")
    assert not any(each.note or each.is_absurd for each in (itself, named, folder, neither))


def test_an_exif_time_zone_is_used():
    said = datetime(2026, 1, 31, 12, 0, 0, tzinfo=ZoneInfo("Asia/Tokyo"))

    assert taken(said).at == datetime(2026, 1, 31, 3, 0, 0, tzinfo=UTC)


@pytest.mark.parametrize(("utc_hour", "expected"), [(0, 0), (1, 1)])
def test_a_repeated_hour_resolves_to_the_one_nearer_to_the_file_time(utc_hour, expected):
    """On 25 October 2026, 02:30 in Berlin is 00:30 UTC, and an hour later again."""
    mtime = datetime(2026, 10, 25, utc_hour, 30, 4, tzinfo=UTC)

    found = taken(path="20261025_023000.jpg", mtime=mtime, received=mtime)

    assert found.at == datetime(2026, 10, 25, expected, 30, tzinfo=UTC)


@pytest.mark.parametrize(("utc_hour", "expected"), [(0, 0), (1, 1)])
def test_a_skipped_hour_resolves_to_the_one_nearer_to_the_file_time(utc_hour, expected):
    mtime = datetime(2026, 3, 29, utc_hour, 30, 4, tzinfo=UTC)

    found = taken(path="20260329_023000.jpg", mtime=mtime, received=mtime)

    assert found.at == datetime(2026, 3, 29, expected, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        (datetime(1970, 1, 1), "never set"),
        (datetime(2000, 1, 1, 0, 5), "never set"),
        (datetime(2026, 2, 1), "ahead"),
        (datetime(9999, 1, 1), "ahead"),
    ],
)
def test_an_implausible_time_is_noted_and_the_next_clue_is_used(said, reason):
    named = taken(said, path="20260131_115955.jpg")
    alone = taken(said)

    assert (named.at, named.clue) == (datetime(2026, 1, 31, 10, 59, 55, tzinfo=UTC), "name")
    assert (alone.at, alone.clue) == (RECEIVED, "file")
    assert named.is_absurd and alone.is_absurd
    assert reason in named.note and named.note == alone.note
    assert not taken(NOON).is_absurd


def test_a_blank_tag_is_skipped_and_does_not_mean_a_wrong_clock():
    found = taken(None, NOON, path="20260131_110000.jpg")

    assert (found.at, found.clue, found.note) == (RECEIVED.replace(second=0), "exif", "EXIF is blank.")
    assert not found.is_absurd


def test_a_slightly_fast_clock_is_accepted():
    assert not taken(NOON + timedelta(minutes=5)).is_absurd


@pytest.mark.parametrize("at", [datetime(1, 1, 1), datetime(9999, 12, 31, 23, 59)])
@pytest.mark.parametrize("zone", ["Asia/Tokyo", "America/New_York"])
def test_a_clock_at_the_end_of_the_calendar_is_implausible(at, zone):
    found = taken(at, zone=ZoneInfo(zone))

    assert (found.at, found.is_absurd) == (RECEIVED, True)


RESTARTED = [
    datetime(2005, 1, 1, 0, 3, 10),
    datetime(2012, 1, 1, 0, 0, 42),
    datetime(2015, 1, 1, 0, 3, 10),
    datetime(2015, 1, 1, 2, 3, 10),
    datetime(2020, 1, 1, 0, 0, 5),
    datetime(2018, 1, 1, 8, 0, 30),  # midnight in UTC, told in China's time
    datetime(2014, 12, 31, 19, 0, 30, tzinfo=timezone(-timedelta(hours=5))),  # and in New York's
]


@pytest.mark.parametrize("told", RESTARTED)
@pytest.mark.parametrize("place", ["said", "name"])
def test_a_clock_reset_to_its_factory_date_is_rejected(told, place):
    """Camera in UTC, the file arrives now and was written now."""
    name = f"{told:%Y%m%dT%H%M%S%z}.jpg"
    found = taken(told, zone=ZoneInfo("UTC")) if place == "said" else taken(path=name, zone=ZoneInfo("UTC"))

    assert (found.at, found.clue, found.is_absurd) == (RECEIVED, "file", True)
    assert "was reset" in found.note or "never set" in found.note


@pytest.mark.parametrize(
    ("told", "written", "received"),
    [
        # A card whose pictures were copied years later with their times.
        (datetime(2015, 1, 1, 0, 3), datetime(2015, 1, 1, 0, 3, 2, tzinfo=UTC), RECEIVED),
        (datetime(2015, 1, 1, 0, 3), datetime(2014, 12, 31, 16, 3, 2, tzinfo=UTC), RECEIVED),
        # A New Year's night that arrives now, and one that waited for a network.
        (
            datetime(2026, 1, 1, 0, 3),
            datetime(2026, 1, 1, 0, 3, 5, tzinfo=UTC),
            datetime(2026, 1, 1, 0, 3, 5, tzinfo=UTC),
        ),
        (datetime(2026, 1, 1, 0, 3), RECEIVED, RECEIVED),
        # An old picture of any other day, and of an afternoon.
        (datetime(2015, 7, 12, 0, 3), RECEIVED, RECEIVED),
        (datetime(2015, 1, 1, 15, 3), RECEIVED, RECEIVED),
    ],
)
def test_a_real_picture_of_a_new_years_night_is_accepted(told, written, received):
    found = taken(told, mtime=written, received=received, zone=ZoneInfo("UTC"))

    assert (found.at, found.is_absurd, found.note) == (told.replace(tzinfo=UTC), False, "")


def test_a_gps_week_rollover_is_rejected():
    assert taken(NOON - timedelta(weeks=1024)).is_absurd
    assert not taken(NOON - timedelta(weeks=1020)).is_absurd


def test_a_file_time_in_the_future_counts_as_the_time_of_arrival():
    ahead = taken(mtime=RECEIVED + timedelta(days=400))
    video = taken(mtime=RECEIVED + timedelta(days=400), path="a.mp4", length_s=30)
    slightly = taken(mtime=RECEIVED + timedelta(minutes=2))

    assert (ahead.at, ahead.clue, ahead.is_absurd) == (RECEIVED, "received", True)
    assert "ahead" in ahead.note
    assert video.at == RECEIVED - timedelta(seconds=30)
    assert (slightly.at, slightly.clue, slightly.is_absurd) == (RECEIVED, "file", False)


def test_a_file_time_of_an_unset_clock_counts_as_the_time_of_arrival():
    found = taken(mtime=datetime(1980, 1, 1, tzinfo=UTC))

    assert (found.at, found.clue, found.is_absurd) == (RECEIVED, "received", True)


def test_a_video_started_its_length_before_its_file_time():
    assert taken(path="a.mp4", length_s=4).at == RECEIVED - timedelta(seconds=4)
    assert taken(path="20260131_115955.mp4", length_s=4).at == datetime(2026, 1, 31, 10, 59, 55, tzinfo=UTC)


def test_an_ambiguous_number_does_not_mean_a_wrong_clock():
    found = taken(path="device_1234567890.jpg")

    assert (found.at, found.clue, found.is_absurd, found.note) == (RECEIVED, "file", False, "")
