"""What the scheduler sends: tasks that exist, to queues that somebody serves, and never so many that they pile up."""

from __future__ import annotations

import pytest

from nvr.celery import app
from nvr.health.checks import QUEUES

app.loader.import_default_modules()


@pytest.mark.parametrize("name", app.conf.beat_schedule)
def test_a_scheduled_task_exists_and_its_queue_is_served(name: str) -> None:
    entry = app.conf.beat_schedule[name]

    assert entry["task"] in app.tasks
    assert entry["options"]["queue"] in QUEUES
    assert entry["options"]["expires"] <= entry["schedule"]


def test_every_queue_has_a_heartbeat() -> None:
    beats = [entry for entry in app.conf.beat_schedule.values() if entry["task"] == "health.heartbeat"]

    assert {entry["options"]["queue"] for entry in beats} == set(QUEUES)
    assert all(entry["args"] == (entry["options"]["queue"],) for entry in beats)


def test_a_heartbeat_is_noted_for_its_queue_and_the_scheduler(db: None) -> None:
    from nvr.health.models import Heartbeat
    from nvr.health.tasks import heartbeat

    heartbeat("bulk")
    assert set(Heartbeat.objects.values_list("name", flat=True)) == {"worker:bulk"}

    heartbeat("interactive")
    assert set(Heartbeat.objects.values_list("name", flat=True)) == {"worker:bulk", "worker:interactive", "scheduler"}
