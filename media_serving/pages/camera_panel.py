"""The panel with a camera's day, shown on the camera's page."""

from __future__ import annotations

from datetime import date

from django.http import HttpRequest
from django.template.loader import render_to_string
from django.utils import timezone
from django.utils.safestring import SafeString

from cameras.models import Camera
from media_serving.local_days import DAY, day_range, hour_ranges, today_in
from media_serving.models import Upload
from media_serving.pages import camera_day, camera_files
from media_serving.pages.event_cards import cards_of
from media_serving.pages.event_list import EventQuery

CARDS_OF_A_DAY = 4


def camera_day_panel(request: HttpRequest, camera: Camera) -> SafeString:
    """Render a day of the camera: the timeline of events and gaps, and the number of files per hour."""
    now = timezone.now()
    day = camera_files.day_from_query(camera, request.GET)
    today, time_range = today_in(camera.zone, now), day_range(day, camera.zone)
    hours = hour_ranges(day, camera.zone)
    zoom = camera_day.zoom_from_query(time_range, hours, request.GET, now)
    groups, gaps = camera_day.event_groups(camera, zoom.time_range), camera_day.find_gaps(camera, time_range, now)
    gap_marks = camera_day.gap_marks(gaps, zoom.time_range)
    event_count = camera_day.count_events(camera, zoom.time_range, groups)
    event_query = EventQuery({"camera_id": camera.slug, "day": day.isoformat()})
    hour = camera_files.hour_from_query(hours, request.GET)
    context = {
        "camera": camera,
        "day": day,
        "is_today": day == today,
        "before_url": camera_files.address(camera, day - DAY),
        "after_url": camera_files.address(camera, day + DAY) if day < today else None,
        "today_url": camera.get_absolute_url() if day != today else None,
        "marks": [
            (mark, event_query.event_address(mark.event_id or 0))
            for mark in camera_day.event_marks(groups, zoom.time_range, camera)
        ],
        "gap_marks": gap_marks,
        "legend": camera_day.legend(gap_marks),
        "gaps": gaps,
        "zoom": zoom,
        "zooms": zoom_links(camera, day, hour, zoom),
        **neighbor_links(camera, day, hour, zoom, len(hours)),
        "today": today,
        "is_future": zoom.time_range.start >= now,
        "now_x": camera_day.now_mark(now, zoom.time_range),
        "hours": camera_files.hours_with_counts(camera, day, hour),
        "cards": cards_of(camera_day.newest_events(camera, time_range, CARDS_OF_A_DAY), event_query.event_address),
        "event_count": event_count,
        "drawn_count": min(event_count, camera_day.MAX_EVENTS),
        "events_url": event_query.address(),
        "clock": clock_warning(camera),
    }
    return render_to_string("events/camera_day.html", context, request=request)


def zoom_links(camera: Camera, day: date, hour: int | None, zoom: camera_day.Zoom) -> list[tuple[str, str, bool]]:
    """Return label, URL and whether it is current. Zooming in keeps the visible part, the chosen hour, or now."""
    at = {"at": str(zoom.first)} if zoom.hours else ({"at": str(hour)} if hour is not None else {})
    whole = ("24 h", camera_files.address(camera, day, hour), not zoom.hours)
    return [
        whole,
        *(
            (f"{length} h", camera_files.address(camera, day, hour, zoom=name, **at), zoom.hours == length)
            for name, length in camera_day.ZOOMS.items()
        ),
    ]


def neighbor_links(camera: Camera, day: date, hour: int | None, zoom: camera_day.Zoom, count: int) -> dict[str, str]:
    """Return links to the parts of the day before and after the visible one."""
    if not zoom.hours:
        return {}
    places = {"earlier_url": zoom.first - zoom.hours, "later_url": zoom.first + zoom.hours}
    return {
        name: camera_files.address(camera, day, hour, zoom=str(zoom.hours), at=str(max(0, min(at, count - zoom.hours))))
        for name, at in places.items()
        if -zoom.hours < at < count
    }


def clock_warning(camera: Camera) -> str:
    """Return why the clock of the camera is wrong, according to its newest upload; empty if it is right."""
    rows = Upload.objects.filter(camera=camera).values_list("clock_is_absurd", "capture_note")
    newest = rows.first()  # by arrival
    return newest[1] if newest and newest[0] else ""
