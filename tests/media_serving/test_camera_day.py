"""A camera's page: the timeline of a day with its gaps, and the files by day and hour."""

from __future__ import annotations

import html
import os
import re
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from cameras.models import Camera
from media_serving.local_days import day_range, hour_ranges
from media_serving.models import Upload
from media_serving.models.uploads import digest_of, quoted, readable
from media_serving.pages import camera_day
from nvr.audit.models import AuditEntry
from nvr.health.models import Heartbeat, Outage
from tests.factories import folder_of, jpeg, put
from tests.media_serving.evidence import after, detect
from tests.media_serving.test_events_page import browser_of

DAY = date(2026, 1, 31)
DAY_END = after(12 * 3600)
AWAY = "Nothing has arrived for 1 day."


@pytest.fixture
def browser(admin: User) -> Client:
    return browser_of(admin)


@pytest.fixture
def old_camera(camera: Camera) -> Camera:
    Camera.objects.filter(pk=camera.pk).update(created_at=datetime(2025, 1, 1, tzinfo=UTC))
    camera.refresh_from_db()
    return camera


def page_of(client: Client, query: str) -> str:
    response = client.get(f"/cameras/front_door?{query}")
    assert response.status_code == 200
    return html.unescape(response.content.decode())


def changed(camera: Camera, at: datetime, **changes: tuple[object, object]) -> None:
    action = "camera_status_changed" if "status" in changes else "camera_updated"
    AuditEntry.objects.create(
        at=at, actor_name="system", action=action, target_type="camera", target_pk=camera.pk, changes=changes
    )


def gaps(camera: Camera, day: date = DAY, now: datetime = DAY_END) -> list[tuple[str, str, str, str]]:
    found = camera_day.find_gaps(camera, day_range(day, camera.zone), now)
    return [(f"{gap.time_range.start:%H:%M}", f"{gap.time_range.end:%H:%M}", gap.label, gap.reason) for gap in found]


def upload(camera: Camera, name: bytes, at: datetime, **values: object) -> Upload:
    values = {"state": "done", "size_bytes": 5, "mtime_ns": int(at.timestamp() * 1e9)} | values
    return Upload.objects.create(
        camera=camera,
        path=readable(name),
        raw_path=quoted(name),
        path_digest=digest_of(name),
        captured_at=at,
        **values,
    )


def test_a_day_without_outages_has_no_gap(old_camera):
    assert gaps(old_camera) == []


def test_offline_and_error_are_gaps_with_their_reasons(old_camera):
    changed(old_camera, after(0), status=("online", "offline"), reason=("", AWAY))
    changed(old_camera, after(3600), status=("offline", "error"), reason=(AWAY, "The disk is not mounted."))
    changed(old_camera, after(7200), status=("error", "online"), reason=("The disk is not mounted.", ""))

    assert gaps(old_camera) == [
        ("12:00", "13:00", "Offline", AWAY),
        ("13:00", "14:00", "Error", "The disk is not mounted."),
    ]


def test_a_gap_that_began_earlier_continues_into_the_day(old_camera):
    changed(old_camera, after(-100_000), status=("online", "offline"), reason=("", AWAY))
    changed(old_camera, after(0), status=("offline", "online"), reason=(AWAY, ""))

    assert gaps(old_camera) == [("00:00", "12:00", "Offline", AWAY)]


def test_an_ongoing_gap_ends_now(old_camera):
    changed(old_camera, after(0), status=("online", "offline"), reason=("", AWAY))
    Camera.objects.filter(pk=old_camera.pk).update(status="offline", status_reason=AWAY)
    old_camera.refresh_from_db()

    assert gaps(old_camera, now=after(1800)) == [("12:00", "12:30", "Offline", AWAY)]
    assert gaps(old_camera, date(2026, 2, 1), now=after(1800)) == []  # the future is not a gap


def test_a_disabled_camera_is_a_gap(old_camera):
    changed(old_camera, after(0), enabled=(True, False))
    changed(old_camera, after(60), notes=("", "x"))
    changed(old_camera, after(3600), enabled=(False, True))

    assert gaps(old_camera) == [("12:00", "13:00", "Disabled", "")]


def test_thousands_of_later_status_changes_do_not_hide_an_earlier_gap(old_camera, monkeypatch):
    monkeypatch.setattr(camera_day, "MAX_ENTRIES", 3)
    for hour in range(30, 40):
        changed(old_camera, after(hour * 3600), status=("online", "offline"))
        changed(old_camera, after(hour * 3600 + 1800), status=("offline", "online"))
    changed(old_camera, after(50 * 3600), enabled=(True, False))
    old_camera.status, old_camera.enabled = "online", False

    assert gaps(old_camera) == []


def test_downtime_of_nvr_is_a_gap(old_camera):
    Outage.objects.create(started_at=after(0), ended_at=after(600))

    assert gaps(old_camera) == [("12:00", "12:10", "NVR was not running", "")]


