"""The course of a trash run: one at a time, with a worker, cancelled on disconnect, resumed after a crash."""

from __future__ import annotations

import json
import os
import socket
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from celery import current_app
from django.contrib.auth.models import User
from django.db import IntegrityError, connection
from django.utils import timezone
from kombu.exceptions import OperationalError

from nvr.audit.models import AuditEntry
from nvr.errors import Conflict
from reviewer.models import ReviewPath, RunState, TrashLines, TrashRun
from reviewer.trash import runs as trash_runs
from reviewer.trash import stream as trash_stream
from reviewer.trash import worker as trash_worker
from reviewer.trash.deletion import inspect_candidate
from tests.factories import put
from tests.reviewer.emptying import EMPTY, emptied, left_in, lines_of, of_type, trashed

pytestmark = pytest.mark.django_db(transaction=True)  # a worker has connections of its own


# One at a time, and only with a worker


def test_a_second_run_while_one_is_on_is_409(review, sent, known, reviewer):
    trash_runs.start_run(reviewer)

    answer = review.post(EMPTY)

    assert (answer.status_code, set(answer.json())) == (409, {"error"})
    assert TrashRun.objects.count() == 1


def test_the_database_lets_nobody_open_a_second_run(db):
    TrashRun.objects.create(state=RunState.WORKING, leased_until=timezone.now())
    TrashRun.objects.create(state=RunState.DONE)
    TrashRun.objects.create(state=RunState.DONE)

    with pytest.raises(IntegrityError):
        TrashRun.objects.create(state=RunState.WAITING)


