"""Many events at once: by the API, and by the list's form, with the same function."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.db import connection
from django.test import Client

from media_serving.models import Detection, Event
from nvr.audit.models import AuditEntry
from tests.conftest import client_of
from tests.factories import make_user
from tests.media_serving.evidence import after, detect

BATCH = "/api/events/batch"
CHANGE = "media_serving.change_event"


@pytest.fixture
def events(camera: Any) -> list[Event]:
    return [detect(camera, after(number * 600)).event for number in range(3)]


def reviewed() -> dict[int, bool]:
    return dict(Event.objects.values_list("pk", "reviewed"))


def test_each_event_has_its_own_result(api: Any, events: list[Event]) -> None:
    first, second, third = (event.pk for event in events)
    Event.objects.filter(pk=second).update(reviewed=True)

    response = api.post(BATCH, {"ids": [first, second, 999_999], "reviewed": True}, format="json")

    assert response.status_code == 207
    assert response.json() == {
        "results": [
            {"id": first, "status": 200, "changed": True},
            {"id": second, "status": 200, "changed": False},
            {"id": 999_999, "status": 404, "changed": False},
        ]
    }
    assert reviewed() == {first: True, second: True, third: False}
    assert [entry.target_pk for entry in AuditEntry.objects.filter(action="event_updated")] == [first]


def test_invisible_events_are_not_found(events: list[Event], family_camera: Any, family: Group) -> None:
    theirs = detect(family_camera, after(0)).event
    editor = make_user("ed", CHANGE, groups=(family,))

    response = client_of(editor).post(BATCH, {"ids": [events[0].pk, theirs.pk], "keep": True}, format="json")

    assert [(row["status"], row["changed"]) for row in response.json()["results"]] == [(404, False), (200, True)]
    assert not Event.objects.get(pk=events[0].pk).keep


@contextmanager
def purged_after_first_read(event: Event) -> Iterator[None]:
    """The event goes right after the request has read events for the first time."""
    is_gone = False

    def purge(execute: Any, sql: str, *rest: Any) -> Any:
        nonlocal is_gone
        answer = execute(sql, *rest)
        if not is_gone and sql.startswith("SELECT") and 'FROM "media_serving_event"' in sql:
            is_gone = True
            Detection.objects.filter(event=event).delete()
            Event.objects.filter(pk=event.pk).delete()
        return answer

    with connection.execute_wrapper(purge):
        yield
    assert is_gone and not Event.objects.filter(pk=event.pk).exists()


def test_an_event_purged_before_the_update_is_404(api: Any, events: list[Event]) -> None:
    first, second = events[0].pk, events[1].pk

    with purged_after_first_read(events[0]):
        response = api.post(BATCH, {"ids": [first, second], "reviewed": True}, format="json")

    assert response.status_code == 207
    assert [(row["id"], row["status"]) for row in response.json()["results"]] == [(first, 404), (second, 200)]
    assert reviewed()[second]


def test_one_event_that_is_purged_meanwhile_is_404(api: Any, admin: Any, events: list[Event]) -> None:
    browser = Client()
    browser.force_login(admin)
    first, second = events[0], events[1]

    with purged_after_first_read(first):
        assert api.patch(f"/api/events/{first.pk}", {"keep": True}, format="json").status_code == 404
    with purged_after_first_read(second):
        assert browser.post(f"/events/{second.pk}", {"keep": "true"}).status_code == 404


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"ids": [1]},
        {"ids": [], "reviewed": True},
        {"ids": ["one"], "reviewed": True},
        {"ids": [0], "reviewed": True},
        {"ids": list(range(1, 502)), "reviewed": True},
        {"ids": 1, "reviewed": True},
        {"ids": [1], "reviewed": "perhaps"},
        {"ids": [1], "reviewed": True, "notes": "x"},
        {"ids": [1], "review": True},
    ],
)
def test_an_invalid_request_is_422_and_changes_nothing(api: Any, events: list[Event], body: dict[str, Any]) -> None:
    assert api.post(BATCH, body, format="json").status_code == 422
    assert not any(reviewed().values())


def test_the_form_of_the_list_works_without_javascript(admin: Any, events: list[Event]) -> None:
    browser = Client()
    browser.force_login(admin)
    first, second, third = (event.pk for event in events)

    page = browser.post("/events?reviewed=false", {"ids": [first, second], "reviewed": "true"}, follow=True)

    assert page.redirect_chain == [("/events?reviewed=false", 302)]
    assert "2 events: reviewed." in page.content.decode()
    assert reviewed() == {first: True, second: True, third: False}
    assert browser.post("/events", {"reviewed": "true"}).status_code == 422
    for makes_no_sense in ("x", "-1", "²", "9" * 5000):
        assert browser.post("/events", {"ids": [makes_no_sense], "reviewed": "true"}).status_code == 422
