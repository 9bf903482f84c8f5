"""Camera health: determined from the folder, stored once, and unaffected by NVR's own faults."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from django.db import OperationalError
from django.utils import timezone

from cameras import health
from cameras.folders.access import newest_files
from cameras.models import Camera
from nvr.audit.models import AuditEntry
from nvr.health.models import Heartbeat, Outage, beat
from tests.factories import folder_of, jpeg, make_camera, put

pytestmark = pytest.mark.django_db(transaction=True)  # folders are probed in other threads


def after_probe(camera: Camera) -> Camera:
    health.refresh_all()
    return Camera.everything.get(pk=camera.pk)


def changes() -> list[list[str]]:
    entries = AuditEntry.objects.filter(action="camera_status_changed").order_by("pk")
    return [entry.changes["status"] for entry in entries]


def created_ago(hours: float, **values: object) -> Camera:
    return make_camera(created_at=timezone.now() - timedelta(hours=hours), **values)


def test_a_new_file_sets_the_camera_online_and_its_last_seen_time() -> None:
    camera = make_camera(status="offline")
    path = put(folder_of(camera), "sub/a.jpg", jpeg(), age_s=60)

    probed = after_probe(camera)

    assert (probed.status, probed.status_reason) == ("online", "")
    assert probed.last_seen_at == datetime.fromtimestamp(path.stat().st_mtime, UTC)
    assert changes() == [["offline", "online"]]


def test_a_file_from_the_future_counts_once_at_its_arrival(settings) -> None:
    settings.NVR_UPLOAD_STABLE_TIME = timedelta(0)
    camera = make_camera(status="offline")
    put(folder_of(camera), "a.jpg", jpeg(), age_s=-86_400)

    probed, again = after_probe(camera), after_probe(camera)

    assert probed.status == "online" and probed.last_seen_at <= timezone.now()
    assert again.last_seen_at == probed.last_seen_at


def test_a_file_that_is_still_being_written_is_no_evidence() -> None:
    camera = make_camera(status="offline")
    put(folder_of(camera), "a.jpg", jpeg(), age_s=0)

    assert after_probe(camera).last_seen_at is None
    put(folder_of(camera), "a.jpg", jpeg(), age_s=60)
    assert after_probe(camera).last_seen_at is not None


def test_the_status_set_by_a_client_stays_until_there_is_evidence() -> None:
    for status in ("online", "offline", "error", "unknown"):
        assert after_probe(make_camera(status=status)).status == status
    assert changes() == []


def test_an_unchanged_status_is_neither_saved_nor_audited() -> None:
    camera = make_camera(status="offline")
    put(folder_of(camera), "a.jpg", jpeg())

    assert health.refresh_all() == 1
    assert health.refresh_all() == 0
    assert len(changes()) == 1


def test_a_longer_offline_limit_sets_the_camera_online_again() -> None:
    camera = created_ago(48, offline_after_seconds=3600)
    put(folder_of(camera), "a.jpg", jpeg(), age_s=7200)
    assert after_probe(camera).status == "offline"

    Camera.objects.filter(pk=camera.pk).update(offline_after_seconds=86400)

    assert after_probe(camera).status == "online"


def test_a_camera_without_files_for_longer_than_the_limit_is_offline() -> None:
    camera = created_ago(25)
    patient = created_ago(25, offline_after_seconds=26 * 3600)
    hasty = created_ago(1, offline_after_seconds=60)
    young = created_ago(1)

    health.refresh_all()

    statuses = dict(Camera.objects.values_list("pk", "status"))
    assert statuses == {camera.pk: "offline", patient.pk: "online", hasty.pk: "offline", young.pk: "online"}
    assert Camera.objects.get(pk=camera.pk).status_reason


def test_the_offline_limit_starts_with_the_last_file(settings) -> None:
    settings.NVR_OFFLINE_AFTER = timedelta(minutes=5)
    quiet, lively = created_ago(25), created_ago(25)
    put(folder_of(quiet), "a.jpg", jpeg(), age_s=301)
    put(folder_of(lively), "a.jpg", jpeg(), age_s=290)

    assert after_probe(quiet).status == "offline"
    assert after_probe(lively).status == "online"


def test_each_status_change_has_one_audit_entry(settings) -> None:
    camera = created_ago(25)
    health.refresh_all()
    put(folder_of(camera), "a.jpg", jpeg(), age_s=5)

    assert after_probe(camera).status == "online"
    assert changes() == [["online", "offline"], ["offline", "online"]]


def test_downtime_does_not_count() -> None:
    now = timezone.now()
    camera = created_ago(25)
    Outage.objects.create(started_at=now - timedelta(hours=10), ended_at=now - timedelta(hours=8))

    assert after_probe(camera).status == "online"

    Outage.objects.all().delete()
    assert after_probe(camera).status == "offline"


def test_an_outage_before_the_camera_was_created_does_not_count() -> None:
    now = timezone.now()
    camera = created_ago(25)
    Outage.objects.create(started_at=now - timedelta(hours=100), ended_at=now - timedelta(hours=24.5))

    assert after_probe(camera).status == "offline"  # half an hour of the downtime is in this period: 24.5 h remain


def test_a_probe_before_the_first_heartbeat_after_a_start_does_not_count_downtime() -> None:
    camera = created_ago(25)
    Heartbeat.objects.create(name="scheduler", beat_at=timezone.now() - timedelta(hours=8))

    assert after_probe(camera).status == "online"

    beat("scheduler")
    assert after_probe(camera).status == "online"


def test_a_silence_of_the_scheduler_is_recorded_as_an_outage() -> None:
    before = timezone.now() - timedelta(hours=3)
    beat("scheduler")
    assert not Outage.objects.exists()
    Heartbeat.objects.update(beat_at=before)

    beat("scheduler")

    outage = Outage.objects.get()
    assert outage.started_at == before
    assert outage.ended_at - outage.started_at > timedelta(hours=2.9)


def missing(camera: Camera) -> None:
    folder_of(camera).rmdir()


def a_file(camera: Camera) -> None:
    missing(camera)
    folder_of(camera).write_text("x")


def outside(camera: Camera) -> None:
    Camera.objects.filter(pk=camera.pk).update(folder_path="/etc")


def volume_away(camera: Camera) -> None:
    """Something was mounted at the folder when it was last checked successfully; now nothing is."""
    was = {"device": 1, "type": "ext4", "source": "/dev/sdx1", "point": str(folder_of(camera).resolve())}
    Camera.objects.filter(pk=camera.pk).update(mount=was)


def key_gone(camera: Camera) -> None:
    Camera.objects.filter(pk=camera.pk).update(rtsp_password="gAAAAA" + "x" * 120)


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (missing, "does not exist"),
        (a_file, "is not a folder but a file"),
        (outside, "outside"),
        (volume_away, "/dev/sdx1"),
        (key_gone, "password"),
    ],
)
def test_an_unreadable_folder_or_secret_is_an_error_with_a_reason(spoil: Callable[[Camera], None], reason: str) -> None:
    camera, other = make_camera(), make_camera(status="offline")
    put(folder_of(other), "a.jpg", jpeg())
    health.refresh_all()
    spoil(camera)

    probed = after_probe(camera)

    assert probed.status == "error"
    assert reason in probed.status_reason
    assert after_probe(other).status == "online"
    assert ["online", "error"] in changes()


def test_an_error_ends_when_its_cause_is_fixed() -> None:
    camera = make_camera()
    missing(camera)
    assert after_probe(camera).status == "error"

    folder_of(camera).mkdir()
    assert after_probe(camera).status == "unknown"

    put(folder_of(camera), "a.jpg", jpeg())
    assert after_probe(camera).status == "online"


def test_a_remounted_volume_with_a_new_file_is_online() -> None:
    camera = make_camera()
    volume_away(camera)
    assert after_probe(camera).status == "error"

    put(folder_of(camera), "a.jpg", jpeg())

    assert after_probe(camera).status == "online"


@pytest.mark.parametrize("mode", ["rtsp", "onvif"])
def test_a_stream_without_frames_is_unknown(mode: str) -> None:
    camera = make_camera(ingestion_mode=mode, rtsp_url="rtsp://10.0.0.1/")

    assert after_probe(camera).status == "unknown"


def test_disabled_and_trashed_cameras_are_not_probed() -> None:
    for camera in (created_ago(99, enabled=False), created_ago(99, deleted_at=timezone.now())):
        missing(camera)
        assert after_probe(camera).status == "online"


def test_files_of_a_nested_camera_do_not_count_for_the_outer_one() -> None:
    outer = make_camera(status="offline")
    inner = make_camera(folder_path=f"{outer.folder_path}/inner", status="offline")
    put(Path(inner.folder_path), "a.jpg", jpeg())

    assert after_probe(inner).status == "online"
    assert after_probe(outer).last_seen_at is None


@pytest.fixture
def hang(monkeypatch: pytest.MonkeyPatch) -> Iterator[set[int]]:
    """Cameras whose folder does not respond until the test is over; the timeout is 0.5 s."""
    stuck: set[int] = set()
    release = threading.Event()

    def patched_newest_files(camera: Camera, **kwargs: bool):
        if camera.pk in stuck:
            release.wait(30)
        return newest_files(camera, **kwargs)

    monkeypatch.setattr(health, "newest_files", patched_newest_files)
    monkeypatch.setattr(health._probe, "timeout_s", 0.5)
    yield stuck
    release.set()


def test_a_hanging_folder_is_an_error_and_does_not_block_the_others(hang: set[int]) -> None:
    camera, other = make_camera(), make_camera(status="offline")
    put(folder_of(other), "a.jpg", jpeg())
    hang.add(camera.pk)

    probed = after_probe(camera)

    assert probed.status == "error"
    assert "not responded" in probed.status_reason
    assert Camera.objects.get(pk=other.pk).status == "online"


def test_a_dead_mount_with_twenty_cameras_does_not_block_the_others(hang: set[int]) -> None:
    hang.update(make_camera().pk for _ in range(20))
    other = make_camera(status="offline")
    put(folder_of(other), "a.jpg", jpeg())

    assert after_probe(other).status == "online"
    assert Camera.objects.filter(status="error").count() == 20


def test_a_hung_probe_is_not_started_a_second_time(hang: set[int]) -> None:
    camera = make_camera()
    hang.add(camera.pk)
    health.refresh_all()
    before = threading.active_count()

    for _ in range(3):
        health.refresh_all()

    assert threading.active_count() == before


def test_a_probe_that_raises_sets_only_its_own_camera_to_error(monkeypatch: pytest.MonkeyPatch) -> None:
    broken, other = make_camera(), make_camera(status="offline")
    put(folder_of(other), "a.jpg", jpeg())

    def patched_newest_files(camera: Camera, **kwargs: bool):
        if camera.pk == broken.pk:
            raise OSError(5, "Input/output error")
        return newest_files(camera, **kwargs)

    monkeypatch.setattr(health, "newest_files", patched_newest_files)

    assert after_probe(broken).status == "error"
    assert after_probe(other).status == "online"


def test_an_unavailable_database_does_not_change_the_status(monkeypatch: pytest.MonkeyPatch) -> None:
    camera = make_camera()

    def patched_newest_files(camera: Camera, **kwargs: bool):
        raise OperationalError("gone")

    monkeypatch.setattr(health, "newest_files", patched_newest_files)

    with pytest.raises(OperationalError):
        health.refresh_all()
    assert Camera.objects.get(pk=camera.pk).status == "online"


def test_a_camera_trashed_or_moved_during_the_probe_keeps_its_status() -> None:
    camera = created_ago(99)
    evidence = health.probe(camera)
    Camera.objects.filter(pk=camera.pk).update(folder_path="/elsewhere")
    assert health.store_evidence(camera, evidence) is False

    camera = created_ago(99)
    evidence = health.probe(camera)
    Camera.objects.filter(pk=camera.pk).update(deleted_at=timezone.now())
    assert health.store_evidence(camera, evidence) is False
    assert changes() == []