def test_ongoing_downtime_is_a_gap(browser, old_camera):
    now = timezone.now()
    Heartbeat.objects.create(name="scheduler", beat_at=now - timedelta(days=1))
    today = now.astimezone(old_camera.zone).date()

    found = camera_day.find_gaps(old_camera, day_range(today - timedelta(days=1), old_camera.zone), now)

    assert [gap.label for gap in found] == ["NVR was not running"]
    assert re.search(r"Since <time[^>]*>00:00</time></span> NVR was not running", page_of(browser, f"day={today}"))


def test_the_time_before_a_camera_was_added_is_a_gap(camera):
    Camera.objects.filter(pk=camera.pk).update(created_at=after(0))
    camera.refresh_from_db()

    assert gaps(camera) == [("00:00", "12:00", "Not added yet", "The camera was added later.")]


def test_the_legend_lists_the_visible_kinds_of_gaps_with_their_colours(browser, camera):
    Camera.objects.filter(pk=camera.pk).update(created_at=after(-3600))
    changed(camera, after(600), status=("online", "offline"))
    changed(camera, after(1200), status=("offline", "error"))
    changed(camera, after(1800), status=("error", "online"))
    not_here, away = (
        '<i data-level="none"></i>Not added yet',
        '<i data-level="warn"></i><i data-level="bad"></i>No footage',
    )

    assert legend_of(page_of(browser, "day=2026-01-31")) == [not_here, away]
    assert legend_of(page_of(browser, "day=2026-01-31&zoom=1&at=12")) == [away]
    assert legend_of(page_of(browser, "day=2026-01-31&zoom=1&at=3")) == [not_here]
    assert legend_of(page_of(browser, "day=2026-01-31&zoom=1&at=14")) == []


def legend_of(page: str) -> list[str]:
    return re.findall(r'<span data-legend="gap">(.*?)</span>', page)


def test_the_timeline_shows_the_events_of_the_day(browser, old_camera):
    inside = detect(old_camera, after(0)).event
    outside = detect(old_camera, after(86400)).event

    page = page_of(browser, "day=2026-01-31")

    assert f'<a href="/events/{inside.pk}?camera_id=front_door&day=2026-01-31" tabindex="-1"><title>' in page
    assert f"/events/{outside.pk}" not in page
    assert 'x="720.0"' in page  # noon: the middle of 1440


def test_events_too_close_for_the_timeline_are_one_mark(browser, old_camera):
    events = [detect(old_camera, after(60 * minute), object_class=name).event for minute, name in enumerate("ab")]
    apart = detect(old_camera, after(600)).event

    page = page_of(browser, "day=2026-01-31")

    assert page.count('class="timeline-event"') == 2
    assert "<title>12:00 to 12:01, 2 events: a, b</title>" in page
    assert f'/events/{events[1].pk}?camera_id=front_door&day=2026-01-31" tabindex="-1"' in page
    assert f'/events/{apart.pk}?camera_id=front_door&day=2026-01-31" tabindex="-1"' in page
    assert "All 3 events of this day" in page


def test_the_page_reports_how_many_events_the_timeline_omits(browser, old_camera, monkeypatch):
    monkeypatch.setattr(camera_day, "MAX_EVENTS", 2)
    events = [detect(old_camera, after(600 * number)).event for number in range(3)]

    page = page_of(browser, "day=2026-01-31")

    assert "The timeline shows the newest 2 of 3 events" in page and "All 3 events of this day" in page
    assert f'/events/{events[0].pk}?camera_id=front_door&day=2026-01-31" tabindex="-1"' not in page


@pytest.mark.parametrize(("day", "count"), [("2026-03-29", 23), ("2026-10-25", 25), ("2026-01-31", 24)])
def test_a_day_has_23_24_or_25_hours(day, count):
    hours = hour_ranges(date.fromisoformat(day), ZoneInfo("Europe/Berlin"))

    assert len(hours) == count
    assert all(span.end - span.start == timedelta(hours=1) for span in hours)
    assert [span.end for span in hours[:-1]] == [span.start for span in hours[1:]]


def test_files_are_counted_per_hour_and_listed_for_one_hour(browser, old_camera):
    put(folder_of(old_camera), "noon.jpg", jpeg())
    upload(old_camera, b"noon.jpg", after(0))
    upload(old_camera, b"later.jpg", after(3599))
    upload(old_camera, b"one.jpg", after(3600))

    page = page_of(browser, "day=2026-01-31&hour=12")

    assert "12:00: 2 files" in page and "13:00: 1 file" in page
    assert "Files of 31 January, 12:00" in page
    assert re.findall(r'<a class="file" href="[^"]*file=([^"]+)"', page) == ["later.jpg", "noon.jpg"]
    assert "/api/media/cameras/front_door/noon.jpg" in page_of(browser, "day=2026-01-31&hour=12&file=noon.jpg")


def test_a_reused_name_shows_only_its_latest_content(browser, old_camera):
    upload(old_camera, b"same.jpg", after(0))
    upload(old_camera, b"same.jpg", after(60))

    page = page_of(browser, "day=2026-01-31&hour=12")

    assert page.count("Overwritten") == 1
    assert len(re.findall(r'<a class="file"', page)) == 1


