"""Events, detections, clips and uploads in the admin: evidence is read-only, remarks and retries are on record."""

from __future__ import annotations

import pytest
from django.test import Client

from cameras import registry
from media_serving import admin as desk_module
from media_serving.admin import MAX_ROWS, NewestRows
from media_serving.models import ClipWork, Detection, Event, Upload
from nvr.audit.models import AuditEntry
from nvr.jobs.models import JobState
from tests.factories import make_user
from tests.media_serving.evidence import after, detect
from tests.media_serving.ledger import enter

EVENTS, DETECTIONS = "/admin/media_serving/event/", "/admin/media_serving/detection/"
UPLOADS = "/admin/media_serving/upload/"
CLIPS = "/admin/media_serving/clipwork/"
TRASH = "/admin/cameras/trashedcamera/"


@pytest.fixture
def desk(admin):
    client = Client()
    client.force_login(admin)
    return client


def test_lists_and_pages_show_detections_and_events(desk, camera):
    detection = detect(camera, after(0), object_class="arctic fox")

    assert b"arctic fox" in desk.get(EVENTS).content
    assert b"arctic fox" in desk.get(DETECTIONS).content
    assert desk.get(f"{EVENTS}{detection.event_id}/change/").status_code == 200
    assert desk.get(f"{DETECTIONS}{detection.pk}/change/").status_code == 200


def test_filters_and_search_narrow_the_lists(desk, camera, family_camera):
    detect(camera, after(0), object_class="arctic fox")
    detect(family_camera, after(0), object_class="barn owl")

    for url in (EVENTS, DETECTIONS):
        page = desk.get(url, {"camera": "front_door"}).content
        assert b"arctic fox" in page
        assert b"barn owl" not in page
    assert b"barn owl" not in desk.get(DETECTIONS, {"q": "arctic fox"}).content


def test_invisible_rows_are_not_in_the_admin(family, camera, family_camera):
    views = ("media_serving.view_event", "media_serving.view_detection")
    guard = make_user("guard", *views, groups=(family,), is_staff=True)
    client = Client()
    client.force_login(guard)
    hidden = detect(camera, after(0), object_class="arctic fox")
    detect(family_camera, after(0), object_class="barn owl")

    for url in (EVENTS, DETECTIONS):
        page = client.get(url).content
        assert b"barn owl" in page
        assert b"arctic fox" not in page
        assert b"Front Door" not in page
    assert client.get(f"{DETECTIONS}{hidden.pk}/change/").status_code == 302
    assert client.get(f"{EVENTS}{hidden.event_id}/change/").status_code == 302


def test_notes_are_audited_as_through_the_api_and_detections_stay_unchanged(desk, admin, camera):
    event = detect(camera, after(0)).event

    form = {"keep": "on", "notes": "The postman.", "detection_count": "99"}
    assert desk.post(f"{EVENTS}{event.pk}/change/", form).status_code == 302

    event.refresh_from_db()
    assert (event.keep, event.reviewed, event.notes, event.detection_count) == (True, False, "The postman.", 1)
    entry = AuditEntry.objects.get(action="event_updated")
    assert entry.actor == admin
    assert entry.changes == {"keep": [False, True], "notes": ["", "The postman."]}


def test_detections_and_events_cannot_be_added_or_deleted(desk, camera):
    detection = detect(camera, after(0))

    for url in (EVENTS, DETECTIONS):
        assert desk.get(f"{url}add/").status_code == 403
    assert desk.post(f"{DETECTIONS}{detection.pk}/change/", {"confidence": "1"}).status_code == 403
    assert desk.post(f"{DETECTIONS}{detection.pk}/delete/", {"post": "yes"}).status_code == 403
    assert desk.post(f"{EVENTS}{detection.event_id}/delete/", {"post": "yes"}).status_code == 403
    assert (Detection.objects.count(), Event.objects.count()) == (1, 1)


