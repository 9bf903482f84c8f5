"""`/api/events`: to be read, kept, annotated and marked as reviewed."""

from __future__ import annotations

import pytest
from django.utils import timezone

from cameras import registry
from media_serving.models import Event
from nvr.audit.models import AuditEntry
from tests.conftest import client_of
from tests.factories import make_user
from tests.media_serving.evidence import LONG_AGO, after, detect

URL = "/api/events"


def ids(response):
    assert response.status_code == 200, response.content
    return [item["id"] for item in response.json()["items"]]


def patch(client, event, body):
    return client.patch(f"{URL}/{event.pk}", body, format="json")


@pytest.fixture
def event(camera):
    """From 12:00:00 to 12:00:20, a car and then a person."""
    detect(camera, after(0), object_class="car", confidence=0.4)
    return detect(camera, after(20), confidence=0.9).event


@pytest.fixture
def other(family_camera):
    """From 12:10:00 on, on the family's camera."""
    return detect(family_camera, after(600), confidence=0.6).event


# Reading


def test_an_event_has_the_documented_keys(api, event):
    assert api.get(f"{URL}/{event.pk}").json() == {
        "id": event.pk,
        "camera_id": "front_door",
        "started_at": "2026-01-31T12:00:00.000Z",
        "ended_at": "2026-01-31T12:00:20.000Z",
        "last_detected_at": "2026-01-31T12:00:20.000Z",
        "keep": False,
        "object_classes": ["car", "person"],
        "detection_count": 2,
        "clip_url": None,
        "clip_state": "waiting",
        "clip_reason": None,
        "reviewed": False,
        "notes": "",
    }


def test_the_list_contains_the_same_items_newest_first(api, event, other):
    response = api.get(URL)

    assert ids(response) == [other.pk, event.pk]
    assert response.json()["items"][1] == api.get(f"{URL}/{event.pk}").json()
    assert response.json()["pagination"] == {"next_cursor": None, "has_more": False, "limit": 50}


def test_an_open_event_has_no_end(api, camera):
    event = detect(camera, timezone.now()).event

    assert api.get(f"{URL}/{event.pk}").json()["ended_at"] is None


def test_the_clip_url_is_set_once_there_is_a_clip(api, event):
    Event.objects.filter(pk=event.pk).update(clip_size_bytes=99, clip_created_at=timezone.now())

    assert api.get(f"{URL}/{event.pk}").json()["clip_url"] == f"/api/media/clips/{event.pk}_clip.mp4"


@pytest.mark.parametrize(
    ("start", "end", "found"),
    [
        ("12:00:00", "12:00:20", True),
        ("12:00:05", "12:00:06", True),
        ("11:00:00", "13:00:00", True),
        ("11:00:00", "12:00:00", True),
        ("12:00:20", "13:00:00", True),
        (None, "12:00:10", True),
        ("12:00:10", None, True),
        ("11:00:00", "11:59:59.999", False),
        ("12:00:20.001", "13:00:00", False),
        ("12:00:20.001", None, False),
        (None, "11:59:59.999", False),
    ],
)
def test_a_time_range_means_overlap(api, event, start, end, found):
    query = {name: f"2026-01-31T{time}Z" for name, time in (("from", start), ("to", end)) if time}

    assert ids(api.get(URL, query)) == ([event.pk] if found else [])


def test_an_orphan_without_an_end_does_not_match_everything_after_it(api, camera):
    Event.objects.create(camera=camera, started_at=LONG_AGO, last_detected_at=after(5), detection_count=1)

    assert ids(api.get(URL, {"from": "2026-02-01T00:00:00Z"})) == []
    assert len(ids(api.get(URL))) == 1


def test_filters_narrow_the_list(api, event, other):
    Event.objects.filter(pk=other.pk).update(reviewed=True)

    assert ids(api.get(URL, {"camera_id": "front_door"})) == [event.pk]
    assert ids(api.get(URL, {"camera_id": str(event.camera.uuid)})) == [event.pk]
    assert ids(api.get(URL, {"camera_id": "nowhere"})) == []
    assert ids(api.get(URL, {"object_class": "car"})) == [event.pk]
    assert ids(api.get(URL, {"object_class": "person"})) == [other.pk, event.pk]
    assert ids(api.get(URL, {"object_class": "fox"})) == []
    assert ids(api.get(URL, {"min_confidence": "0.7"})) == [event.pk]
    assert ids(api.get(URL, {"reviewed": "true"})) == [other.pk]
    assert ids(api.get(URL, {"reviewed": "false"})) == [event.pk]


def test_class_and_confidence_must_match_the_same_detection(api, event):
    assert ids(api.get(URL, {"object_class": "car", "min_confidence": "0.5"})) == []
    assert ids(api.get(URL, {"object_class": "person", "min_confidence": "0.5"})) == [event.pk]


@pytest.mark.parametrize(
    ("name", "value"),
    [("reviewed", "yes"), ("reviewed", ""), ("from", "2026-01-31T12:00:00"), ("min_confidence", "2"), ("limit", "-1")],
)
def test_an_invalid_filter_value_is_422_and_names_the_field(api, name, value):
    response = api.get(URL, {name: value})

    assert response.status_code == 422
    assert [error["field"] for error in response.json()["errors"]] == [name]


def test_paging_loses_and_repeats_nothing_when_timestamps_are_equal(api, camera, family_camera):
    made = {detect(each, after(n * 100)).event_id for n in range(5) for each in (camera, family_camera)}

    seen, query = [], {"limit": 3}
    while query is not None:
        response = api.get(URL, query)
        seen += ids(response)
        cursor = response.json()["pagination"]["next_cursor"]
        query = {"limit": 3, "cursor": cursor} if cursor else None

    assert len(seen) == 10
    assert set(seen) == made


