"""The page of one event: its pictures and clip, its neighbours, its marks."""

from __future__ import annotations

import html
import re

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from media_serving.clips.footage import NoFootage
from media_serving.models import ClipWork, Event
from media_serving.pages import event_stills
from nvr.audit.models import AuditEntry
from tests.factories import folder_of, jpeg, make_user, put
from tests.media_serving.evidence import after, detect
from tests.media_serving.test_events_page import browser_of

BOX = {"bbox_x": 10, "bbox_y": 200, "bbox_width": 40, "bbox_height": 90, "frame_width": 768, "frame_height": 576}


@pytest.fixture
def browser(admin: User) -> Client:
    return browser_of(admin)


@pytest.fixture
def event(camera) -> Event:
    return detect(camera, after(0), **BOX).event


def page_of(client: Client, event: Event, query: str = "") -> str:
    response = client.get(f"/events/{event.pk}{query}")
    assert response.status_code == 200
    return html.unescape(response.content.decode())


def test_a_picture_has_its_boxes_with_label_and_confidence(browser, camera, event):
    detect(camera, after(0), object_class="car", confidence=0.613)

    page = page_of(browser, event)

    assert 'viewBox="0 0 768 576"' in page
    assert '<rect x="10.0" y="200.0" width="40.0" height="90.0"' in page
    assert "person 80%" in page and "car 61%" in page
    assert page.count("data-still") == 1  # two detections, one picture


def test_the_url_selects_a_picture(browser, camera, event):
    later = detect(camera, after(5), confidence=0.3)

    assert f'<img src="/api/media/detections/{later.pk}' in page_of(browser, event, f"?still={later.pk}")
    assert f'<img src="/api/media/detections/{later.pk}?width=1280"' not in page_of(browser, event)
    page_of(browser, event, "?still=nonsense")


def test_a_clip_is_played_and_can_be_downloaded(browser, event):
    Event.objects.filter(pk=event.pk).update(clip_size_bytes=9, clip_created_at=timezone.now())

    page = page_of(browser, event)

    assert f'poster="/api/media/detections/{event.detections.get().pk}?width=1280"' in page
    assert f'data-player data-src="/api/media/clips/{event.pk}_clip.mp4' in page
    assert re.search(rf"/api/media/clips/{event.pk}_clip\.mp4\?v=\d+&download=1", page)


@pytest.mark.parametrize(
    ("state", "reason", "message"),
    [
        ("waiting", "", "The clip is waiting."),
        ("failed", "There is no footage.", "The clip could not be made.</b> There is no footage."),
    ],
)
def test_the_state_of_the_clip_is_shown(browser, event, state, reason, message):
    ClipWork.objects.update(state=state, reason=reason)

    assert message in page_of(browser, event)


def test_a_form_regenerates_the_clip(browser, camera, event):
    put(folder_of(camera), "a.jpg", jpeg())
    ClipWork.objects.update(state="failed", reason="ffmpeg did not end.")
    address = f"/events/{event.pk}/clip?camera_id=front_door"
    assert f'action="{address}"' in page_of(browser, event, "?camera_id=front_door")

    response = browser.post(address)

    assert response["Location"] == f"/events/{event.pk}?camera_id=front_door"
    assert ClipWork.objects.get(event=event).state == "waiting"
    assert "Regenerate clip" not in page_of(browser, event)


def test_the_reason_is_shown_if_a_clip_cannot_be_created(browser, event):
    page = html.unescape(browser.post(f"/events/{event.pk}/clip", follow=True).content.decode())

    assert NoFootage().detail in page
    assert ClipWork.objects.get(event=event).request_number == 1


def test_creating_a_clip_requires_the_change_permission(event, member):
    assert browser_of(make_user("viewer", "cameras.view_all")).post(f"/events/{event.pk}/clip").status_code == 403
    assert browser_of(member).post(f"/events/{event.pk}/clip").status_code == 404


