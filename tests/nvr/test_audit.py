"""The record: append-only, complete, and read by staff about what they may see."""

from __future__ import annotations

import ast
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from django.conf import settings
from django.contrib.auth.models import Group, User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from rest_framework.test import APIClient

from cameras import registry
from cameras.models import Camera
from nvr.audit.models import AppendOnly, AuditEntry, known_actions
from nvr.audit.record import record
from tests.conftest import client_of
from tests.factories import make_camera, make_user

AUDIT = "/api/audit"
pytestmark = pytest.mark.django_db


def items(client: APIClient, query: str = "") -> list[dict[str, object]]:
    response = client.get(f"{AUDIT}{query}")
    assert response.status_code == 200, response.content
    return response.json()["items"]


def test_an_entry_has_actor_action_time_and_address(api: APIClient, admin: User, camera: Camera) -> None:
    api.patch("/api/cameras/front_door", {"notes": "x"}, format="json", REMOTE_ADDR="192.0.2.7")

    (entry,) = items(api, "?action=camera_updated")
    assert entry.keys() == {"id", "at", "actor", "action", "target_type", "target", "changes", "address"}
    assert entry["actor"] == "chief"
    assert entry["target"] == "Front Door"
    assert entry["changes"] == {"notes": ["", "x"]}
    assert entry["address"] == "192.0.2.7"
    at = datetime.strptime(str(entry["at"]), "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=UTC)
    assert timezone.now() - at < timedelta(minutes=1)
    assert len(str(entry["at"])) == len("2026-01-01T00:00:00.000Z")


def test_entries_cannot_be_changed_or_deleted(camera: Camera) -> None:
    entry = record(None, "camera_updated", camera)

    with pytest.raises(AppendOnly):
        entry.save()
    with pytest.raises(AppendOnly):
        entry.delete()
    with pytest.raises(AppendOnly):
        AuditEntry.objects.update(action="x")
    with pytest.raises(AppendOnly):
        AuditEntry.objects.all().delete()
    with pytest.raises(AppendOnly):
        AuditEntry.objects.bulk_update([entry], ["action"])


def test_the_actors_name_outlives_the_actor(api: APIClient, camera: Camera) -> None:
    user = make_user("kim")
    record(user, "camera_updated", camera)

    user.delete()

    assert items(api, "?action=camera_updated")[0]["actor"] == "kim"


def test_an_entry_outlives_its_target(api: APIClient, camera: Camera) -> None:
    registry.trash_camera(None, camera)
    registry.purge_camera(None, camera)

    assert [entry["action"] for entry in items(api)[:2]] == ["camera_purged", "camera_deleted"]
    assert items(api)[0]["target"] == "Front Door"


def test_secrets_are_masked_by_field_name(camera: Camera) -> None:
    entry = record(
        None, "x", camera, {"rtsp_password": ("hunter2", None), "api_key": (None, "hunter2"), "name": ("a", "b")}
    )

    assert entry.changes == {"rtsp_password": ["***", None], "api_key": [None, "***"], "name": ["a", "b"]}


@pytest.mark.parametrize(("method", "status"), [("post", 405), ("put", 405), ("patch", 405), ("delete", 405)])
def test_the_audit_api_is_read_only(api: APIClient, method: str, status: int) -> None:
    assert getattr(api, method)(AUDIT, {}, format="json").status_code == status


def test_staff_see_entries_about_visible_cameras(family: Group, family_camera: Camera, camera: Camera) -> None:
    for one in (camera, family_camera):
        registry.update_camera(None, one, {"notes": "x"})
    mate = client_of(make_user("mate", groups=(family,), is_staff=True))
    watcher = client_of(make_user("watcher", "cameras.view_all", is_staff=True))
    lone = client_of(make_user("lone", is_staff=True))

    assert [entry["target"] for entry in items(mate)] == ["Back Yard"]
    assert [entry["target"] for entry in items(watcher)] == ["Back Yard", "Front Door"]
    assert items(lone) == []
    registry.trash_camera(None, family_camera)
    assert [entry["action"] for entry in items(mate)] == ["camera_deleted", "camera_updated"]


def test_only_superusers_see_entries_about_keys_and_passwords(api: APIClient) -> None:
    staff = client_of(make_user("s", "cameras.view_all", is_staff=True))

    assert "api_key_issued" in {entry["action"] for entry in items(api)}
    assert items(staff) == []


def test_pages_are_newest_first_and_lose_and_repeat_nothing(api: APIClient, camera: Camera) -> None:
    moment = timezone.now()
    for number in range(25):
        AuditEntry.objects.create(
            at=moment - timedelta(seconds=number // 10), actor_name="x", action=f"a{number}", target_type="camera",
            target_pk=camera.pk, target_name="x",
        )  # fmt: skip
    everything = [entry["id"] for entry in items(api, "?limit=1000")]
    assert everything == [entry.pk for entry in AuditEntry.objects.all()]

    walked, query = [], "?limit=7"
    while query:
        body = api.get(f"{AUDIT}{query}").json()
        walked += [entry["id"] for entry in body["items"]]
        assert body["pagination"].keys() == {"next_cursor", "has_more", "limit"}
        assert body["pagination"]["has_more"] is bool(body["pagination"]["next_cursor"])
        record(None, "meanwhile", camera)
        query = f"?limit=7&cursor={body['pagination']['next_cursor']}" if body["pagination"]["has_more"] else ""

    assert walked == everything


@pytest.mark.parametrize(
    "query",
    [
        "limit=0",
        "limit=1001",
        "limit=x",
        "cursor=x",
        "cursor=",
        "cursor=WzFd",
        "cursor=%00",
        "cursor=é",
        "cursor=" + "A" * 5000,
        "cursor=WyIyMDI2LTAxLTAxVDAwOjAwOjAwIiwxXQ",
        "cursor=bnVsbA",
    ],
)
def test_an_invalid_limit_or_cursor_is_422(api: APIClient, query: str) -> None:
    response = api.get(f"{AUDIT}?{query}")

    assert response.status_code == 422
    assert response.json()["errors"][0]["field"] == query.split("=")[0]


def test_a_page_costs_a_fixed_number_of_queries(api: APIClient, django_assert_max_num_queries) -> None:
    for number in range(30):
        record(None, "x", make_camera(f"cam{number}"))

    with django_assert_max_num_queries(5):
        items(api)


def recorded_actions(source: str) -> set[str]:
    """The texts that `source` gives `record` as the action, itself or from a table called AUDIT_ACTIONS."""
    nodes = list(ast.walk(ast.parse(source)))
    calls = [node for node in nodes if isinstance(node, ast.Call)]
    given = [call.args[1] for call in calls if getattr(call.func, "id", "") == "record" and len(call.args) > 1]
    tables = [
        node for node in nodes if isinstance(node, ast.AnnAssign) and getattr(node.target, "id", "") == "AUDIT_ACTIONS"
    ]
    given += [text for table in tables if isinstance(table.value, ast.Dict) for text in table.value.values]
    return {part.value for node in given for part in ast.walk(node) if isinstance(part, ast.Constant)}


def test_every_recorded_action_is_registered_and_no_other() -> None:
    apps = ("nvr", "cameras", "media_serving", "reviewer")
    sources = [path for app in apps for path in Path(settings.BASE_DIR, app).rglob("*.py")]

    recorded = set().union(*(recorded_actions(path.read_text()) for path in sources))

    assert recorded == set(known_actions())


def test_the_admin_filters_do_not_scan_the_table(admin: User, camera: Camera) -> None:
    record(None, "camera_updated", camera)
    record(None, "camera_deleted", camera)
    browser = Client()
    browser.force_login(admin)

    with CaptureQueriesContext(connection) as queries:
        page = browser.get("/admin/audit/auditentry/?action=camera_deleted&target_type=camera").content.decode()

    assert not any("DISTINCT" in query["sql"] for query in queries)
    assert ">camera purged</a>" in page
    assert "1 audit entry" in page


def test_the_admin_shows_the_timestamp(admin: User, camera: Camera) -> None:
    entry = record(None, "camera_updated", camera)
    browser = Client()
    browser.force_login(admin)

    page = browser.get(f"/admin/audit/auditentry/{entry.pk}/change/").content.decode()

    assert f"{entry.at:%Y-%m-%d %H:%M:%S}" in page
