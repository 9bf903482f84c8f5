"""A purge in batches: the camera's state during it, interruptions, and messages."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import timedelta
from threading import Thread
from typing import Any

import pytest
from celery import current_app
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.utils import timezone
from kombu.exceptions import OperationalError
from rest_framework.test import APIClient

from cameras import registry
from cameras.models import Camera, Purge
from cameras.purge import worker as purging
from cameras.signals import camera_purging
from cameras.tasks import continue_purge, purge_expired
from nvr.audit.models import AuditEntry
from nvr.jobs.worker import send_pending_of
from tests.cameras.test_trash import DELETED, FRONT, actions
from tests.factories import make_camera, make_user

TRASH = "/admin/cameras/trashedcamera/"
pytestmark = pytest.mark.django_db(transaction=True)  # each batch has its own transaction


class Rows:
    """A fake app with rows that belong to cameras; `taken` has the number of rows of each transaction."""

    def __init__(self, number: int) -> None:
        self.left = number
        self.taken: list[int] = []

    def remove(self, camera: Camera, limit: int) -> int:
        assert connection.in_atomic_block
        number = min(self.left, limit)
        self.left -= number
        self.taken.append(number)
        return number


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Primary keys of the purges that were dispatched."""
    sent: list[int] = []
    monkeypatch.setattr(current_app, "send_task", lambda name, args, queue: sent.extend(args))
    return sent


@pytest.fixture
def rows(monkeypatch: pytest.MonkeyPatch, sent: list[int]) -> Iterator[Rows]:
    """A hundred rows, in batches of ten, of which a request waits for three."""
    for name, value in {"BATCH_SIZE": 10, "PAUSE_S": 0, "BATCHES_IN_REQUEST": 2, "BATCHES_IN_TASK": 4}.items():
        monkeypatch.setattr(purging, name, value)
    hundred = Rows(100)
    purging.register_remover(hundred.remove)
    yield hundred
    purging._removers.remove(hundred.remove)


@pytest.fixture
def trashed(camera: Camera) -> Camera:
    Camera.everything.filter(pk=camera.pk).update(deleted_at=timezone.now())
    return camera


@pytest.fixture
def half_purged(api: APIClient, rows: Rows, trashed: Camera) -> Camera:
    api.post(f"{FRONT}/purge", REMOTE_ADDR="192.0.2.7", HTTP_USER_AGENT="hub/1")
    return trashed


@pytest.fixture
def desk(admin: User) -> Client:
    client = Client()
    client.force_login(admin)
    return client


class Killed(BaseException):
    """As if the process were gone."""


def kill(camera: Camera, limit: int) -> int:
    raise Killed


def lease_ends() -> None:
    Purge.objects.update(leased_until=timezone.now() - timedelta(seconds=1))


def continue_once() -> None:
    """What a worker does with the message of the only purge."""
    continue_purge(Purge.objects.get().pk)


def text_of(page: Any) -> str:
    return str(page.content.decode())


def test_a_request_waits_for_a_few_batches_and_a_worker_does_the_rest(
    api: APIClient, rows: Rows, trashed: Camera, sent: list[int]
) -> None:
    response = api.post(f"{FRONT}/purge")

    assert response.status_code == 204
    assert rows.taken == [10, 10, 10]
    assert sent == [Purge.objects.get().pk]
    assert Camera.trash.get() == trashed

    while sent:
        continue_purge(sent.pop())

    assert rows.taken == [10] * 10 + [0]
    assert not Camera.everything.exists()
    assert not Purge.objects.exists()


def test_a_purge_is_audited_once_at_its_end_with_the_user_who_requested_it(
    half_purged: Camera, rows: Rows, admin: User
) -> None:
    assert actions() == []

    while Purge.objects.exists():
        continue_once()

    entry = AuditEntry.objects.get(target_type="camera")
    assert (entry.action, entry.actor, entry.actor_name) == ("camera_purged", admin, "chief")
    assert (entry.address, entry.client, entry.target_name) == ("192.0.2.7", "hub/1", "Front Door")
    assert entry.request_id


def test_the_audit_names_the_first_user_who_requested_the_purge(half_purged: Camera, rows: Rows) -> None:
    rows.left = 1

    registry.purge_camera(make_user("late"), half_purged)

    assert AuditEntry.objects.get(target_type="camera").actor_name == "chief"


def test_the_audit_names_the_requesting_user_even_if_deleted_meanwhile(half_purged: Camera, admin: User) -> None:
    admin.delete()

    while Purge.objects.exists():
        continue_once()

    entry = AuditEntry.objects.get(target_type="camera")
    assert (entry.actor, entry.actor_name) == (None, "chief")


def test_a_camera_that_is_being_purged_cannot_be_restored(api: APIClient, half_purged: Camera) -> None:
    response = api.post(f"{FRONT}/restore")

    assert response.status_code == 409
    assert "Camera front_door is being purged and can no longer be restored." in response.content.decode()
    assert Camera.trash.get() == half_purged
    assert actions() == []


def test_the_admin_shows_running_purges_and_restores_the_other_cameras(desk: Client, half_purged: Camera) -> None:
    other = make_camera("Other", deleted_at=timezone.now())

    page = text_of(desk.get(TRASH))
    assert page.count("being purged since") == 1
    assert page.count("can be restored") == 1
    assert "being purged since" in text_of(desk.get(f"{TRASH}{half_purged.pk}/change/"))

    chosen = {"action": "restore", "_selected_action": [half_purged.pk, other.pk]}
    answer = text_of(desk.post(TRASH, chosen, follow=True))
    assert "Camera front_door is being purged and can no longer be restored." in answer
    assert "Restored: Other." in answer
    assert Camera.objects.get() == other


