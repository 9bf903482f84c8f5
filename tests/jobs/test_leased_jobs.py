"""One worker's view of a job: claim, renew, settle, and what a lost lease prevents."""

from __future__ import annotations

import secrets
from datetime import datetime, timedelta

import pytest
from django.db import IntegrityError, connection, transaction
from django.utils import timezone

from cameras.models import Camera
from media_serving.models import CameraLease
from nvr.jobs import models
from nvr.jobs.models import MAX_PLAUSIBLE_DELAY, JobState, LeaseLost
from tests.jobs.conftest import Clock
from tests.jobs.models import SampleJob

pytestmark = pytest.mark.django_db
LEASE_S = SampleJob.LEASE.total_seconds()


def new_job(**values: object) -> SampleJob:
    return SampleJob.objects.create(**values)


def claimed(**values: object) -> SampleJob:
    job = SampleJob.objects.claim(new_job(**values).pk)
    assert job is not None
    return job


def stored(job: SampleJob) -> SampleJob:
    return SampleJob.objects.get(pk=job.pk)


def another_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    """Continue as a worker that was started later."""
    monkeypatch.setattr(models, "WORKER", secrets.token_hex(6))


def test_a_claim_takes_the_job_for_one_lease_and_counts_the_attempt(clock: Clock) -> None:
    job = claimed()

    assert (job.state, job.attempts, job.retry_at) == (JobState.WORKING, 1, None)
    assert job.leased_until == clock.now() + SampleJob.LEASE
    assert models.is_of_this_worker(job.worker)


def test_a_claim_writes_the_given_values(clock: Clock) -> None:
    job = SampleJob.objects.claim(new_job().pk, outcomes=["begun"])

    assert job is not None
    assert job.outcomes == ["begun"]


@pytest.mark.parametrize("state", [JobState.WORKING, JobState.DONE, JobState.FAILED])
def test_only_a_waiting_job_is_claimed(clock: Clock, state: JobState) -> None:
    job = new_job(state=state, reason="broken", leased_until=clock.now() - timedelta(days=1))

    assert SampleJob.objects.claim(job.pk) is None
    assert stored(job).attempts == 0


def test_a_missing_job_is_not_claimed() -> None:
    assert SampleJob.objects.claim(987_654) is None


def test_a_postponed_job_is_claimed_when_its_time_has_come(clock: Clock) -> None:
    job = new_job(retry_at=clock.now() + timedelta(seconds=30))
    assert SampleJob.objects.claim(job.pk) is None

    clock.advance(30)

    assert SampleJob.objects.claim(job.pk) is not None


def test_a_delay_that_no_clock_of_today_could_have_set_does_not_count(clock: Clock) -> None:
    """As after the clock was set back."""
    job = new_job(retry_at=clock.now() + MAX_PLAUSIBLE_DELAY + timedelta(seconds=1))

    assert SampleJob.objects.claim(job.pk) is not None


def test_renewing_extends_the_lease_from_now(clock: Clock) -> None:
    job = claimed()
    clock.advance(LEASE_S / 2)

    assert job.renew()

    assert stored(job).leased_until == clock.now() + SampleJob.LEASE


def lose_lease(job: SampleJob, clock: Clock) -> SampleJob:
    """Let the lease expire, and return the claim of the next worker."""
    clock.advance(LEASE_S + 1)
    SampleJob.objects.release_expired()
    successor = SampleJob.objects.claim(job.pk)
    assert successor is not None
    return successor


def test_without_the_lease_nothing_is_written(clock: Clock) -> None:
    late = claimed()
    successor = lose_lease(late, clock)

    assert not late.renew()
    assert not late.settle(state=JobState.DONE)
    assert not late.fail("too late")
    assert not late.postpone("too late", timedelta(0))
    late.release()
    with pytest.raises(LeaseLost):
        late.confirm()

    now = stored(late)
    assert (now.state, now.reason, now.worker) == (JobState.WORKING, "", successor.worker)
    assert now.leased_until == successor.leased_until


def test_the_lease_stays_lost_when_attempts_are_reset(clock: Clock) -> None:
    """Attempts could not tell two claims apart: a user's retry resets them, and the next claim counts from 1 again."""
    late = claimed()
    clock.advance(LEASE_S + 1)
    SampleJob.objects.release_expired()
    SampleJob.objects.filter(pk=late.pk).requeue()
    successor = SampleJob.objects.claim(late.pk)
    assert successor is not None
    assert successor.attempts == late.attempts

    assert not late.settle(state=JobState.DONE)
    assert successor.settle(state=JobState.DONE)


