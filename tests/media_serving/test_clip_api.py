"""`POST /api/events/{id}/clip`, and the clip state of an event."""

from __future__ import annotations

import pytest
from celery import current_app
from django.utils import timezone

from cameras.models import Camera
from media_serving.clips import worker as clip_worker
from media_serving.models import ClipWork, Event
from nvr.audit.models import AuditEntry
from nvr.jobs.models import JobState
from tests.factories import folder_of
from tests.media_serving.evidence import detect
from tests.media_serving.footage import event_over, still

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("own_folders")]


@pytest.fixture(autouse=True)
def sent(monkeypatch) -> list[int]:
    ids: list[int] = []
    monkeypatch.setattr(current_app, "send_task", lambda name, args, queue: ids.extend(args))
    return ids


@pytest.fixture
def event(camera) -> Event:
    still(camera, "a.jpg", 0, 33)
    return event_over(camera, 0, 0)


def url(event: Event) -> str:
    return f"/api/events/{event.pk}/clip"


def test_a_clip_is_created_and_served(api, event, sent, django_capture_on_commit_callbacks):
    with django_capture_on_commit_callbacks(execute=True):
        response = api.post(url(event))

    assert response.status_code == 202
    assert response.json() == api.get(f"/api/events/{event.pk}").json()
    assert (response.json()["clip_state"], response.json()["clip_url"]) == ("waiting", None)
    clip_worker.make(*sent)
    data = api.get(f"/api/events/{event.pk}").json()
    assert (data["clip_state"], data["clip_reason"]) == ("done", None)
    assert api.get(data["clip_url"])["Content-Type"] == "video/mp4"


def test_the_request_is_audited(api, event):
    api.post(url(event))
    api.post("/api/events/999999/clip")

    entry = AuditEntry.objects.get(action="clip_requested")
    assert (entry.target_type, entry.target_pk) == ("event", event.pk)
    assert entry.changes == {"clip": ["waiting", "waiting"]}


def test_a_repeated_request_regenerates_the_clip_and_keeps_the_old_one_until_then(
    api, event, django_capture_on_commit_callbacks, sent
):
    ClipWork.objects.update(retry_at=None)
    clip_worker.make(ClipWork.objects.get().pk)

    with django_capture_on_commit_callbacks(execute=True):
        response = api.post(url(event))

    assert response.json()["clip_state"] == "waiting"
    assert response.json()["clip_url"] == f"/api/media/clips/{event.pk}_clip.mp4"
    assert sent == [ClipWork.objects.get().pk]


def test_a_failed_or_postponed_clip_is_retried_at_once(api, event):
    ClipWork.objects.update(state=JobState.FAILED, reason="The video could not be read.", attempts=3)
    assert api.get(f"/api/events/{event.pk}").json()["clip_reason"] == "The video could not be read."

    assert api.post(url(event)).json()["clip_reason"] is None

    work = ClipWork.objects.get()
    assert (work.state, work.attempts, work.retry_at) == (JobState.WAITING, 0, None)


def test_a_clip_in_progress_is_not_restarted(api, event, sent):
    ClipWork.objects.update(retry_at=None)
    work = ClipWork.objects.claim(ClipWork.objects.get().pk)

    assert api.post(url(event)).json()["clip_state"] == "working"

    assert ClipWork.objects.get().request_number == work.request_number
    assert not AuditEntry.objects.filter(action="clip_requested").exists()
    assert sent == []


def test_an_event_without_a_clip_job_gets_a_clip(api, event):
    ClipWork.objects.all().delete()
    assert api.get(f"/api/events/{event.pk}").json()["clip_state"] is None

    assert api.post(url(event)).json()["clip_state"] == "waiting"


def test_an_open_event_is_409(api, camera):
    event = detect(camera, timezone.now()).event

    response = api.post(url(event))

    assert response.status_code == 409
    assert "not over" in response.json()["detail"]
    assert not ClipWork.objects.exists()


def test_without_footage_it_is_422(api, camera, event):
    for file in folder_of(camera).iterdir():
        file.unlink()

    response = api.post(url(event))

    assert response.status_code == 422
    assert response.json()["detail"] == "The footage of this event no longer exists."


def test_an_unmounted_volume_is_503(api, camera, event):
    (folder_of(camera) / "a.jpg").unlink()
    mount = {"point": camera.folder_path, "device": 1, "type": "ext4", "source": "/dev/gone"}
    Camera.objects.filter(pk=camera.pk).update(mount=mount)

    assert api.post(url(event)).status_code == 503


def test_a_missing_event_or_one_of_a_trashed_camera_is_404(api, camera, event):
    assert api.post("/api/events/999999/clip").status_code == 404
    Camera.objects.filter(pk=camera.pk).update(deleted_at=timezone.now())

    assert api.post(url(event)).status_code == 404
