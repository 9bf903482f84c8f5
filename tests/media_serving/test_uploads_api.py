"""`GET /api/uploads` and `POST /api/uploads/{id}/retry`: the ledger, for staff."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from celery import current_app
from django.contrib.auth.models import Group, User
from django.utils import timezone
from kombu.exceptions import OperationalError
from rest_framework.test import APIClient

from cameras import registry
from cameras.models import Camera
from media_serving.ingest import dispatch
from media_serving.ingest import retry as retrying
from media_serving.ingest.retry import retry
from media_serving.models import Upload
from nvr.audit.models import AuditEntry
from nvr.errors import NotFound
from tests.conftest import client_of
from tests.factories import make_user
from tests.media_serving.ledger import enter

UPLOADS = "/api/uploads"
KEYS = [
    *("id", "camera_id", "path", "state", "reason", "attempts", "size_bytes", "received_at", "captured_at"),
    *("capture_clue", "capture_note"),
]


@pytest.fixture
def guard(family: Group) -> User:
    """Staff who sees only the family's cameras, and may have files read again."""
    return make_user("guard", "media_serving.change_upload", groups=(family,), is_staff=True)


def ids(response) -> list[int]:
    assert response.status_code == 200, response.content
    return [item["id"] for item in response.json()["items"]]


def again(client: APIClient, upload: Upload):
    return client.post(f"{UPLOADS}/{upload.pk}/retry")


def test_an_upload_has_these_keys_and_times_in_milliseconds(api: APIClient, camera: Camera) -> None:
    at = datetime(2026, 1, 31, 12, 0, 0, 123456, tzinfo=UTC)
    times = {"received_at": at, "captured_at": at, "capture_clue": "file", "capture_note": "EXIF is blank."}
    upload = enter(camera, "2026/a b.jpg", state="failed", attempts=3, **times)

    body = api.get(UPLOADS).json()

    assert list(body["items"][0]) == KEYS
    assert body["items"][0] == {
        "id": upload.pk,
        "camera_id": "front_door",
        "path": "2026/a b.jpg",
        "state": "failed",
        "reason": "It could not be read: MemoryError.",
        "attempts": 3,
        "size_bytes": 5,
        "received_at": "2026-01-31T12:00:00.123Z",
        "captured_at": "2026-01-31T12:00:00.123Z",
        "capture_clue": "file",
        "capture_note": "EXIF is blank.",
    }
    assert body["pagination"] == {"next_cursor": None, "has_more": False, "limit": 50}


def test_a_name_that_is_not_utf_8_has_replacement_characters(api: APIClient, camera: Camera) -> None:
    enter(camera, b"caf\xe9\n.jpg")

    assert api.get(UPLOADS).json()["items"][0]["path"] == "caf\ufffd\n.jpg"


