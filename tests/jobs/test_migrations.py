"""The migrations that turned the apps' own work tables into jobs: rows of an earlier build, brought up to date."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from django.apps import apps
from django.db import connection
from django.db.migrations.executor import MigrationExecutor

BEFORE = [
    ("media_serving", "0009_places_of_uploads"),
    ("cameras", "0006_camera_chosen_place"),
    ("reviewer", "0003_trash_run_words"),
]
AT = datetime(2026, 5, 1, 12, tzinfo=UTC)
pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def before() -> Iterator[Any]:
    """The models as they were, in a database as it was."""
    executor = MigrationExecutor(connection)
    executor.migrate(BEFORE)
    yield executor.loader.project_state(BEFORE).apps
    migrate_to_latest()


def migrate_to_latest() -> None:
    executor = MigrationExecutor(connection)
    executor.migrate(executor.loader.graph.leaf_nodes())


def test_rows_of_an_earlier_build_become_jobs(before: Any) -> None:
    camera = before.get_model("cameras", "Camera")._default_manager.create(slug="a", name="A", folder_path="/a")
    before.get_model("cameras", "Purge").objects.create(camera=camera, actor_name="chief", leased_until=AT)
    turn = before.get_model("media_serving", "CameraTurn")
    turn.objects.create(camera=camera, holder="w.1", leased_until=AT, taken_at=AT, detector="motion", memory=b"m")
    event = before.get_model("media_serving", "Event").objects.create(camera=camera, started_at=AT, last_detected_at=AT)
    clip = before.get_model("media_serving", "ClipWork")
    clip.objects.create(event=event, state="failed", reason="No footage.", wanted=3, sent_at=AT)
    form = before.get_model("media_serving", "PlayableForm")
    facts = {"path": "/v", "mtime_ns": 1, "source_size_bytes": 1, "sent_at": AT}
    form.objects.create(key="postponed", state="failed", reason="The disk is full.", retry_at=AT, **facts)
    form.objects.create(key="failed", state="failed", reason="", **facts)
    form.objects.create(key="done", state="done", size_bytes=5, **facts)
    form.objects.create(key="working", state="working", leased_until=AT, worker="abc", attempts=1, **facts)
    run = before.get_model("reviewer", "TrashRun")
    run.objects.create(state="failed", reason="", started_at=AT, finished_at=AT, started_by_name="ann")
    run.objects.create(state="working", lease_until=AT, attempts=2, in_hand=[["/a", 1]], started_at=AT)

    migrate_to_latest()

    def values(model: str, *fields: str, **conditions: object) -> tuple[Any, ...]:
        return tuple(apps.get_model(model)._default_manager.filter(**conditions).values_list(*fields).get())

    assert values("cameras.Purge", "state", "attempts", "leased_until") == ("waiting", 0, AT)
    lease = values("media_serving.CameraLease", "worker", "leased_until", "acquired_at", "detector")
    assert lease == ("w.1", AT, AT, "motion")
    clip_values = values("media_serving.ClipWork", "state", "request_number", "failed_at")
    assert clip_values == ("failed", 3, AT)
    transcode = "media_serving.Transcode"
    assert values(transcode, "state", "reason", key="postponed") == ("waiting", "The disk is full.")
    assert values(transcode, "state", "reason", "failed_at", key="failed") == (
        "failed",
        "It could not be transcoded.",
        AT,
    )
    assert values(transcode, "state", "size_bytes", key="done") == ("done", 5)
    assert values(transcode, "state", "leased_until", key="working") == ("working", AT)
    assert values("reviewer.TrashRun", "reason", "failed_at", state="failed") == ("It did not finish.", AT)
    working = values("reviewer.TrashRun", "leased_until", "in_progress", "sent_at", state="working")
    assert working == (AT, [["/a", 1]], AT)


def test_permissions_on_renamed_models_stay_granted(before: Any) -> None:
    from django.contrib.auth.models import Group, Permission
    from django.contrib.contenttypes.models import ContentType

    kind, _ = ContentType.objects.get_or_create(app_label="media_serving", model="playableform")
    permission = Permission.objects.create(content_type=kind, codename="view_playableform", name="Can view it")
    group = Group.objects.create(name="technicians")
    group.permissions.add(permission)

    migrate_to_latest()

    assert list(group.permissions.values_list("codename", flat=True)) == ["view_transcode"]
