"""What a camera's own page shows of its day; cameras' page has a slot for it."""

from __future__ import annotations

from django.http import HttpRequest
from django.template.loader import render_to_string
from django.utils import timezone
from django.utils.safestring import SafeString

from cameras.models import Camera
from media_serving import camera_day, camera_files
from media_serving.days import DAY, hours_of, span_of, today_in
from media_serving.event_cards import cards_of
from media_serving.event_list import Asked
from media_serving.models import Upload

CARDS_OF_A_DAY = 4


def camera_day_panel(request: HttpRequest, camera: Camera) -> SafeString:
    """A day of the camera: its events and gaps as a band, and below it how many files each hour has."""
    now = timezone.now()
    day = camera_files.day_asked_for(camera, request.GET)
    today, span = today_in(camera.zone, now), span_of(day, camera.zone)
    spells, gaps = camera_day.spells_of(camera, span), camera_day.gaps_of(camera, span, now)
    event_count = camera_day.count_of(camera, span, spells)
    asked = Asked({"camera_id": camera.slug, "day": day.isoformat()})
    hour = camera_files.hour_asked_for(hours_of(day, camera.zone), request.GET)
    words = {
        "camera": camera,
        "day": day,
        "is_today": day == today,
        "before_url": camera_files.address(camera, day - DAY),
        "after_url": camera_files.address(camera, day + DAY) if day < today else None,
        "today_url": camera.get_absolute_url() if day != today else None,
        "marks": [
            (mark, asked.event_address(mark.event_id or 0)) for mark in camera_day.event_marks(spells, span, camera)
        ],
        "gap_marks": camera_day.gap_marks(gaps, span),
        "gaps": gaps,
        "now_x": camera_day.now_mark(now, span),
        "hours": camera_files.hours_with_counts(camera, day, hour),
        "cards": cards_of(camera_day.newest_of(camera, span, CARDS_OF_A_DAY), asked.event_address),
        "event_count": event_count,
        "drawn_count": min(event_count, camera_day.MOST_EVENTS),
        "events_url": asked.address(),
        "clock": clock_of(camera),
    }
    return render_to_string("events/camera_day.html", words, request=request)


def clock_of(camera: Camera) -> str:
    """What is wrong with the camera's clock, by its newest upload; empty if nothing is."""
    rows = Upload.objects.filter(camera=camera).values_list("clock_is_absurd", "capture_note")
    newest = rows.first()  # by arrival
    return newest[1] if newest and newest[0] else ""