def test_the_number_of_pages_is_limited(db, django_assert_num_queries):
    with django_assert_num_queries(1) as queries:
        assert NewestRows(Detection.objects.all(), 100).count == 0

    assert f"LIMIT {MAX_ROWS}" in queries[0]["sql"]


def test_the_purge_confirmation_counts_detections_and_events(desk, admin, camera):
    detect(camera, after(0))
    detect(camera, after(1))
    detect(camera, after(1000))
    enter(camera)
    registry.trash_camera(admin, camera)

    asked = desk.post(TRASH, {"action": "purge", "_selected_action": [camera.pk]}).content.decode()

    assert "3 detections, 2 events, 1 uploads" in asked


def test_events_of_a_trashed_camera_cannot_be_saved(desk, admin, camera):
    registry.trash_camera(admin, camera)

    assert desk.post(f"{TRASH}{camera.pk}/change/", {"name": "x"}).status_code == 403


def retry_uploads(client, *uploads, **more):
    body = {"action": "retry_uploads", "_selected_action": [upload.pk for upload in uploads], **more}
    return client.post(UPLOADS, body, follow=True).content.decode()


def states():
    return list(Upload.objects.order_by("pk").values_list("state", flat=True))


def test_uploads_are_listed_with_their_reason_and_filtered(desk, camera, family_camera):
    rejected = enter(camera, "2026/torn.jpg", state="rejected", size_bytes=2048, clock_is_absurd=True)
    enter(family_camera, b"caf\xe9.jpg")

    page = desk.get(UPLOADS).content.decode()
    assert "2026/torn.jpg" in page
    assert "The picture is incomplete or damaged." in page
    assert "2.0\xa0KB" in page
    assert "caf\ufffd.jpg" in page
    for query in ({"camera": "front_door"}, {"state__exact": "rejected"}, {"q": "torn"}, {"clock_is_absurd__exact": 1}):
        page = desk.get(UPLOADS, query).content.decode()
        assert "torn.jpg" in page
        assert "caf\ufffd" not in page
    assert "2026/torn.jpg" in desk.get(f"{UPLOADS}{rejected.pk}/change/").content.decode()


def test_selected_failed_uploads_are_retried_as_through_the_api(desk, admin, camera):
    made = ("rejected", "failed", "done", "working", "waiting")
    uploads = [enter(camera, f"{state}.jpg", state=state) for state in made]

    page = retry_uploads(desk, *uploads)

    assert states() == ["waiting", "waiting", "done", "working", "waiting"]
    assert "Queued 2 uploads." in page
    entries = AuditEntry.objects.filter(action="upload_retried")
    assert {(entry.actor, entry.target_pk) for entry in entries} == {(admin, uploads[0].pk), (admin, uploads[1].pk)}
    assert "nothing to retry" in retry_uploads(desk, uploads[2])


def test_one_request_retries_a_limited_number_and_reports_the_rest(desk, camera, monkeypatch):
    monkeypatch.setattr(desk_module, "MAX_AT_ONCE", 2)
    uploads = [enter(camera, f"{number}.jpg", state="failed") for number in range(3)]

    page = retry_uploads(desk, uploads[0], select_across="1")

    assert sorted(states()) == ["failed", "waiting", "waiting"]
    assert "Only the first 2 were queued" in page


def test_users_with_view_permission_cannot_retry_or_change_uploads(family, desk, family_camera, camera):
    guard = make_user("guard", "media_serving.view_upload", groups=(family,), is_staff=True)
    client = Client()
    client.force_login(guard)
    theirs, hidden = enter(family_camera, "a.jpg", state="failed"), enter(camera, "hidden.jpg", state="failed")

    page = client.get(UPLOADS).content.decode()
    retry_uploads(client, theirs)
    retry_uploads(client, hidden)

    assert "Retry the selected uploads" not in page
    assert "hidden.jpg" not in page
    assert client.get(f"{UPLOADS}{hidden.pk}/change/").status_code == 302
    assert desk.get(f"{UPLOADS}add/").status_code == 403
    assert desk.post(f"{UPLOADS}{theirs.pk}/change/", {"state": "done"}).status_code == 403
    assert desk.post(f"{UPLOADS}{theirs.pk}/delete/", {"post": "yes"}).status_code == 403
    assert states() == ["failed", "failed"]


