"""What file names tell of their time: the tables of docs/reference/file-names.md, row by row, and what lies between."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from media_serving.ingest.capture_time import CaptureTime, FileFacts, capture_time

TABLES = Path(__file__).parents[2] / "docs/reference/file-names.md"
BERLIN = ZoneInfo("Europe/Berlin")
RECEIVED = datetime(2026, 11, 30, 9, 0, tzinfo=UTC)
ROW = re.compile(r"\| (?P<maker>[^|]+) \| `(?P<path>[^`]+)` \| (?P<rest>[^|]+) \|")


def rows(*, told: bool) -> Iterator[tuple[str, str]]:
    """Path and third column of the tables of names that tell a time, or of those that do not."""
    telling, silent = TABLES.read_text().split("## Names without a usable time")
    for match in ROW.finditer(telling if told else silent):
        yield match["path"], match["rest"].strip()


def taken(path: str, *, written: datetime = RECEIVED, received: datetime = RECEIVED) -> CaptureTime:
    return capture_time(FileFacts(path, written, received), BERLIN)


@pytest.mark.parametrize(("path", "read_as"), list(rows(told=True)))
def test_names_are_parsed_as_documented(path, read_as):
    expected = datetime.fromisoformat(read_as)
    expected = expected if expected.tzinfo else expected.replace(tzinfo=BERLIN)

    found = taken(path)

    assert (found.at, found.is_absurd, found.note) == (expected.astimezone(UTC), False, "")
    assert found.clue in {"name", "folder"}


@pytest.mark.parametrize(("path", "why"), list(rows(told=False)))
def test_a_partly_matching_name_is_not_a_clue(path, why):
    found = taken(path)

    assert (found.at, found.clue, found.is_absurd) == (RECEIVED, "file", False)


def test_the_tables_contain_the_twenty_most_sold_makers():
    makers = " ".join(match["maker"] for match in ROW.finditer(TABLES.read_text()))

    for maker in (
        *("Hikvision", "Dahua", "Amcrest", "Lorex", "Reolink", "Axis", "Foscam", "Uniview", "Hanwha", "Bosch"),
        *("Panasonic", "i-PRO", "Vivotek", "Tapo", "VIGI", "UniFi", "D-Link", "Trendnet", "Annke", "Ezviz", "Wyze"),
        *("Xiaomi", "Yi", "Imou", "Instar", "Mobotix", "ACTi", "LevelOne", "Blink", "Eufy", "Arlo", "GoPro", "DJI"),
    ):
        assert maker in makers


# Files arrive later than they were taken, as after a night without network; times in UTC, of 29 November.
@pytest.mark.parametrize(
    ("path", "at"),
    [
        ("snap_20261129T120000Z.jpg", "12:00:00"),
        ("snap_2026-11-29T12:00:01+00:00.jpg", "12:00:01"),
        ("2026-11-29T08:02:17-05:00.jpg", "13:02:17"),
        ("snap_20261129T120002-0500.jpg", "17:00:02"),
        ("snap_20261129T120002 GMT-0500.jpg", "17:00:02"),
        ("snap_20261129T120002.250+01.jpg", "11:00:02.250"),
        ("2026-11-29T08%3A02%3A17-05%3A00.jpg", "13:02:17"),
        ("2026-11-29/12-00-00.jpg", "11:00:00"),
        ("Img_2026-11-29/Snap_103130_021_1.jpg", "09:31:30"),
        ("2026/11/29/103131.jpg", "09:31:31"),
        ("2026/11/29/1M123455.jpg", "11:34:55"),
        ("2026Y11M29D10H/31M34S60.jpg", "09:31:34"),
        ("Front_Door_2026_11_29@195037.jpg", "18:50:37"),
        ("Front Door B4C5 - 2026-11-29 - 11.21.12.jpg", "10:21:12"),
        ("yard/2026-11-29/picture/11.21.12.jpg", "10:21:12"),
        ("2026-11/29/112112.jpg", "10:21:12"),
        ("20261129_240819.jpg", "2026-11-28 23:08:19"),
        ("2026-11-29 12.08.19 AM.jpg", "2026-11-28 23:08:19"),
        ("2026-11-29 12.08.19 p.m..jpg", "11:08:19"),
        ("2026-11-29_11-21-12_3.jpg", "10:21:12"),
        ("2026-11-29_11h21m12s.jpg", "10:21:12"),
    ],
)
def test_time_zones_am_pm_and_days_in_folders_are_parsed(path, at):
    expected = datetime.fromisoformat(at if " " in at else f"2026-11-29 {at}").replace(tzinfo=UTC)

    assert taken(path).at == expected


@pytest.mark.parametrize(
    ("path", "written", "expected"),
    [
        ("05-04-2026_120000.jpg", "2026-04-06", "2026-04-05"),
        ("04-05-2026_120000.jpg", "2026-04-06", "2026-04-05"),
        ("05.04.26 12.00.00.jpg", "2026-04-06", "2026-04-05"),
        ("26.04.05 12.00.00.jpg", "2026-04-06", "2026-04-05"),
        ("04-26-26_12-00-00.jpg", "2026-04-27", "2026-04-26"),
        ("10-11-12_12-00-00.jpg", "2012-11-10", "2012-11-10"),
        ("10-11-12_12-00-00.jpg", "2010-11-12", "2010-11-12"),
        ("260405_120000.jpg", "2026-04-06", "2026-04-05"),
        ("05042026_120000.jpg", "2026-04-06", "2026-04-05"),
        ("05-04-2026/120000.jpg", "2026-04-06", "2026-04-05"),
    ],
)
def test_an_ambiguous_day_resolves_to_the_one_nearer_to_the_file_time(path, written, expected):
    found = taken(path, written=datetime.fromisoformat(f"{written}T15:00:00+00:00"))

    assert f"{found.at.astimezone(BERLIN):%Y-%m-%d %H:%M}" == f"{expected} 12:00"


@pytest.mark.parametrize(
    "path",
    ["img_12-11-10_120000.jpg", "img_12-11-10_12-00-00.jpg", "img_12-11-10_000123.jpg", "12-11-10/120000.jpg"],
)
def test_a_two_digit_year_is_used_only_near_the_file_time(path):
    """Far from it, nothing tells which of its numbers is the year, or whether any is."""
    then = taken(path, written=datetime(2012, 11, 12, tzinfo=UTC))
    assert (f"{then.at:%Y-%m}", then.clue in {"name", "folder"}) == ("2012-11", True)

    found = taken(path)

    assert (found.clue, found.is_absurd) == ("file", False)


def test_digits_after_a_minus_are_a_number_if_the_file_time_indicates_it():
    path = "yard_20261129_120000-0500.jpg"

    assert taken(path, written=datetime(2026, 11, 29, 11, 0, 3, tzinfo=UTC)).at.hour == 11
    assert taken(path, written=datetime(2026, 11, 29, 17, 0, 3, tzinfo=UTC)).at.hour == 17
    assert taken(path).at.hour == 17


def test_ambiguous_digits_are_used_only_near_the_file_time():
    near = f"yard_{int((RECEIVED - timedelta(days=3)).timestamp())}.jpg"
    far = f"yard_{int((RECEIVED - timedelta(days=900)).timestamp())}.jpg"

    assert taken(near).at == RECEIVED - timedelta(days=3)
    assert taken(far).clue == "file"
    assert taken("A12345678901234.jpg").clue == "file"


def test_folders_are_used_only_if_the_name_has_no_time():
    assert taken("2026-01-01/20261129_120000.jpg").clue == "name"
    assert taken("2026-01-01/yard/2026-11-29/120000.jpg").at.month == 11


def test_an_unset_clock_is_recognized_by_the_name_too():
    for path in ("19700101_000012.jpg", "1970-01-01/00-00-12.jpg", "20150101_000310.jpg"):
        found = taken(path)
        assert (found.at, found.clue, found.is_absurd) == (RECEIVED, "file", True)
        assert found.note.startswith("The name ")