def test_of_ten_who_begin_at_once_one_succeeds(reviewer, known, sent):
    outcomes: list[str] = []
    ready = threading.Barrier(10)

    def begin() -> None:
        ready.wait()
        try:
            trash_runs.start_run(reviewer)
            outcomes.append("begun")
        except Conflict:
            outcomes.append("conflict")
        finally:
            connection.close()

    threads = [threading.Thread(target=begin) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(outcomes) == ["begun"] + ["conflict"] * 9


def test_without_a_worker_it_is_503_before_the_stream(review, sent, folder, monkeypatch):
    monkeypatch.setattr(trash_stream, "WORKER_TIMEOUT_S", 0.1)
    file = trashed(folder, "a.jpg")

    answer = review.post(EMPTY)

    assert (answer.status_code, set(answer.json())) == (503, {"error"})
    assert "Retry-After" in answer
    run = TrashRun.objects.get()
    assert run.state == RunState.FAILED
    trash_worker.execute_run(run.pk)  # a worker that comes later
    assert file.exists()


def test_a_broker_that_is_away_is_503(review, known, monkeypatch):
    def refuse(*args: Any, **options: Any) -> None:
        raise OperationalError

    monkeypatch.setattr(current_app, "send_task", refuse)

    assert review.post(EMPTY).status_code == 503
    assert TrashRun.objects.get().state == RunState.FAILED


# Leaving, and cancelling


def test_a_client_that_has_left_is_seen_on_its_socket():
    ours, theirs = socket.socketpair()
    with ours:
        client_left = trash_stream.disconnect_check({"gunicorn.socket": ours})
        assert not client_left()
        theirs.send(b"more")
        assert not client_left()
        assert ours.recv(10) == b"more"
        theirs.close()
        assert client_left()
    assert not trash_stream.disconnect_check({})()


def test_whoever_leaves_while_it_waits_cancels_the_run(reviewer, known, sent):
    run = trash_runs.start_run(reviewer)

    trash_stream.wait_for_worker(run, lambda: True)

    assert TrashRun.objects.get().state == RunState.CANCELLED


@pytest.fixture
def slow(card: Path, monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """Twenty files, of which the third is not deleted before the event is set."""
    for number in range(20):
        trashed(card, f"{number:02}.jpg")
    go_on, real = threading.Event(), trash_worker.delete

    def delete(file: Any) -> int:
        if file.path.endswith(b"/02.jpg"):
            assert go_on.wait(20)
        return real(file)

    monkeypatch.setattr(trash_worker, "delete", delete)
    monkeypatch.setattr("django.conf.settings.NVR_DELETION_WORKERS", 1)
    return go_on


@pytest.fixture
def noticed(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """Set when the worker has seen the cancellation."""
    seen, record = threading.Event(), trash_worker.TrashRunAttempt.record

    def record_and_report(attempt: trash_worker.TrashRunAttempt) -> None:
        record(attempt)
        if attempt.cancelled:
            seen.set()

    monkeypatch.setattr(trash_worker.TrashRunAttempt, "record", record_and_report)
    return seen


def test_a_closed_stream_cancels_after_the_file_in_hand(review, worker, card, slow, noticed):
    answer = review.post(EMPTY)
    stream = iter(answer.streaming_content)
    next(stream)

    answer.close()
    assert noticed.wait(20)
    slow.set()
    worker[0].join()

    run = TrashRun.objects.get()
    assert (run.state, run.deleted) == (RunState.CANCELLED, 3)
    assert len(list(card.glob("*.jpg"))) == 17
    assert AuditEntry.objects.filter(action="trash_emptying_cancelled").exists()


def test_a_stream_that_nobody_began_to_read_cancels_as_well(review, worker, slow, noticed):
    answer = review.post(EMPTY)

    answer.close()
    assert noticed.wait(20)
    slow.set()
    worker[0].join()

    assert TrashRun.objects.get().state == RunState.CANCELLED


def test_a_cancelled_run_says_what_it_did(review, worker, card, slow, noticed):
    answer = review.post(EMPTY)
    cancelled = review.post(f"/api/trash-runs/{answer['X-Trash-Run']}/cancel")
    assert cancelled.status_code == 200
    assert noticed.wait(20)
    slow.set()

    lines = lines_of(answer)

    assert len(of_type(lines, "deleted")) == 20 - len(list(card.glob("*.jpg"))) <= 3
    assert lines[-1]["type"] == "done"
    assert TrashRun.objects.get().state == RunState.CANCELLED


# What is taken away from its starter in the middle


def without_permission(user: User) -> None:
    user.user_permissions.clear()


def without_group(user: User) -> None:
    user.groups.clear()


def inactive(user: User) -> None:
    User.objects.filter(pk=user.pk).update(is_active=False)


def without_path(_: User) -> None:
    ReviewPath.objects.all().delete()


@pytest.mark.parametrize("change", [without_permission, without_group, inactive, without_path])
def test_a_right_or_path_taken_in_the_middle_stops_it_at_the_next_block(
    reviewer, known, sent, card, monkeypatch, change
):
    for number in range(40):
        trashed(card, f"{number:02}.jpg")
    run, real = trash_runs.start_run(reviewer), trash_worker.delete

    def delete(file: Any) -> int:
        if file.path.endswith(b"/05.jpg"):
            change(reviewer)
            connection.close()
        return real(file)

    monkeypatch.setattr(trash_worker, "delete", delete)
    monkeypatch.setattr(trash_worker, "_pruners", [lambda root: pytest.fail("pruned what is no longer reviewed")])

    trash_worker.execute_run(run.pk)

    run.refresh_from_db()
    assert (run.state, run.deleted, len(list(card.glob("*.jpg")))) == (RunState.FAILED, 16, 24)
    assert "ranger may no longer review" in run.reason
    assert run.in_progress == []


# What dies is taken up again


ABANDONED = {"state": RunState.WORKING, "worker": "dead", "leased_until": datetime(2026, 1, 1, tzinfo=UTC)}


def abandoned(run: TrashRun) -> None:
    TrashRun.objects.filter(pk=run.pk).update(leased_until=timezone.now() - timedelta(seconds=1))


class Killed(BaseException):
    """As if the process were gone."""


def test_a_killed_run_is_resumed_and_tells_what_was_done(reviewer, known, sent, card, monkeypatch):
    for number in range(10):
        trashed(card, f"{number:02}.jpg")
    run = trash_runs.start_run(reviewer)
    monkeypatch.setattr("django.conf.settings.NVR_DELETION_WORKERS", 1)
    real = trash_worker.delete

    def delete(file: Any) -> int:
        if file.path.endswith(b"/05.jpg"):
            Path(os.fsdecode(file.path)).unlink()  # the media file is gone, its companions are not
            raise Killed
        return real(file)

    with monkeypatch.context() as patch:
        patch.setattr(trash_worker, "delete", delete)
        patch.setattr(
            trash_worker.TrashRunAttempt, "wait_and_record", dying(trash_worker.TrashRunAttempt.wait_and_record)
        )
        with pytest.raises(Killed):
            trash_worker.execute_run(run.pk)
    run.refresh_from_db()
    assert (run.state, run.deleted) == (RunState.WORKING, 0)
    assert (card / "05.jpg.trash").exists()

    trash_worker.execute_run(run.pk)  # too early: the lease holds
    assert (card / "06.jpg").exists()
    abandoned(run)
    trash_runs.maintain_runs()
    assert sent == [run.pk, run.pk]
    trash_worker.execute_run(run.pk)

    run.refresh_from_db()
    assert (run.state, run.deleted, run.errors, run.bytes_freed) == (RunState.DONE, 10, 0, 1000)
    assert not [name for name in left_in(card) if ".jpg" in name]
    lines = [json.loads(line) for block in run.lines.all() for line in block.text.splitlines()]
    assert sorted(of_type(lines, "deleted")) == [str(card / f"{number:02}.jpg") for number in range(10)]


def dying(wait_and_record: Any) -> Any:
    """Nothing is recorded once a thread has died."""

    def instead(self: Any, *futures: Any) -> Any:
        for future in futures:
            future.result()
        return wait_and_record(self, *futures)

    return instead


def test_a_worker_that_comes_back_too_late_does_nothing_more(reviewer, known, sent, card, monkeypatch):
    for number in range(40):
        trashed(card, f"{number:02}.jpg")
    run = trash_runs.start_run(reviewer)
    real = trash_worker.delete

    def delete(file: Any) -> int:
        if file.path.endswith(b"/03.jpg"):
            TrashRun.objects.filter(pk=run.pk).update(worker="another")
            connection.close()
        return real(file)

    monkeypatch.setattr(trash_worker, "delete", delete)

    trash_worker.execute_run(run.pk)

    run.refresh_from_db()
    assert run.state == RunState.WORKING
    assert len(list(card.glob("*.jpg"))) >= 24


def test_a_run_that_kills_its_workers_is_given_up(reviewer, known, sent):
    run = trash_runs.start_run(reviewer)
    TrashRun.objects.filter(pk=run.pk).update(**ABANDONED, attempts=TrashRun.MAX_ATTEMPTS)

    trash_runs.maintain_runs()

    run.refresh_from_db()
    assert run.state == RunState.FAILED
    assert sent == [run.pk]


def test_what_a_dead_worker_has_left_is_counted_once(reviewer, known, sent, folder):
    trashed(folder, "kept.jpg", ".trash", ".lock")
    original = trashed(folder, "a.jpg")
    os.link(original, folder / "kept_too.jpg")
    run = trash_runs.start_run(reviewer)
    TrashRun.objects.filter(pk=run.pk).update(**ABANDONED, attempts=1, skipped=1, errors=2, deleted=5)
    trash_runs.maintain_runs()

    trash_worker.execute_run(run.pk)

    run.refresh_from_db()
    assert (run.state, run.attempts, run.deleted, run.skipped, run.errors) == (RunState.DONE, 2, 6, 1, 0)
    assert run.bytes_freed == 0


def test_what_is_in_hand_counts_the_bytes_that_its_deletion_frees(folder):
    alone, named_twice, link = trashed(folder, "a.jpg"), trashed(folder, "b.jpg"), folder / "c.jpg"
    os.link(named_twice, folder / "also_b.jpg")
    link.symlink_to(alone)

    assert [inspect_candidate(os.fsencode(file)).freed_bytes for file in (alone, named_twice, link)] == [100, 0, 0]


def test_a_dead_run_stands_in_nobodys_way(review, worker, reviewer, known, card, folder):
    gone = folder / "gone.jpg"
    put(folder, "gone.jpg.trash", b"")
    dead = TrashRun.objects.create(
        state=RunState.WORKING,
        attempts=1,
        in_progress=[[str(gone), 7]],
        leased_until=timezone.now() - timedelta(seconds=1),
    )

    lines = emptied(review)

    dead.refresh_from_db()
    assert dead.state == RunState.FAILED
    assert of_type(lines, "deleted") == [str(gone)]
    assert not (folder / "gone.jpg.trash").exists()


def test_a_run_that_waits_for_a_second_worker_in_vain_stands_in_nobodys_way(review, worker, known, card):
    """Its message was lost after its lease had been released."""
    waiting = TrashRun.objects.create(attempts=1, sent_at=timezone.now() - TrashRun.LEASE)

    emptied(review)

    waiting.refresh_from_db()
    assert waiting.state == RunState.FAILED


def test_a_run_that_waits_for_a_second_worker_is_not_failed_by_the_periodic_task(sent):
    late = timezone.now() - TrashRun.LEASE
    waiting = TrashRun.objects.create(attempts=1, sent_at=late)
    trash_runs.maintain_runs()
    waiting.refresh_from_db()
    assert waiting.state == RunState.WAITING

    TrashRun.objects.filter(pk=waiting.pk).update(attempts=0, sent_at=late)
    trash_runs.maintain_runs()

    waiting.refresh_from_db()
    assert waiting.state == RunState.FAILED


def test_lines_of_old_runs_are_forgotten(db):
    old = TrashRun.objects.create(state=RunState.DONE, finished_at=timezone.now() - timedelta(hours=2))
    new = TrashRun.objects.create(state=RunState.DONE, finished_at=timezone.now())
    for run in (old, new):
        TrashLines.objects.create(run=run, text="{}\n")

    trash_runs.maintain_runs()

    assert [lines.run_id for lines in TrashLines.objects.all()] == [new.pk]
    assert TrashRun.objects.count() == 2
