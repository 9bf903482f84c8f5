"""Where in a clip the boxes of the event's pictures are drawn."""

from __future__ import annotations

import html
import re

from django.utils import timezone

from media_serving.models import ClipWork, Event
from media_serving.pages.clip_boxes import box_overlays
from media_serving.pages.event_stills import stills_of
from tests.media_serving.evidence import after, detect
from tests.media_serving.test_event_page import BOX
from tests.media_serving.test_events_page import browser_of


def at_ms(seconds: float) -> int:
    return int(after(seconds).timestamp() * 1000)


def seen_at(camera, *seconds: float) -> Event:
    """Of the first of the pictures, which is that of all if they lie close enough."""
    found = [detect(camera, after(second), file_path=f"{camera.folder_path}/{second}.jpg", **BOX) for second in seconds]
    return found[0].event


def spans_over(event: Event, *shows: tuple[int, int]) -> list[tuple[int, int]]:
    return [(over.from_ms, over.to_ms) for over in box_overlays(shows, stills_of(event).shown)]


def test_over_a_video_boxes_last_until_the_next_ones_and_a_second_at_most(camera):
    event = seen_at(camera, 0, 0.4, 5)

    assert spans_over(event, (at_ms(-5), 60_000)) == [(5000, 5400), (5400, 6400), (10_000, 11_000)]


def test_a_gap_between_two_videos_is_not_in_the_clip(camera):
    event = seen_at(camera, 0, 10, 20)

    assert spans_over(event, (at_ms(-5), 8000), (at_ms(18), 8000)) == [(5000, 6000), (10_000, 11_000)]


def test_over_a_still_its_boxes_last_as_long_as_it_is_shown(camera):
    event = seen_at(camera, 0, 7, 9)

    shown = spans_over(event, (at_ms(0), 500), (at_ms(7), 500), (at_ms(9), 1500))

    assert shown == [(0, 500), (500, 1000), (1000, 2000)]


def test_pictures_without_boxes_have_no_overlay(camera):
    event = detect(camera, after(0)).event

    assert spans_over(event, (at_ms(-5), 60_000)) == []


def test_the_page_draws_overlays_on_the_clip_and_not_on_a_picture(admin, camera):
    event = seen_at(camera, 0)
    Event.objects.filter(pk=event.pk).update(clip_size_bytes=9, clip_created_at=timezone.now())
    ClipWork.objects.update(state="done", shows=[[at_ms(-5), 10_000]])
    browser = browser_of(admin)

    page = html.unescape(browser.get(f"/events/{event.pk}").content.decode())
    picture = browser.get(f"/events/{event.pk}?still={event.detections.get().pk}").content.decode()

    assert re.search(r'data-from-ms="5000" data-to-ms="6000" hidden[^>]*>\s*<rect x="10.0" y="200.0"', page)
    assert "data-from-ms" not in picture