def test_paging_loses_and_repeats_nothing_when_many_arrived_at_once(api: APIClient, camera: Camera) -> None:
    now = timezone.now()
    made = [enter(camera, f"{number}.jpg", received_at=now - timedelta(seconds=number // 3)) for number in range(7)]

    seen, cursor = [], {}
    while True:
        body = api.get(UPLOADS, {"limit": 2, **cursor}).json()
        seen += [item["id"] for item in body["items"]]
        if not body["pagination"]["has_more"]:
            break
        cursor = {"cursor": body["pagination"]["next_cursor"]}

    assert sorted(seen) == sorted(upload.pk for upload in made)
    assert seen[0] == made[2].pk


def test_filters_narrow_by_camera_and_state(api: APIClient, camera: Camera, family_camera: Camera) -> None:
    waiting = enter(camera, "a.jpg")
    rejected = enter(camera, "b.txt", state="rejected")
    other = enter(family_camera, "c.jpg", state="rejected")

    assert ids(api.get(UPLOADS, {"camera_id": "front_door"})) == [rejected.pk, waiting.pk]
    assert ids(api.get(UPLOADS, {"camera_id": str(family_camera.uuid)})) == [other.pk]
    assert ids(api.get(UPLOADS, {"state": "rejected"})) == [other.pk, rejected.pk]
    assert ids(api.get(UPLOADS, {"state": "rejected", "camera_id": "front_door"})) == [rejected.pk]
    assert ids(api.get(UPLOADS, {"camera_id": "nobody"})) == []


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("state", "lost"),
        ("state", "Done"),
        ("state", ""),
        ("state", "done\0"),
        ("camera_id", ""),
        ("camera_id", "a\0"),
        ("limit", "0"),
        ("limit", "1001"),
        ("limit", "x"),
        ("cursor", "x"),
        ("cursor", "WyJ4IiwxXQ"),
    ],
)
def test_an_invalid_filter_is_422_and_names_the_field(api: APIClient, name: str, value: str) -> None:
    response = api.get(UPLOADS, {name: value})

    assert response.status_code == 422
    assert [error["field"] for error in response.json()["errors"]] == [name]


def test_staff_see_the_uploads_of_visible_cameras(guard: User, camera: Camera, family_camera: Camera) -> None:
    enter(camera)
    theirs = enter(family_camera)

    assert ids(client_of(guard).get(UPLOADS)) == [theirs.pk]
    assert ids(client_of(guard).get(UPLOADS, {"camera_id": "front_door"})) == []
    assert client_of(make_user("boss", "cameras.view_all")).get(UPLOADS).status_code == 403


def test_uploads_of_trashed_cameras_are_not_listed(api: APIClient, admin: User, camera: Camera) -> None:
    upload = enter(camera, state="failed")
    registry.trash_camera(admin, camera)

    assert ids(api.get(UPLOADS)) == []
    assert again(api, upload).status_code == 404


def test_the_number_of_queries_does_not_grow_with_the_page(
    api: APIClient, camera: Camera, django_assert_num_queries
) -> None:
    api.get(UPLOADS)  # the key notes its first use
    for number in range(20):
        enter(camera, f"{number}.jpg")

    with django_assert_num_queries(2):  # the key with its user, and the rows
        assert len(ids(api.get(UPLOADS))) == 20


@pytest.mark.parametrize("state", ["rejected", "failed"])
def test_a_retried_upload_waits_with_all_its_attempts(api: APIClient, admin: User, camera: Camera, state: str) -> None:
    upload = enter(camera, state=state, attempts=3, retry_at=timezone.now() + timedelta(hours=1))

    response = again(api, upload)

    assert response.status_code == 202
    body = response.json()
    assert list(body) == KEYS
    assert (body["state"], body["reason"], body["attempts"]) == ("waiting", "", 0)
    assert list(Upload.objects.due(timezone.now())) == [upload]
    entry = AuditEntry.objects.get(action="upload_retried")
    assert (entry.actor, entry.target_type, entry.target_pk) == (admin, "upload", upload.pk)
    assert entry.changes == {"state": [state, "waiting"], "reason": [upload.reason, ""]}


def test_a_task_is_sent_at_once_and_an_unavailable_broker_is_tolerated(
    api: APIClient, camera: Camera, monkeypatch: pytest.MonkeyPatch, django_capture_on_commit_callbacks
) -> None:
    sent_tasks: list[str] = []

    def send_task(name: str, args: list[object], queue: str, expires: float) -> None:
        sent_tasks.append(f"{name} to {queue}")
        raise OperationalError

    monkeypatch.setattr(retrying, "dispatcher", dispatch.Dispatcher())
    monkeypatch.setattr(current_app, "send_task", send_task)
    with django_capture_on_commit_callbacks(execute=True):
        response = again(api, enter(camera, state="failed"))

    assert response.status_code == 202
    assert sent_tasks == ["media.ingest to ingest"]


def test_a_row_that_a_worker_drops_at_once_is_not_found(
    api: APIClient, camera: Camera, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("media_serving.api.uploads.retry", lambda actor, upload: upload.delete())

    assert again(api, enter(camera, state="failed")).status_code == 404


def test_a_waiting_upload_is_not_changed_and_nothing_is_recorded(api: APIClient, camera: Camera) -> None:
    later = timezone.now() + timedelta(hours=1)
    upload = enter(camera, attempts=1, retry_at=later, reason="The file is empty.")

    response = again(api, upload)

    assert response.status_code == 202
    assert response.json()["attempts"] == 1
    upload.refresh_from_db()
    assert (upload.retry_at, upload.reason) == (later, "The file is empty.")
    assert not AuditEntry.objects.filter(action="upload_retried").exists()


@pytest.mark.parametrize(("state", "text"), [("working", "is being processed"), ("done", "has already been processed")])
def test_retrying_a_working_or_done_upload_is_a_conflict(api: APIClient, camera: Camera, state: str, text: str) -> None:
    upload = enter(camera, state=state, attempts=1)

    response = again(api, upload)

    assert response.status_code == 409
    assert text in response.json()["detail"]
    upload.refresh_from_db()
    assert (upload.state, upload.attempts) == (state, 1)


def test_retry_requires_permission(guard: User, camera: Camera, family: Group, family_camera: Camera) -> None:
    theirs, hidden = enter(family_camera, state="failed"), enter(camera, state="failed")
    permission = "media_serving.change_upload"

    assert again(client_of(make_user("s", groups=(family,), is_staff=True)), theirs).status_code == 403
    assert again(client_of(make_user("p", permission, groups=(family,))), theirs).status_code == 403
    assert again(client_of(guard), hidden).status_code == 404
    assert set(Upload.objects.values_list("state", flat=True)) == {"failed"}
    assert again(client_of(guard), theirs).status_code == 202


@pytest.mark.parametrize("number", ["99999999", "99999999999999999999"])
def test_an_unknown_upload_is_404(api: APIClient, number: str) -> None:
    assert api.post(f"{UPLOADS}/{number}/retry").status_code == 404


def test_an_upload_that_was_purged_meanwhile_is_not_found(admin: User, camera: Camera) -> None:
    upload = enter(camera, state="failed")
    Upload.objects.all().delete()

    with pytest.raises(NotFound):
        retry(admin, upload)


def test_audit_entries_are_visible_only_with_access_to_the_camera(
    admin: User, guard: User, camera: Camera, family_camera: Camera
) -> None:
    retry(admin, enter(camera, state="failed"))
    retry(admin, enter(family_camera, state="failed"))

    seen = AuditEntry.objects.visible_to(guard).filter(action="upload_retried")

    assert [entry.target_pk for entry in seen] == [Upload.objects.get(camera=family_camera).pk]
    assert AuditEntry.objects.visible_to(admin).filter(action="upload_retried").count() == 2