def test_the_number_of_queries_does_not_grow_with_the_list(api, camera, event, django_assert_num_queries):
    api.get(URL)
    with django_assert_num_queries(2):  # the key, the rows
        assert len(ids(api.get(URL))) == 1
    for number in range(1, 10):
        detect(camera, after(number * 1000))
    with django_assert_num_queries(2):
        assert len(ids(api.get(URL))) == 10
    with django_assert_num_queries(3):  # the key, the event, its detections
        api.get(f"{URL}/{event.pk}/detections")


def test_the_detections_of_an_event_are_paginated(api, camera, event, other):
    newest = detect(camera, after(25))

    first = api.get(f"{URL}/{event.pk}/detections", {"limit": 2})
    cursor = first.json()["pagination"]["next_cursor"]
    second = api.get(f"{URL}/{event.pk}/detections", {"limit": 2, "cursor": cursor})

    assert ids(first)[0] == newest.pk
    assert len(ids(first) + ids(second)) == 3
    assert first.json()["items"][0] == api.get(f"/api/detections/{newest.pk}").json()
    assert api.get(f"{URL}/{event.pk}/detections", {"limit": "x"}).status_code == 422


# Changing


def test_keep_reviewed_and_notes_can_be_changed_with_audit_entries(api, admin, event):
    response = patch(api, event, {"keep": True, "reviewed": True, "notes": "The neighbour's cat.\nAgain."})

    assert response.status_code == 200
    body = response.json()
    assert (body["keep"], body["reviewed"], body["notes"]) == (True, True, "The neighbour's cat.\nAgain.")
    assert body == api.get(f"{URL}/{event.pk}").json()
    entry = AuditEntry.objects.get(action="event_updated")
    assert (entry.actor, entry.target_type, entry.target_pk) == (admin, "event", event.pk)
    assert entry.changes == {
        "keep": [False, True],
        "reviewed": [False, True],
        "notes": ["", "The neighbour's cat.\nAgain."],
    }


def test_a_change_that_changes_nothing_is_not_recorded(api, event):
    for body in ({}, {"keep": False}, {"notes": "", "reviewed": False}):
        assert patch(api, event, body).status_code == 200

    assert not AuditEntry.objects.filter(action="event_updated").exists()


def test_detections_cannot_be_changed(api, event):
    patch(api, event, {"started_at": "2020-01-01T00:00:00Z", "detection_count": 99, "object_classes": ["fox"]})

    event.refresh_from_db()
    assert (event.started_at, event.detection_count, event.object_classes) == (LONG_AGO, 2, ["car", "person"])


@pytest.mark.parametrize(
    "body",
    [
        {"keep": None},
        {"keep": "true"},
        {"reviewed": 1},
        {"notes": None},
        {"notes": 5},
        {"notes": "a\0b"},
        {"notes": "x" * 5001},
        [],
        "keep",
    ],
)
def test_an_invalid_value_is_422(api, event, body):
    response = patch(api, event, body)

    assert response.status_code == 422
    assert response.json()["errors"]


# Who may


def test_only_events_of_visible_cameras_are_found(member, outsider, event, other):
    sees, sees_nothing = client_of(member), client_of(outsider)

    assert ids(sees.get(URL)) == [other.pk]
    assert ids(sees.get(URL, {"camera_id": "front_door"})) == []
    assert ids(sees_nothing.get(URL)) == []
    for client, hidden in ((sees, event), (sees_nothing, other)):
        assert client.get(f"{URL}/{hidden.pk}").status_code == 404
        assert client.get(f"{URL}/{hidden.pk}/detections").status_code == 404
    assert sees.get(f"{URL}/{other.pk}").status_code == 200
    assert len(ids(sees.get(f"{URL}/{other.pk}/detections"))) == 1


def test_changing_requires_the_permission_and_a_visible_camera(member, family, event, other):
    reviewer = client_of(make_user("reviewer", "media_serving.change_event", groups=(family,)))

    assert patch(client_of(member), other, {"keep": True}).status_code == 403
    assert patch(reviewer, event, {"keep": True}).status_code == 404
    assert patch(reviewer, other, {"keep": True}).status_code == 200


def test_an_anonymous_request_is_401(stranger, event):
    for response in (
        stranger.get(URL),
        stranger.get(f"{URL}/{event.pk}"),
        stranger.get(f"{URL}/{event.pk}/detections"),
        patch(stranger, event, {"keep": True}),
    ):
        assert response.status_code == 401


def test_events_of_a_trashed_camera_are_not_found(api, admin, camera, event):
    registry.trash_camera(admin, camera)

    assert ids(api.get(URL)) == []
    assert api.get(f"{URL}/{event.pk}").status_code == 404
    assert patch(api, event, {"keep": True}).status_code == 404


def test_an_unknown_event_or_method_returns_json(api, db):
    for response, status in ((api.get(f"{URL}/7"), 404), (api.get(f"{URL}/{'9' * 40}"), 404), (api.delete(URL), 405)):
        assert (response.status_code, response["Content-Type"]) == (status, "application/problem+json")


def test_staff_see_audit_entries_of_visible_events(family, api, event, other):
    for each in (event, other):
        patch(api, each, {"keep": True})
    staff = client_of(make_user("guard", is_staff=True, groups=(family,)))

    entries = staff.get("/api/audit", {"action": "event_updated"}).json()["items"]

    assert [entry["target"] for entry in entries] == [f"event {other.pk}"]