def test_neighbours_match_the_same_filter(browser, camera, family_camera):
    oldest, between, newest = (
        detect(place, after(seconds)).event for place, seconds in ((camera, 0), (family_camera, 100), (camera, 200))
    )

    everywhere = page_of(browser, oldest)
    assert f'href="/events/{between.pk}" rel="prev"' in everywhere
    assert 'rel="next"' not in everywhere
    assert f'href="/events/{newest.pk}?camera_id=front_door" rel="prev"' in page_of(
        browser, oldest, "?camera_id=front_door"
    )


def test_neighbours_with_the_same_timestamp_are_not_skipped(browser, camera, family_camera):
    first, second = detect(camera, after(0)).event, detect(family_camera, after(0)).event

    assert f'href="/events/{second.pk}" rel="prev"' in page_of(browser, first)
    assert f'href="/events/{first.pk}" rel="next"' in page_of(browser, second)


def test_forms_set_flags_and_notes_with_audit_entries(browser, event):
    address = f"/events/{event.pk}?reviewed=false"

    assert browser.post(address, {"reviewed": "true"})["Location"] == address
    browser.post(address, {"keep": "true"})
    browser.post(address, {"notes": "the postman\r\nagain"})

    event.refresh_from_db()
    assert (event.reviewed, event.keep, event.notes) == (True, True, "the postman\nagain")
    assert AuditEntry.objects.filter(action="event_updated", target_pk=event.pk).count() == 3


def test_rejected_notes_are_shown_again_with_the_reason(browser, event):
    response = browser.post(f"/events/{event.pk}", {"notes": "x" * 5001})

    assert response.status_code == 422
    assert "at most 5000 characters" in response.content.decode()
    assert "x" * 5001 in response.content.decode()
    assert browser.post(f"/events/{event.pk}", {"notes": "a\x07"}).status_code == 422
    event.refresh_from_db()
    assert event.notes == ""


def test_an_invalid_flag_is_rejected(browser, event):
    assert browser.post(f"/events/{event.pk}", {"reviewed": "perhaps"}).status_code == 422


def test_users_who_may_not_change_events_get_no_form(event):
    viewer = browser_of(make_user("viewer", "cameras.view_all"))

    assert "<textarea" not in page_of(viewer, event)
    assert viewer.post(f"/events/{event.pk}", {"reviewed": "true"}).status_code == 403


def test_invisible_events_are_not_found(member, event, family_camera):
    mine = detect(family_camera, after(1)).event
    client = browser_of(member)

    assert client.get(f"/events/{event.pk}").status_code == 404
    assert client.post(f"/events/{event.pk}", {"reviewed": "true"}).status_code == 404
    assert client.get("/events/99999999999999999999").status_code == 404
    assert f"/events/{event.pk}" not in page_of(client, mine)


def test_the_number_of_queries_does_not_grow_with_the_pictures(browser, camera, event, django_assert_num_queries):
    with django_assert_num_queries(8):  # session, user, event, newer, older, detections, several, best
        page_of(browser, event)
    for second in range(1, 20):
        detect(camera, after(second))
    with django_assert_num_queries(8):
        page_of(browser, event)


def test_the_pictures_of_a_long_event_are_paginated_without_duplicates(browser, camera, event, monkeypatch):
    monkeypatch.setattr(event_stills, "MAX_STILLS", 2)
    monkeypatch.setattr(event_stills, "MAX_DETECTIONS", 4)
    for second in (0, 0, 1, 1, 2, 3, 3, 3, 3, 4):
        detect(camera, after(second), file_path=f"{camera.folder_path}/{second}.jpg")

    page, times = page_of(browser, event), []
    while following := re.search(r'rel="next" href="[^"]*(\?pictures=\d+)"', page):
        times += still_times(page)
        assert "shown, there are more" in page
        page = page_of(browser, event, following[1])

    assert [*times, *still_times(page)] == ["12:00:00", "12:00:00", "12:00:01", "12:00:02", "12:00:03", "12:00:04"]
    assert "First pictures" in page and "Later pictures" not in page
    assert browser.get(f"/events/{event.pk}?pictures=x").status_code == 422


def still_times(page: str) -> list[str]:
    return re.findall(r'class="file-caption"><time[^>]*>([^<]+)<', page)
