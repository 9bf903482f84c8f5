"""`/api/health` for whoever asks; `/api/system/health` for staff."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from django.contrib.auth.models import Group, User
from django.utils import timezone
from rest_framework.test import APIClient

from cameras.models import Camera
from media_serving.models import Upload
from nvr.health import sections
from nvr.health.models import Heartbeat, beat
from nvr.health.sections import Section
from tests.conftest import client_of
from tests.factories import make_camera, make_user
from tests.media_serving.ledger import enter

HEALTH = "/api/health"
SYSTEM = "/api/system/health"
pytestmark = pytest.mark.django_db(transaction=True)  # each check runs in a thread of its own


@pytest.fixture(autouse=True)
def fresh() -> Iterator[None]:
    """No answer of an earlier test is shared."""
    before = dict(sections._probes)
    for name, probe in before.items():
        sections.register(name, probe.check, essential=probe.essential, figures=probe.figures)
    yield
    sections._probes.clear()
    sections._probes.update(before)


@pytest.fixture
def operator() -> APIClient:
    return client_of(make_user("operator", is_staff=True))


def workers_beat() -> None:
    for queue in ("interactive", "ingest", "bulk"):
        beat(f"worker:{queue}")
    beat("watcher")


def section(client: APIClient, name: str) -> dict[str, object]:
    probe = sections._probes[name]
    sections.register(name, probe.check, essential=probe.essential, figures=probe.figures)
    return client.get(SYSTEM).json()["sections"][name]


def test_anonymous_users_see_status_and_service_only(stranger: APIClient) -> None:
    workers_beat()

    response = stranger.get(HEALTH)

    assert response.status_code == 200
    assert response.json() == {"status": "ok", "service": "mediareviewer-api"}


def test_staff_see_each_section(operator: APIClient) -> None:
    workers_beat()

    body = operator.get(SYSTEM).json()

    assert body["status"] == "ok", body
    assert body["sections"].keys() >= {"database", "cache", "broker", "workers", "storage", "disk", "versions"}
    for part in body["sections"].values():
        assert part["status"] == "ok"
        assert part["detail"]
    assert body["sections"]["disk"]["free_bytes"] > 0
    assert body["sections"]["versions"]["python"]


def test_system_health_is_for_staff(stranger: APIClient) -> None:
    assert stranger.get(SYSTEM).status_code == 401
    assert client_of(make_user("u", "cameras.view_all")).get(SYSTEM).status_code == 403


def test_uploads_of_visible_cameras_are_counted(family: Group, family_camera: Camera) -> None:
    workers_beat()
    hidden = make_camera("Hidden")
    for camera in (family_camera, hidden, hidden):
        for state in ("waiting", "working", "failed"):
            enter(camera, f"{state}.jpg", state=state, is_kept=True, mtime_ns=Upload.objects.count())
    member = client_of(make_user("staff", is_staff=True, groups=(family,)))
    chief = client_of(make_user("boss", is_staff=True, is_superuser=True))

    def counts(client: APIClient) -> list[object]:
        facts = section(client, "ingest")
        return [facts[name] for name in ("waiting", "working", "failed", "kept_copies")]

    assert counts(chief) == [3, 3, 3, 9]
    assert counts(member) == [1, 1, 1, 3]
    Upload.objects.update(received_at=timezone.now() - timedelta(hours=1))
    late = section(member, "ingest")
    assert late["status"] == "degraded"
    assert not any(figure in str(late["detail"]) for figure in "0123456789")


def test_a_silent_worker_is_degraded_and_named(operator: APIClient, stranger: APIClient) -> None:
    workers_beat()
    Heartbeat.objects.filter(name="worker:bulk").update(beat_at=timezone.now() - timedelta(minutes=10))

    part = section(operator, "workers")

    assert part["status"] == "degraded"
    assert "bulk" in str(part["detail"])
    assert "ingest" not in str(part["detail"])
    assert stranger.get(HEALTH).json()["status"] == "degraded"


def test_a_missing_camera_root_is_degraded(operator: APIClient, settings, tmp_path: Path) -> None:
    settings.NVR_CAMERA_ROOT = tmp_path / "away"

    assert section(operator, "storage")["status"] == "degraded"


def test_an_unavailable_cache_is_failed_and_the_page_still_works(
    operator: APIClient, stranger: APIClient, cache_away: None
) -> None:
    workers_beat()

    assert section(operator, "cache")["status"] == "failed"
    assert stranger.get(HEALTH).json()["status"] == "degraded"


def test_an_unavailable_broker_is_failed_within_the_deadline(operator: APIClient, settings) -> None:
    from nvr.celery import app

    before = app.conf.broker_url
    app.conf.broker_url = "amqp://guest:hunter2@127.0.0.1:1//"
    started = time.monotonic()
    try:
        response = operator.get(SYSTEM)
    finally:
        app.conf.broker_url = before

    assert time.monotonic() - started < 20
    assert "hunter2" not in response.content.decode()


@pytest.fixture
def stuck() -> Iterator[list[int]]:
    """A section that does not respond until the test is over; counts how often it was begun."""
    begun: list[int] = []
    release = threading.Event()

    def check() -> Section:
        begun.append(1)
        release.wait(120)
        return Section("ok", "at last")

    sections.register("stuck", check)
    yield begun
    release.set()


def test_a_hanging_check_blocks_nothing_and_is_not_started_again(
    operator: APIClient, stranger: APIClient, stuck: list[int]
) -> None:
    started = time.monotonic()

    for _ in range(2):
        body = operator.get(SYSTEM).json()
        assert body["status"] == "degraded"
        assert body["sections"]["stuck"]["status"] == "failed"
        assert body["sections"]["database"]["status"] == "ok"
    assert stranger.get(HEALTH).json()["status"] == "degraded"

    assert time.monotonic() - started < 3 * sections.DEADLINE_S + 20
    assert stuck == [1]


def test_hanging_checks_leave_threads_for_the_others(operator: APIClient) -> None:
    release = threading.Event()

    def check() -> Section:
        release.wait(120)
        return Section("ok", "at last")

    try:
        for number in range(10):
            sections.register(f"stuck{number}", check)
        operator.get(SYSTEM)
        time.sleep(sections.FRESH_S)
        body = operator.get(SYSTEM).json()
        assert body["sections"]["database"]["status"] == "ok"
    finally:
        release.set()


def test_a_check_that_raises_is_failed_without_details(operator: APIClient) -> None:
    def check() -> Section:
        raise RuntimeError("hunter2")

    sections.register("broken", check)

    response = operator.get(SYSTEM)

    assert response.json()["sections"]["broken"]["status"] == "failed"
    assert "hunter2" not in response.content.decode()


def test_a_non_essential_section_does_not_degrade_the_status(stranger: APIClient, operator: APIClient) -> None:
    workers_beat()
    sections.register("extra", lambda: Section("failed", "x"), essential=False)

    assert stranger.get(HEALTH).json()["status"] == "ok"
    assert operator.get(SYSTEM).json()["status"] == "ok"


def test_wrong_credentials_are_401_here_too(stranger: APIClient, admin: User) -> None:
    assert stranger.get(HEALTH, HTTP_X_API_KEY="wrong").status_code == 401
    assert client_of(admin).get(HEALTH).status_code == 200


def test_the_response_is_never_cached(stranger: APIClient) -> None:
    assert "no-store" in stranger.get(HEALTH)["Cache-Control"]