def test_a_job_that_was_never_claimed_is_not_held() -> None:
    job = new_job()

    assert not job.renew()
    assert not job.settle(state=JobState.DONE)
    assert stored(job).state == JobState.WAITING


def test_an_expired_lease_that_nobody_took_can_still_be_used(clock: Clock) -> None:
    """A worker that was slow, and whose job nobody else wanted, need not do it again."""
    job = claimed()
    clock.advance(10 * LEASE_S)

    assert job.settle(state=JobState.DONE)


def test_confirm_renews_inside_a_transaction(clock: Clock) -> None:
    job = claimed()
    clock.advance(5)

    with transaction.atomic():
        job.confirm()

    assert stored(job).leased_until == clock.now() + SampleJob.LEASE


def test_releasing_sets_the_job_back_with_all_its_attempts(clock: Clock) -> None:
    job = claimed()
    clock.advance(5)

    job.release()

    now = stored(job)
    assert (now.state, now.attempts, now.leased_until, now.worker) == (JobState.WAITING, 0, None, "")
    assert now.sent_at == clock.now()


def test_a_postponed_attempt_does_not_count(clock: Clock) -> None:
    job = claimed()

    assert job.postpone("The disk is away.", timedelta(minutes=5))

    now = stored(job)
    assert (now.state, now.reason, now.attempts) == (JobState.WAITING, "The disk is away.", 0)
    assert now.retry_at == clock.now() + timedelta(minutes=5)


def test_a_job_fails_after_its_last_attempt(clock: Clock) -> None:
    pk = new_job().pk
    for attempt in range(1, SampleJob.MAX_ATTEMPTS + 1):
        job = SampleJob.objects.claim(pk)
        assert job is not None
        assert job.attempts == attempt
        job.retry_or_fail("It broke.", timedelta(seconds=1))
        clock.advance(1)

    now = SampleJob.objects.get(pk=pk)
    assert (now.state, now.reason, now.retry_at) == (JobState.FAILED, "It broke.", None)
    assert now.failed_at == clock.now() - timedelta(seconds=1)
    assert SampleJob.objects.claim(pk) is None


def test_a_long_reason_is_cut_to_the_column(clock: Clock) -> None:
    job = claimed()

    job.fail("x" * 1000)

    assert stored(job).reason == "x" * models.MAX_REASON_LENGTH


def test_requeue_restores_all_attempts(clock: Clock) -> None:
    job = claimed()
    job.fail("It broke.")

    assert SampleJob.objects.filter(pk=job.pk).requeue() == 1

    now = stored(job)
    assert (now.state, now.reason, now.attempts, now.failed_at) == (JobState.WAITING, "", 0, None)
    assert SampleJob.objects.claim(job.pk) is not None


# Leases of dead workers


def test_a_lease_that_has_not_expired_is_not_released(clock: Clock) -> None:
    job = claimed()
    clock.advance(LEASE_S - 1)
    SampleJob.objects.release_expired()
    assert stored(job).state == JobState.WORKING

    clock.advance(1)
    SampleJob.objects.release_expired()

    assert stored(job).state == JobState.WAITING


def test_a_released_job_is_due_at_once(clock: Clock) -> None:
    job = claimed()
    clock.advance(LEASE_S)

    SampleJob.objects.release_expired()

    assert stored(job).retry_at == clock.now()
    assert list(SampleJob.objects.due(clock.now())) == [job]


@pytest.mark.parametrize("back_s", [LEASE_S * models.MAX_LEASES_AHEAD, 3600, 365 * 86_400])
def test_a_lease_from_before_the_clock_was_set_back_expires(clock: Clock, back_s: float) -> None:
    job = claimed()

    clock.advance(-back_s)
    SampleJob.objects.release_expired()

    assert stored(job).state == JobState.WAITING


def test_a_clock_set_back_a_little_takes_no_live_workers_lease(clock: Clock) -> None:
    job = claimed()

    clock.advance(-LEASE_S)
    SampleJob.objects.release_expired()

    assert stored(job).state == JobState.WORKING
    assert job.renew()


@pytest.mark.parametrize("worker_dies_too", [False, True])
def test_a_job_that_kills_its_workers_is_abandoned(
    clock: Clock, monkeypatch: pytest.MonkeyPatch, worker_dies_too: bool
) -> None:
    """A process that dies alone was probably killed by the job; if the whole worker died, probably not."""
    pk, deaths = new_job().pk, 0
    while SampleJob.objects.claim(pk):
        deaths += 1
        clock.advance(LEASE_S)
        if worker_dies_too:
            another_worker(monkeypatch)
        SampleJob.objects.release_expired()

    job = SampleJob.objects.get(pk=pk)
    assert job.state == JobState.FAILED
    assert deaths == (SampleJob.MAX_RESTARTS if worker_dies_too else SampleJob.MAX_ATTEMPTS)
    assert job.reason == f"The worker died {deaths} times while it processed this sample."
    assert job.failed_at == clock.now()