def test_retry_is_limited_to_visible_uploads(family, family_camera, camera):
    guard = make_user("guard", "media_serving.change_upload", groups=(family,), is_staff=True)
    client = Client()
    client.force_login(guard)
    hidden, theirs = enter(camera, state="failed"), enter(family_camera, state="failed")

    retry_uploads(client, hidden, theirs)

    assert states() == ["failed", "waiting"]


def clip_of(camera, at, **values):
    """Of a closed event; its row in the making of clips."""
    event = detect(camera, after(at)).event
    ClipWork.objects.filter(event=event).update(**({"retry_at": None} | values))
    return ClipWork.objects.get(event=event)


def regenerate(client, *clips, **more):
    body = {"action": "regenerate", "_selected_action": [clip.pk for clip in clips], **more}
    return client.post(CLIPS, body, follow=True).content.decode()


def test_clips_are_listed_with_their_reason_and_filtered(desk, camera, family_camera):
    failed = clip_of(camera, 0, state="failed", reason="There is no footage.", attempts=2)
    clip_of(family_camera, 0, reason="The disk is full.", retry_at=after(0))

    for query in ({}, {"camera": "front_door"}, {"state__exact": "failed"}, {"q": "footage"}):
        page = desk.get(CLIPS, query).content.decode()
        assert "There is no footage." in page
        assert ("The disk is full." in page) == (query == {})
    assert "There is no footage." in desk.get(f"{CLIPS}{failed.pk}/change/").content.decode()
    assert desk.post(f"{CLIPS}{failed.pk}/change/", {"state": "done"}).status_code == 403


def test_selected_clips_are_regenerated_with_audit_entries(desk, admin, camera):
    made = {"state": "failed", "reason": "x", "attempts": 3}, {"state": "done"}, {}, {"retry_at": after(0)}
    clips = [clip_of(camera, number * 1000, **values) for number, values in enumerate(made)]
    at_work = clip_of(camera, 9000, state="working", leased_until=after(9000))

    page = regenerate(desk, *clips, at_work)

    assert "Queued 3 clips." in page
    states = ClipWork.objects.order_by("pk").values_list("state", "reason", "attempts", "retry_at")
    assert list(states) == [(JobState.WAITING, "", 0, None)] * 4 + [(JobState.WORKING, "", 0, None)]
    entries = AuditEntry.objects.filter(action="clip_requested", actor=admin).order_by("pk")
    assert {entry.target_pk for entry in entries} == {clips[0].event_id, clips[1].event_id, clips[3].event_id}
    assert ["failed", "waiting"] in [entry.changes["clip"] for entry in entries]
    assert "already waiting or in progress" in regenerate(desk, at_work)


def test_one_request_regenerates_a_limited_number_of_clips(desk, camera, monkeypatch):
    monkeypatch.setattr(desk_module, "MAX_AT_ONCE", 2)
    clips = [clip_of(camera, number * 1000, state="done") for number in range(3)]

    assert "Only the first 2 were queued" in regenerate(desk, clips[0], select_across="1")
    assert "Queued 1 clip." in regenerate(desk, clips[0], select_across="1")


def test_clips_of_invisible_cameras_are_hidden_and_view_permission_creates_none(family, camera, family_camera):
    guard = make_user("guard", "media_serving.view_clipwork", groups=(family,), is_staff=True)
    client = Client()
    client.force_login(guard)
    hidden = clip_of(camera, 0, state="failed", reason="arctic fox")
    theirs = clip_of(family_camera, 0, state="failed", reason="barn owl")

    page = client.get(CLIPS).content
    assert b"barn owl" in page
    assert b"arctic fox" not in page
    assert b"Front door" not in page
    regenerate(client, theirs, hidden)
    assert set(ClipWork.objects.values_list("state", flat=True)) == {"failed"}
