"""The worker's loop: errors and their outcomes, messages, renewal, and two workers at once."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from celery import current_app
from django.db import DatabaseError, OperationalError, connection
from django.utils import timezone
from kombu.exceptions import OperationalError as BrokerError

from nvr.errors import Invalid, StorageFull, Unavailable
from nvr.jobs import worker
from nvr.jobs.dispatch import send, send_after_commit, send_next, send_task
from nvr.jobs.models import JobState, LeaseLost
from nvr.jobs.worker import send_pending, send_pending_of
from nvr.media.ffmpeg.processes import FfmpegKilled, FfmpegMissing, FfmpegOutOfSpace
from tests.jobs.conftest import Clock
from tests.jobs.models import SampleJob

DEADLINE_S = 60


def new_job(**values: object) -> SampleJob:
    return SampleJob.objects.create(**values)


def do(job: SampleJob) -> None:
    job.settle(state=JobState.DONE, outcomes=[*job.outcomes, job.worker])


def failing(error: BaseException) -> Callable[[SampleJob], None]:
    def perform(job: SampleJob) -> None:
        raise error

    return perform


@pytest.mark.django_db
def test_a_job_is_performed_once(sent: list[int]) -> None:
    job = new_job()

    worker.run(SampleJob, job.pk, do)
    worker.run(SampleJob, job.pk, failing(AssertionError("performed twice")))

    job.refresh_from_db()
    assert (job.state, job.attempts, len(job.outcomes)) == (JobState.DONE, 1, 1)


POSTPONED = [
    Unavailable("The volume is away."),
    FfmpegMissing(),
    OSError(errno.EIO, "Input/output error"),
    StorageFull(),
    FfmpegOutOfSpace(),
    OSError(errno.ENOSPC, "No space left on device"),
]


@pytest.mark.django_db
@pytest.mark.parametrize("error", POSTPONED, ids=lambda error: f"{type(error).__name__} {getattr(error, 'errno', '')}")
def test_errors_of_the_machine_postpone_for_as_long_as_it_takes(
    clock: Clock, sent: list[int], error: Exception
) -> None:
    job = new_job()
    for _ in range(SampleJob.MAX_ATTEMPTS + 1):
        worker.run(SampleJob, job.pk, failing(error))
        clock.advance(SampleJob.RETRY_DELAY.total_seconds())

    job.refresh_from_db()
    assert (job.state, job.attempts) == (JobState.WAITING, 0)
    assert job.reason
    assert job.retry_at == clock.now()


@pytest.mark.django_db
@pytest.mark.parametrize("error", [FfmpegKilled(), RuntimeError("never thought of")], ids=lambda e: type(e).__name__)
def test_errors_that_the_job_may_cause_are_retried_a_few_times(clock: Clock, sent: list[int], error: Exception) -> None:
    job = new_job()
    for _ in range(SampleJob.MAX_ATTEMPTS):
        job.refresh_from_db()
        assert job.state == JobState.WAITING
        worker.run(SampleJob, job.pk, failing(error))
        clock.advance(SampleJob.RETRY_DELAY.total_seconds())

    job.refresh_from_db()
    assert (job.state, job.attempts) == (JobState.FAILED, SampleJob.MAX_ATTEMPTS)


@pytest.mark.django_db
def test_an_error_of_the_job_fails_it_at_once(sent: list[int]) -> None:
    job = new_job()

    worker.run(SampleJob, job.pk, failing(Invalid("The video ends in the middle of a frame.")))

    job.refresh_from_db()
    assert (job.state, job.reason) == (JobState.FAILED, "The video ends in the middle of a frame.")


@pytest.mark.django_db
def test_a_full_disk_can_have_its_own_answer(sent: list[int]) -> None:
    job, told = new_job(), list[str]()

    worker.run(
        SampleJob,
        job.pk,
        failing(OSError(errno.ENOSPC, "No space left on device")),
        on_full_disk=lambda job, reason: told.append(reason),
    )

    assert told == ["The disk is full."]


@pytest.mark.django_db
@pytest.mark.parametrize("error", [DatabaseError("gone"), KeyboardInterrupt()], ids=lambda e: type(e).__name__)
def test_what_ends_the_process_leaves_the_job_to_the_lease(clock: Clock, sent: list[int], error: BaseException) -> None:
    job = new_job()

    with pytest.raises(type(error)):
        worker.run(SampleJob, job.pk, failing(error))

    job.refresh_from_db()
    assert job.state == JobState.WORKING
    clock.advance(SampleJob.LEASE.total_seconds())
    worker.run(SampleJob, job.pk, do)
    job.refresh_from_db()
    assert (job.state, job.attempts) == (JobState.DONE, 2)


@pytest.mark.django_db
def test_a_lost_lease_is_logged_and_changes_nothing(sent: list[int], caplog: pytest.LogCaptureFixture) -> None:
    job = new_job()

    worker.run(SampleJob, job.pk, failing(LeaseLost()))

    job.refresh_from_db()
    assert (job.state, job.reason) == (JobState.WORKING, "")
    assert "lease lost job=samplejob" in caplog.text


# Messages


@pytest.mark.django_db
def test_the_end_of_a_job_sends_the_one_that_has_waited_longest(clock: Clock, sent: list[int]) -> None:
    older, newer = (new_job(sent_at=clock.now() - timedelta(seconds=age)) for age in (9, 5))

    worker.run(SampleJob, newer.pk, do)

    assert sent == [older.pk]


@pytest.mark.django_db
def test_postponed_jobs_are_sent_when_they_are_due(clock: Clock, sent: list[int]) -> None:
    now = clock.now()
    due, later = (new_job(sent_at=now, retry_at=now + timedelta(seconds=delay)) for delay in (5, 600))
    send_pending_of(SampleJob)
    assert sent == []

    clock.advance(5)
    send_pending_of(SampleJob)
    send_pending_of(SampleJob)

    assert sent == [due.pk], "once"
    later.refresh_from_db()
    assert later.retry_at is not None


@pytest.mark.django_db
def test_a_lost_message_is_sent_again_unless_a_worker_is_busy(clock: Clock, sent: list[int]) -> None:
    job = new_job(sent_at=clock.now())
    busy = new_job(state=JobState.WORKING, worker="x", leased_until=clock.now() + timedelta(days=1))
    clock.advance(SampleJob.RESEND_AFTER.total_seconds() + 1)
    SampleJob.objects.filter(pk=busy.pk).update(leased_until=clock.now() + SampleJob.LEASE)
    send_pending_of(SampleJob)
    assert sent == []

    busy.delete()
    send_pending_of(SampleJob)

    assert sent == [job.pk]


@pytest.mark.django_db
def test_a_message_sent_by_a_clock_ahead_counts_as_lost(clock: Clock, sent: list[int]) -> None:
    job = new_job(sent_at=clock.now() + timedelta(days=1))

    send_pending_of(SampleJob)

    assert sent == [job.pk]


@pytest.mark.django_db
def test_jobs_of_a_dead_worker_are_sent_with_the_next_poll(clock: Clock, sent: list[int]) -> None:
    job = new_job(sent_at=clock.now())
    assert SampleJob.objects.claim(job.pk) is not None
    send_pending_of(SampleJob)
    assert sent == []

    clock.advance(SampleJob.LEASE.total_seconds())
    send_pending_of(SampleJob)

    assert sent == [job.pk]


@pytest.mark.django_db
def test_pending_jobs_of_every_model_are_sent_even_if_one_fails(
    clock: Clock, sent: list[int], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    job, of_one_model = new_job(retry_at=clock.now()), worker.send_pending_of
    models = list[str]()

    def send_or_fail(model: type[SampleJob]) -> None:
        models.append(model.__name__)
        if model is not SampleJob:
            raise RuntimeError("broken")
        of_one_model(model)

    monkeypatch.setattr(worker, "send_pending_of", send_or_fail)
    send_pending()

    assert sent == [job.pk]
    assert {"SampleJob", "ClipWork", "Transcode", "Purge", "TrashRun"} == {*models}
    assert "pending jobs not sent job=clipwork" in caplog.text


@pytest.mark.django_db
def test_without_a_broker_jobs_stay_pending(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object, **kwargs: object) -> None:
        raise BrokerError("no broker")

    monkeypatch.setattr(current_app, "send_task", refuse)
    job = new_job()

    assert not send(job)
    assert not send_task("tests.sample", queue="bulk")
    send_next(SampleJob)

    job.refresh_from_db()
    assert job.state == JobState.WAITING


@pytest.mark.django_db
def test_a_job_is_sent_when_its_transaction_is_committed(
    sent: list[int], django_capture_on_commit_callbacks: Callable[..., object]
) -> None:
    job = new_job()
    with django_capture_on_commit_callbacks(execute=True):  # type: ignore[attr-defined]
        send_after_commit(job)
        assert sent == []

    assert sent == [job.pk]


# Several workers


def in_threads(number: int, call: Callable[[int], object]) -> list[object]:
    barrier = threading.Barrier(number)

    def run(index: int) -> object:
        try:
            barrier.wait(DEADLINE_S)
            return call(index)
        finally:
            connection.close()

    with ThreadPoolExecutor(number) as pool:
        return list(pool.map(run, range(number)))


@pytest.mark.django_db(transaction=True)
def test_of_workers_that_claim_at_once_one_succeeds() -> None:
    for _ in range(5):
        job = new_job()

        claims = in_threads(6, lambda index, pk=job.pk: SampleJob.objects.claim(pk))  # type: ignore[misc]

        assert sum(claim is not None for claim in claims) == 1
        job.refresh_from_db()
        assert job.attempts == 1


@pytest.mark.django_db(transaction=True)
def test_of_workers_that_acquire_a_dead_workers_lease_one_succeeds(clock: Clock) -> None:
    for _ in range(5):
        job = SampleJob.objects.claim(new_job().pk)
        assert job is not None
        clock.advance(SampleJob.LEASE.total_seconds())

        acquired = in_threads(6, lambda index, pk=job.pk: SampleJob.objects.get(pk=pk).acquire())  # type: ignore[misc]

        assert acquired.count(True) >= 1
        stored = SampleJob.objects.get(pk=job.pk)
        assert stored.worker != job.worker
        assert not job.renew()


@pytest.mark.django_db(transaction=True)
def test_workers_that_die_at_random_do_every_job_once(sent: list[int]) -> None:
    """Four workers and twelve jobs; every third attempt dies, and its lease is ended for it."""
    keys = [new_job().pk for _ in range(12)]
    attempts = iter(range(1, 10_000))
    deadline = time.monotonic() + DEADLINE_S

    def dying(job: SampleJob) -> None:
        if next(attempts) % 3 == 0:
            SampleJob.objects.filter(pk=job.pk).update(leased_until=timezone.now())
            raise KeyboardInterrupt
        do(job)

    def work(index: int) -> None:
        while SampleJob.objects.exclude(state=JobState.DONE).exists() and time.monotonic() < deadline:
            for key in keys[index:] + keys[:index]:
                try:
                    worker.run(SampleJob, key, dying)
                except KeyboardInterrupt:
                    pass
                except OperationalError:  # SQLite gives up waiting for the other writers
                    connection.close()

    in_threads(4, work)

    assert [len(job.outcomes) for job in SampleJob.objects.all()] == [1] * len(keys)


@pytest.mark.django_db(transaction=True)
def test_the_lease_is_renewed_while_the_job_runs(sent: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SampleJob, "LEASE", timedelta(seconds=0.4))
    job = new_job()

    def long(job: SampleJob) -> None:
        first, deadline = job.leased_until, time.monotonic() + DEADLINE_S
        assert first is not None
        # Longer than two leases: without renewal, another worker could claim the job.
        while SampleJob.objects.filter(pk=job.pk, leased_until__lt=first + 2 * SampleJob.LEASE).exists():
            assert time.monotonic() < deadline, "never renewed"
            time.sleep(0.02)
        do(job)

    worker.run(SampleJob, job.pk, long)

    job.refresh_from_db()
    assert (job.state, job.attempts) == (JobState.DONE, 1)


@pytest.mark.django_db(transaction=True)
def test_renewal_survives_a_database_that_fails_for_a_while(
    sent: list[int], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(SampleJob, "LEASE", timedelta(seconds=0.2))
    renew, calls, renewed = SampleJob.renew, iter(range(1000)), threading.Event()

    def renew_after_two_errors(job: SampleJob) -> bool:
        if next(calls) < 2:
            raise OperationalError("the database is away")
        renewed.set()
        return renew(job)

    monkeypatch.setattr(SampleJob, "renew", renew_after_two_errors)

    def long(job: SampleJob) -> None:
        assert renewed.wait(DEADLINE_S)
        do(job)

    job = new_job()
    worker.run(SampleJob, job.pk, long)

    job.refresh_from_db()
    assert job.state == JobState.DONE
    assert caplog.text.count("lease not renewed job=samplejob") == 2


@pytest.mark.django_db(transaction=True)
def test_renewal_ends_with_a_lost_lease(sent: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SampleJob, "LEASE", timedelta(seconds=0.2))
    before = threading.active_count()

    def long(job: SampleJob) -> None:
        SampleJob.objects.filter(pk=job.pk).update(worker="another")
        deadline = time.monotonic() + DEADLINE_S
        while threading.active_count() > before:
            assert time.monotonic() < deadline, "still renewing"
            time.sleep(0.02)

    job = new_job()
    worker.run(SampleJob, job.pk, long)

    job.refresh_from_db()
    assert job.worker == "another"


PROCESS = """
import django, sys, time
django.setup()
from nvr.jobs import worker
from tests.jobs.models import SampleJob
def hang(job):
    print("working", flush=True)
    time.sleep(600)
worker.run(SampleJob, int(sys.argv[1]), hang)
"""


@pytest.mark.django_db(transaction=True)
def test_a_killed_worker_process_leaves_its_job_to_the_next(sent: list[int]) -> None:
    job, database = new_job(), connection.settings_dict
    setup = f"from django.conf import settings; settings.DATABASES['default'].update(NAME={database['NAME']!r})\n"
    process = subprocess.Popen(
        [sys.executable, "-c", setup + PROCESS, str(job.pk)],
        env=os.environ | {"DJANGO_SETTINGS_MODULE": "tests.settings"},
        stdout=subprocess.PIPE,
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == b"working\n"
    finally:
        process.send_signal(signal.SIGKILL)
        process.communicate()

    worker.run(SampleJob, job.pk, do)
    job.refresh_from_db()
    assert job.state == JobState.WORKING, "the lease has not expired"
    SampleJob.objects.update(leased_until=timezone.now() - timedelta(seconds=1))
    worker.run(SampleJob, job.pk, do)

    job.refresh_from_db()
    assert (job.state, job.attempts) == (JobState.DONE, 2)