def test_an_overwritten_file_can_be_opened_if_a_copy_was_kept(browser, old_camera, settings, tmp_path):
    settings.KEPT_DIR = tmp_path / "kept"
    former = upload(old_camera, b"same.jpg", after(0), is_kept=True)
    upload(old_camera, b"same.jpg", after(60))
    put(former.kept_path.parent, former.kept_path.name, jpeg(seed=1))

    page = page_of(browser, "day=2026-01-31&hour=12")

    assert "Overwritten" not in page
    shown = page_of(browser, f"day=2026-01-31&hour=12&former={former.pk}&file=same.jpg")
    address = f"/api/media/uploads/{former.pk}"
    assert f'<a class="viewer-picture" href="{address}"' in shown
    assert len(re.findall(r'<a class="file"[^>]* aria-current', shown)) == 1
    assert b"".join(browser.get(address)) == jpeg(seed=1)


def test_a_kept_copy_is_shown_even_if_the_previous_content_is_back(browser, old_camera, settings, tmp_path):
    """The camera delivered one content, another, and the first again."""
    settings.KEPT_DIR = tmp_path / "kept"
    put(folder_of(old_camera), "same.jpg", jpeg(seed=1))
    upload(old_camera, b"same.jpg", after(0))
    other = upload(old_camera, b"same.jpg", after(60), is_kept=True)
    put(other.kept_path.parent, other.kept_path.name, jpeg(seed=2))

    page = page_of(browser, "day=2026-01-31&hour=12")

    (address,) = re.findall(r'<a class="file" href="([^"]*)"', page)
    shown = html.unescape(browser.get(address).content.decode())
    (picture,) = re.findall(r'<a class="viewer-picture" href="([^"]*)"', shown)
    assert b"".join(browser.get(picture)) == jpeg(seed=2)


def test_files_whose_names_are_not_utf_8_are_listed_without_a_link(browser, old_camera):
    upload(old_camera, b"caf\xe9.jpg", after(0))

    page = page_of(browser, "day=2026-01-31&hour=12")

    assert "caf\ufffd.jpg" in page and "Rename it" in page
    assert '<a class="file"' not in page


def test_a_full_hour_is_paginated(browser, old_camera):
    for second in range(3):
        upload(old_camera, f"{second}.jpg".encode(), after(second))

    page = page_of(browser, "day=2026-01-31&hour=12&limit=2")

    following = re.search(r'rel="next" href="/cameras/front_door\?([^"]+)"', page)
    assert "file=0.jpg" not in page
    assert "file=0.jpg" in page_of(browser, following[1])


@pytest.mark.parametrize("query", ["day=x", "day=2026-02-30", "day=2026-01-31&hour=24", "hour=-1", "hour=1e1"])
def test_an_invalid_day_or_hour_is_rejected(browser, camera, query):
    assert browser.get(f"/cameras/front_door?{query}").status_code == 422


def test_the_number_of_queries_does_not_grow_with_the_day(browser, old_camera, django_assert_max_num_queries):
    detect(old_camera, after(0))
    upload(old_camera, b"0.jpg", after(0))
    with django_assert_max_num_queries(40) as before:
        page_of(browser, "day=2026-01-31&hour=12")
    for number in range(1, 12):
        detect(old_camera, after(number * 200))
        upload(old_camera, f"{number}.jpg".encode(), after(number))
    with django_assert_max_num_queries(len(before)):
        page_of(browser, "day=2026-01-31&hour=12")


def test_the_files_of_an_hour_are_not_read_from_the_disk(browser, old_camera):
    upload(old_camera, b"gone.jpg", after(0))
    os.rmdir(old_camera.folder_path)

    assert "file=gone.jpg" in page_of(browser, "day=2026-01-31&hour=12")


def test_zooming_in_separates_events(browser, old_camera):
    for minute in (0, 2, 4):
        detect(old_camera, after(60 * minute))
    detect(old_camera, after(-6 * 3600))

    whole, near = page_of(browser, "day=2026-01-31"), page_of(browser, "day=2026-01-31&zoom=1&at=12")

    assert whole.count('class="timeline-event"') == 2
    assert near.count('class="timeline-event"') == 3
    assert "12:00 to 13:00" in near
    assert "zoom=1&at=11" in near and "zoom=1&at=13" in near
    widths = [float(width) for width in re.findall(r'class="timeline-event" [^>]*width="([0-9.]+)"', near)]
    assert min(widths) >= camera_day.MIN_EVENT_WIDTH


@pytest.mark.parametrize("query", ["zoom=7", "zoom=x", "zoom=6&at=99", "zoom=6&at=-1", "zoom=1&at=%C2%B2"])
def test_an_invalid_zoom_shows_a_valid_range(browser, old_camera, query):
    assert "timeline" in page_of(browser, f"day=2026-03-29&{query}")
