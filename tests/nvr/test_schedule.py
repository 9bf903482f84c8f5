"""What the scheduler sends: tasks that exist, to queues that somebody serves, and never so many that they pile up."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from celery import Celery

from nvr.celery import app
from nvr.health.checks import QUEUES
from nvr.queue.scheduler import Scheduler

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


def test_a_heartbeat_is_recorded_for_its_queue_and_the_scheduler(db: None) -> None:
    from nvr.health.models import Heartbeat
    from nvr.health.tasks import heartbeat

    heartbeat("bulk")
    assert set(Heartbeat.objects.values_list("name", flat=True)) == {"worker:bulk"}

    heartbeat("interactive")
    assert set(Heartbeat.objects.values_list("name", flat=True)) == {"worker:bulk", "worker:interactive", "scheduler"}


# The scheduler itself


@pytest.fixture
def clock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[timedelta], Scheduler]:
    """A scheduler with one task a minute, in a folder of its own, by a clock that is wrong by a span."""
    monkeypatch.delenv("CELERY_BROKER_URL", raising=False)  # Celery takes it before what it is told
    scheduled = Celery(broker="memory://", set_as_current=False)
    scheduled.conf.beat_schedule = {"often": {"task": "tests.nothing", "schedule": 60.0}}

    def wrong_by(span: timedelta) -> Scheduler:
        monkeypatch.setattr(scheduled, "now", lambda: datetime.now(UTC) + span)
        return Scheduler(scheduled, schedule_filename=str(tmp_path / "schedule.json"))

    return wrong_by


def seconds_until_next(scheduler: Scheduler) -> float:
    scheduler.max_interval = 10**9
    return next(delay for _ in range(5) if (delay := scheduler.tick()) > 0)


def test_tasks_continue_after_the_clock_was_set_back(clock: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    scheduler = clock(timedelta(days=1500))
    assert seconds_until_next(scheduler) <= 60
    monkeypatch.setattr(scheduler.app, "now", lambda: datetime.now(UTC))

    assert seconds_until_next(scheduler) <= 60


def test_tasks_run_after_a_start_with_a_clock_that_was_set_back(clock: Any) -> None:
    clock(timedelta(days=1500)).close()

    assert seconds_until_next(clock(timedelta(0))) <= 60


def test_an_interval_continues_after_a_restart(clock: Any) -> None:
    clock(timedelta(seconds=-45)).close()

    assert seconds_until_next(clock(timedelta(0))) <= 15


@pytest.mark.parametrize("torn", ["", "[]", '{"often": 5}', '{"often": "yesterday"}'])
def test_a_damaged_schedule_file_is_written_again(clock: Any, tmp_path: Path, torn: str) -> None:
    (tmp_path / "schedule.json").write_text(torn)
    scheduler = clock(timedelta(0))

    assert seconds_until_next(scheduler) <= 60
    scheduler.close()
    assert set(json.loads((tmp_path / "schedule.json").read_text())) == {"often"}


def test_a_full_disk_does_not_stop_the_scheduler(clock: Any, tmp_path: Path, caplog: Any) -> None:
    scheduler = clock(timedelta(0))
    (tmp_path / "schedule.json.new").symlink_to("/dev/full")
    for _ in range(3):
        scheduler.sync()

    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert seconds_until_next(scheduler) <= 60


def test_the_application_uses_this_scheduler() -> None:
    assert app.Beat(app=app).scheduler_cls == "nvr.queue.scheduler:Scheduler"