def test_the_admin_does_not_report_an_unfinished_purge_as_done(desk: Client, rows: Rows, trashed: Camera) -> None:
    chosen = {"action": "purge", "_selected_action": [trashed.pk], "confirmed": "yes"}

    answer = text_of(desk.post(TRASH, chosen, follow=True))

    assert "Being purged in the background: Front Door." in answer
    assert "Purged permanently" not in answer


def test_the_trash_shows_when_the_purge_started(api: APIClient, half_purged: Camera) -> None:
    make_camera("Other", deleted_at=timezone.now())

    first, second = api.get(DELETED).json()["items"]

    assert first["purging_since"].endswith("Z")
    assert second["purging_since"] is None


def test_a_name_stays_reserved_until_the_purge_ends_and_the_conflict_reports_it(
    api: APIClient, half_purged: Camera
) -> None:
    same = {"name": "Front Door", "folder_path": half_purged.folder_path}

    response = api.post("/api/cameras", same, format="json")

    assert response.status_code == 409
    assert "being purged: wait" in response.content.decode()


def test_a_second_purge_request_continues_the_purge(api: APIClient, half_purged: Camera, rows: Rows) -> None:
    answers = [api.post(f"{FRONT}/purge").status_code for _ in range(4)]

    assert answers == [204, 204, 204, 404]
    assert rows.left == 0
    assert actions() == ["camera_purged"]


def test_only_one_worker_at_a_time_runs_a_purge(half_purged: Camera, rows: Rows, sent: list[int]) -> None:
    assert Purge.objects.claim(Purge.objects.get().pk) is not None
    before = len(rows.taken)
    sent.clear()

    continue_once()
    send_pending_of(Purge)

    assert len(rows.taken) == before
    assert sent == []


def test_a_batch_renews_the_lease(half_purged: Camera, rows: Rows) -> None:
    purge = Purge.objects.claim(Purge.objects.get().pk)
    assert purge is not None
    lease_ends()

    purging._next_batch(purge)

    leased_until = Purge.objects.get().leased_until
    assert leased_until is not None
    assert leased_until > timezone.now() + Purge.LEASE / 2


def test_a_killed_purge_resumes_when_its_lease_has_expired(half_purged: Camera, rows: Rows, sent: list[int]) -> None:
    sent.clear()
    purging.register_remover(kill)
    try:
        with pytest.raises(Killed):
            continue_once()
    finally:
        purging._removers.remove(kill)
    send_pending_of(Purge)
    assert sent == []

    lease_ends()
    send_pending_of(Purge)
    assert sent == [Purge.objects.get().pk]

    while Purge.objects.exists():
        continue_once()
    assert not Camera.everything.exists()
    assert actions() == ["camera_purged"]


def test_an_error_in_the_last_batch_leaves_no_audit_entry_and_keeps_the_purge(half_purged: Camera, rows: Rows) -> None:
    def keep(sender: object, camera: Camera, **kwargs: object) -> None:
        raise Killed

    rows.left = 5
    camera_purging.connect(keep)
    try:
        with pytest.raises(Killed):
            continue_once()
    finally:
        camera_purging.disconnect(keep)

    assert Purge.objects.get().camera == half_purged
    assert actions() == []


def test_a_camera_of_one_batch_is_deleted_at_once_or_not_at_all(api: APIClient, rows: Rows, trashed: Camera) -> None:
    rows.left = 9
    purging.register_remover(kill)
    try:
        with pytest.raises(Killed):
            registry.purge_camera(None, trashed)
    finally:
        purging._removers.remove(kill)
    assert not Purge.objects.exists()

    assert registry.purge_camera(None, trashed)

    assert rows.taken == [9]
    assert actions() == ["camera_purged"]


def test_a_batch_is_shared_by_all_apps_and_the_last_registered_remover_runs_first(rows: Rows, trashed: Camera) -> None:
    upper = Rows(15)
    purging.register_remover(upper.remove)
    try:
        registry.purge_camera(None, trashed)
    finally:
        purging._removers.remove(upper.remove)

    assert upper.taken == [10, 5, 0]
    assert rows.taken == [5, 10]


def test_the_retention_task_skips_a_purge_that_has_started(half_purged: Camera, rows: Rows, settings: Any) -> None:
    settings.NVR_TRASH_RETENTION = timedelta(0)
    before = len(rows.taken)

    purge_expired()

    assert len(rows.taken) == before


def test_without_a_broker_the_purge_waits(
    api: APIClient, rows: Rows, trashed: Camera, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*args: object, **kwargs: object) -> None:
        raise OperationalError("no broker")

    monkeypatch.setattr(current_app, "send_task", away)

    assert api.post(f"{FRONT}/purge").status_code == 204
    send_pending_of(Purge)

    assert Purge.objects.due(timezone.now()).exists()


def test_other_writes_succeed_between_two_batches(
    rows: Rows, trashed: Camera, family_camera: Camera, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SQLite has one writer at a time, for all tables."""

    def write() -> None:
        Camera.everything.filter(pk=family_camera.pk).update(notes="written")
        connection.close()

    def pause(seconds: float) -> None:
        writer = Thread(target=write)
        writer.start()
        writer.join(timeout=2)
        written.append(Camera.everything.get(pk=family_camera.pk).notes)

    written: list[str] = []
    monkeypatch.setattr(time, "sleep", pause)

    registry.purge_camera(None, trashed)

    assert written == ["written", "written"]