def test_a_worker_that_renews_at_the_last_second_is_not_abandoned(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = claimed(attempts=SampleJob.MAX_ATTEMPTS)
    clock.advance(LEASE_S)
    acquire = SampleJob.acquire

    def renewed_first(expired: SampleJob) -> bool:
        assert job.renew()
        return acquire(expired)

    monkeypatch.setattr(SampleJob, "acquire", renewed_first)
    SampleJob.objects.release_expired()

    assert stored(job).state == JobState.WORKING
    assert job.settle(state=JobState.DONE)


# The database's part


@pytest.mark.parametrize(
    "values",
    [
        {"state": "unknown"},
        {"state": JobState.WORKING, "leased_until": None},
        {"state": JobState.FAILED, "reason": ""},
    ],
)
def test_the_database_refuses_rows_that_make_no_sense(values: dict[str, object]) -> None:
    new_job(state=JobState.WORKING, leased_until=timezone.now())
    new_job(state=JobState.FAILED, reason="It broke.")

    with pytest.raises(IntegrityError), transaction.atomic():
        new_job(**values)


def test_a_constraint_that_forbids_the_claim_makes_it_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    job = new_job()
    with connection.cursor() as cursor:
        cursor.execute(
            "CREATE UNIQUE INDEX sample_one_at_a_time ON jobs_tests_samplejob (state) WHERE state = 'working'"
        )
    new_job(state=JobState.WORKING, leased_until=timezone.now() + timedelta(seconds=60))

    assert SampleJob.objects.claim(job.pk) is None
    assert stored(job).state == JobState.WAITING


def test_times_are_compared_in_the_database_as_in_python(clock: Clock) -> None:
    """SQLite compares text: a time without microseconds must not sort after one with them."""
    clock.time = datetime(2026, 6, 1, 12, 0, 0, 0, tzinfo=clock.time.tzinfo)
    job = new_job(retry_at=clock.time)

    assert list(SampleJob.objects.due(clock.time + timedelta(microseconds=1))) == [job]
    assert list(SampleJob.objects.due(clock.time)) == [job]
    assert not SampleJob.objects.due(clock.time - timedelta(microseconds=1)).exists()


# A lease without a job, as on a camera's uploads


@pytest.fixture
def lease(camera: Camera) -> CameraLease:
    return CameraLease.objects.create(camera=camera)


def reread(lease: CameraLease) -> CameraLease:
    return CameraLease.objects.get(pk=lease.pk)


def test_a_free_lease_is_acquired_with_the_given_values(lease: CameraLease, clock: Clock) -> None:
    assert lease.acquire(detector="motion")

    assert lease.renew()
    now = reread(lease)
    assert (now.worker, now.leased_until, now.detector) == (lease.worker, clock.now() + CameraLease.LEASE, "motion")


def test_a_lease_that_another_worker_holds_is_not_acquired(lease: CameraLease, clock: Clock) -> None:
    assert lease.acquire()
    other = reread(lease)

    assert not other.acquire(detector="motion")

    assert lease.renew()
    assert reread(lease).detector == ""


def test_an_expired_lease_is_acquired_from_the_worker_that_is_named(lease: CameraLease, clock: Clock) -> None:
    assert lease.acquire()
    first, second = reread(lease), reread(lease)
    clock.advance(CameraLease.LEASE.total_seconds())

    assert first.acquire()
    clock.advance(CameraLease.LEASE.total_seconds())

    assert not second.acquire(), "the lease has changed hands since it was read"
    assert not lease.renew()
    assert first.renew()


def test_a_released_lease_is_free_and_names_no_worker(lease: CameraLease, clock: Clock) -> None:
    assert lease.acquire()

    lease.release()

    now = reread(lease)
    assert (now.worker, now.leased_until) == ("", None)
    assert not lease.renew()
    assert now.acquire()


def test_releasing_a_lost_lease_frees_nothing(lease: CameraLease, clock: Clock) -> None:
    assert lease.acquire()
    clock.advance(CameraLease.LEASE.total_seconds())
    successor = reread(lease)
    assert successor.acquire()

    lease.release()

    assert successor.renew()
