"""A camera's last picture and its usual pause: the same in the live view, the admin and the API."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from cameras import health
from cameras.folders.rhythm import MAX_PAUSES, Rhythm, age_limit
from cameras.models import Camera
from tests.factories import folder_of, jpeg, put

MINUTE, HOUR, DAY = 60, 3600, 86400
START = datetime(2026, 1, 1, tzinfo=UTC)


def learned(gaps_s: list[float], *, since_s: float = 0) -> timedelta | None:
    """The usual pause learned from pictures with these gaps, updated after each; monitoring began at `since_s`."""
    rhythm, at = Rhythm(START.timestamp() + since_s), START
    for gap_s in gaps_s:
        before, at = at, at + timedelta(seconds=gap_s)
        rhythm = Rhythm.from_json(rhythm.with_times([before, at]).as_json(), at)
    return rhythm.usual_pause(at)


def hours(number: float) -> timedelta:
    return timedelta(hours=number)


@pytest.mark.parametrize(
    ("gaps_s", "usual"),
    [
        pytest.param([], None, id="one picture"),
        pytest.param([2] * 500, None, id="one every two seconds"),
        pytest.param([HOUR] * 20, hours(1), id="one an hour"),
        pytest.param([4 * HOUR, *[1] * 30] * 20, hours(4), id="bursts every four hours"),
        pytest.param([*[2 * HOUR, 5, 5] * 6, 12 * HOUR] * 8, hours(12), id="busy by day, silent by night"),
        pytest.param([*[2 * HOUR] * 40, 6 * DAY, 2 * HOUR], hours(2), id="hourly, and once away for days"),
        pytest.param([*[60] * (2 * 1440), 5 * HOUR, 60], None, id="one a minute, and once away for hours"),
        pytest.param([8 * HOUR], hours(8), id="the second picture after a night"),
    ],
)
def test_the_usual_pause_is_learned_from_long_pauses(gaps_s: list[float], usual: timedelta | None) -> None:
    assert learned(gaps_s) == usual


def test_stored_pauses_are_limited_and_duplicates_count_once() -> None:
    times = [START + timedelta(hours=number) for number in range(200)]

    rhythm = Rhythm(START.timestamp()).with_times(times)

    assert len(rhythm.pauses) == MAX_PAUSES
    assert Rhythm.from_json(rhythm.as_json(), START).with_times(times[-5:]) == rhythm


def test_a_picture_is_old_after_the_usual_pause_and_never_before_the_setting(settings: Any) -> None:
    settings.NVR_STALE_AFTER = timedelta(minutes=10)

    assert age_limit(None) == timedelta(minutes=10)
    assert age_limit(timedelta(minutes=2)) == timedelta(minutes=10)
    assert hours(3) < age_limit(hours(3)) < hours(4)


@pytest.fixture
def hourly(camera: Camera) -> Callable[[float], None]:
    """Ten pictures an hour apart, the last one of the given age."""

    def put_them(age_s: float) -> None:
        for number in range(10):
            put(folder_of(camera), f"{number}.jpg", jpeg(seed=number), age_s=age_s + number * HOUR)

    return put_them


@pytest.fixture
def browser(admin: User) -> Client:
    client = Client()
    client.force_login(admin)
    return client


def tile(browser: Client) -> dict[str, object]:
    return browser.get("/live.json").json()["tiles"][0]


@pytest.mark.parametrize(("age_s", "old"), [(40 * MINUTE, False), (3 * HOUR, True)])
def test_a_picture_of_an_hourly_camera_is_current_for_an_hour(
    browser: Client, hourly: Callable[[float], None], age_s: float, old: bool
) -> None:
    hourly(age_s)

    assert (tile(browser)["is_old"], tile(browser)["is_stale"]) == (old, False)


def test_row_admin_api_and_live_view_use_the_same_picture(
    browser: Client, camera: Camera, hourly: Callable[[float], None]
) -> None:
    hourly(40 * MINUTE)
    put(folder_of(camera), "torn.jpg", jpeg()[:-200], age_s=30)

    health.refresh_all()

    camera.refresh_from_db()
    body = browser.get("/api/cameras/front_door").json()
    page = browser.get("/cameras/front_door").content.decode()
    assert camera.last_picture_at == datetime.fromisoformat(str(tile(browser)["picture_at"])).replace(
        microsecond=camera.last_picture_at.microsecond  # the page has milliseconds
    )
    assert body["last_picture_at"] == f"{camera.last_picture_at:%Y-%m-%dT%H:%M:%SZ}"
    assert body["usual_interval_seconds"] == HOUR
    assert "40 min ago" in browser.get("/admin/cameras/camera/").content.decode()
    assert "A picture at least every 1 hour" in page


def test_a_pause_before_a_burst_is_remembered(camera: Camera) -> None:
    put(folder_of(camera), "before.jpg", jpeg(), age_s=5 * HOUR)
    health.refresh_all()
    put(folder_of(camera), "first.jpg", jpeg(), age_s=HOUR)
    health.refresh_all()
    for number in range(100):
        put(folder_of(camera), f"burst_{number}.jpg", jpeg(), age_s=HOUR - number)

    health.refresh_all()

    camera.refresh_from_db()
    assert camera.usual_interval_seconds is not None
    assert abs(camera.usual_interval_seconds - 4 * HOUR) < 5


def test_pauses_are_also_measured_if_the_camera_reuses_one_name(camera: Camera) -> None:
    for hour in (5, 4, 3, 2):
        put(folder_of(camera), "snap.jpg", jpeg(seed=hour), age_s=hour * HOUR)
        health.refresh_all()

    camera.refresh_from_db()
    assert camera.usual_interval_seconds is not None
    assert abs(camera.usual_interval_seconds - HOUR) < 5


def test_a_file_time_in_the_future_counts_as_the_time_of_arrival(browser: Client, camera: Camera) -> None:
    put(folder_of(camera), "a.jpg", jpeg(), age_s=-DAY)

    assert datetime.fromisoformat(str(tile(browser)["picture_at"])) <= timezone.now()


def test_the_last_known_picture_is_used_if_the_folder_cannot_be_read(
    browser: Client, camera: Camera, hourly: Callable[[float], None]
) -> None:
    hourly(2 * HOUR)
    health.refresh_all()
    Camera.objects.update(status="error", status_reason="The disk is not mounted.")

    shown = tile(browser)

    assert shown["is_stale"] is True
    assert (shown["stale_reason"], shown["stale_detail"]) == ("No picture for 2 hours", "The disk is not mounted.")
