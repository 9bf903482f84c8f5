"""The models of jobs: what a worker claims, for how long, and what becomes of it.

A message to a worker carries only the key of a row, and may be lost or delivered twice. The row decides: a worker
claims it with a lease, renews the lease while it works, and writes the outcome only while it holds the lease. After the
lease of a dead worker has expired, another worker claims the row.
"""

from __future__ import annotations

import secrets
from datetime import datetime, timedelta
from typing import Any, ClassVar, Self, TypeVar

from django.db import IntegrityError, models, transaction
from django.db.models import F, Q
from django.utils import timezone

# Identifies the worker with all its processes: set before they fork, to tell a dead process from a dead worker.
WORKER = secrets.token_hex(6)
MAX_REASON_LENGTH = 500
# Times further ahead were set before the clock was set back: waiting for them could take years.
MAX_PLAUSIBLE_DELAY = timedelta(hours=1)
MAX_LEASES_AHEAD = 3

JobT = TypeVar("JobT", bound="Job")
LeasedJobT = TypeVar("LeasedJobT", bound="LeasedJob")


class LeaseLost(Exception):
    """Another worker holds the lease: results must not be written."""


class JobState(models.TextChoices):
    WAITING = "waiting"
    WORKING = "working"
    DONE = "done"
    FAILED = "failed"


class Lease(models.Model):
    """The exclusive right of one worker, until `leased_until`, to work on a row. Each acquisition has its own token."""

    LEASE: ClassVar[timedelta]  # renewed while work is in progress; expires after the worker's death

    leased_until = models.DateTimeField(null=True, blank=True, editable=False)
    # The token of the last acquisition, in the form WORKER.random.
    worker = models.CharField(max_length=32, blank=True, editable=False)

    objects: Any

    class Meta:
        abstract = True

    def acquire(self, **values: object) -> bool:
        """Acquire the lease, writing `values` as well; return False if another worker holds it.

        The row must be fresh from the database: the lease is acquired from the former worker that the row names.
        """
        now, token = timezone.now(), new_token()
        is_free = Q(leased_until=None) | has_expired(now, self.LEASE)
        own = type(self).objects.filter(is_free, pk=self.pk, worker=self.worker)
        if not own.update(leased_until=now + self.LEASE, worker=token, **values):
            return False
        self.worker, self.leased_until = token, now + self.LEASE
        return True

    def held(self) -> models.QuerySet[Self]:
        """The row, if this acquisition still holds the lease: writes through it are fenced."""
        rows: models.QuerySet[Self] = type(self).objects.filter(pk=self.pk, worker=self.worker)
        return rows if self.worker else rows.none()

    def renew(self) -> bool:
        """Extend the lease; return False if it is lost."""
        return bool(self.held().update(leased_until=timezone.now() + self.LEASE))

    def confirm(self) -> None:
        """Renew the lease inside a transaction, which then keeps other workers out. Raises `LeaseLost`."""
        if not self.renew():
            raise LeaseLost

    def release(self) -> None:
        """End the lease, unless it is lost. The empty worker records that it was not lost by a death."""
        self.held().update(leased_until=None, worker="")


def has_expired(now: datetime, lease: timedelta) -> Q:
    """Match leases that have ended, or that end later than any lease acquired by this clock could."""
    return Q(leased_until__lte=now) | Q(leased_until__gt=now + MAX_LEASES_AHEAD * lease)


def new_token() -> str:
    return f"{WORKER}.{secrets.token_hex(8)}"


def is_of_this_worker(token: str) -> bool:
    """Return whether a process of the current worker has acquired the lease with `token`."""
    return token.startswith(f"{WORKER}.")


class JobQuerySet(models.QuerySet[JobT]):
    def in_state(self, state: str) -> Self:
        """Rows in a `state` other than done. The explicit exclusion makes SQLite use the partial index."""
        return self.exclude(state=JobState.DONE).filter(state=state)

    def due(self, now: datetime) -> Self:
        """Rows that are ready for a worker."""
        return self.in_state(JobState.WAITING).filter(is_due(now))

    def requeue(self, **values: object) -> int:
        """Set the rows back to waiting with all their attempts, as on a user's request; return how many."""
        fresh = {"state": JobState.WAITING, "attempts": 0, "reason": "", "retry_at": None, "failed_at": None}
        return self.update(**(fresh | values))

    def requeue_after_death(self, *, limit: int, reason: str) -> None:
        """Set working rows of a dead worker back to waiting; fail those with `limit` attempts."""
        now = timezone.now()
        self.filter(attempts__gte=limit).update(state=JobState.FAILED, reason=reason, failed_at=now)
        self.update(state=JobState.WAITING)


class Job(models.Model):
    """Work with a state, limited attempts, and a reason if it was postponed or has failed."""

    MAX_ATTEMPTS: ClassVar[int] = 3
    # If the whole worker was killed, the row is probably not the cause. It may be, though, so attempts are limited.
    MAX_RESTARTS: ClassVar[int] = 20

    state = models.CharField(max_length=9, choices=JobState, default=JobState.WAITING)
    reason = models.CharField(max_length=MAX_REASON_LENGTH, blank=True)
    attempts = models.PositiveSmallIntegerField(default=0)
    retry_at = models.DateTimeField(null=True, blank=True, help_text="Not processed before this time.")
    failed_at = models.DateTimeField(null=True, blank=True, editable=False)

    objects: Any

    class Meta:
        abstract = True

    def settle(self, **values: object) -> bool:
        """Write the outcome of an attempt; return False if the lease was lost and nothing was written."""
        raise NotImplementedError

    def postpone(self, reason: str, delay: timedelta, *, attempts: int = 0) -> bool:
        """Retry after `delay`. The attempt does not count, unless `attempts` says so."""
        return self.settle(
            state=JobState.WAITING,
            reason=reason[:MAX_REASON_LENGTH],
            retry_at=timezone.now() + delay,
            attempts=attempts,
        )

    def fail(self, reason: str) -> bool:
        return self.settle(
            state=JobState.FAILED, reason=reason[:MAX_REASON_LENGTH], retry_at=None, failed_at=timezone.now()
        )

    def retry_or_fail(self, reason: str, delay: timedelta) -> bool:
        """Retry up to `MAX_ATTEMPTS` times, then fail: the cause may be temporary, or this job."""
        if self.attempts >= self.MAX_ATTEMPTS:
            return self.fail(reason)
        return self.postpone(reason, delay, attempts=self.attempts)


class LeasedJobQuerySet(JobQuerySet[LeasedJobT]):
    def working(self) -> Self:
        return self.in_state(JobState.WORKING)

    def expired(self, now: datetime) -> Self:
        """Working rows whose worker has died."""
        return self.working().filter(has_expired(now, self.model.LEASE))

    def claim(self, pk: int, **values: object) -> LeasedJobT | None:
        """Claim the row if it is due, writing `values` as well; None if it is not, or no more rows may be working."""
        now, token = timezone.now(), new_token()
        claimed = {
            "state": JobState.WORKING,
            "attempts": F("attempts") + 1,
            "leased_until": now + self.model.LEASE,
            "worker": token,
            "retry_at": None,
        }
        try:
            with transaction.atomic():
                if not self.model.objects.due(now).filter(pk=pk).update(**claimed, **values):
                    return None
        except IntegrityError:  # a constraint limits how many rows are working
            return None
        return self.filter(pk=pk, worker=token).first()

    def release_expired(self) -> None:
        """Set rows of dead workers back to waiting; abandon those that killed several workers."""
        expired = self.expired(timezone.now())
        died_alone = expired.filter(worker__startswith=f"{WORKER}.", attempts__gte=self.model.MAX_ATTEMPTS)
        for job in died_alone | expired.filter(attempts__gte=self.model.MAX_RESTARTS):
            if job.acquire():  # otherwise the worker has renewed its lease after all
                job.abandon()
        # With a `retry_at`, the rows are sent at once instead of when their message seems lost.
        expired.update(state=JobState.WAITING, leased_until=None, worker="", retry_at=timezone.now())

    def have_stalled(self, now: datetime) -> bool:
        """Return whether rows have waited so long that their message must be lost."""
        is_old = Q(sent_at__lt=now - self.model.RESEND_AFTER) | Q(sent_at__gt=now + MAX_PLAUSIBLE_DELAY)
        # A busy worker sends the next row when it finishes.
        return self.due(now).filter(is_old).exists() and not self.working().exists()

    def longest_pending(self) -> LeasedJobT | None:
        return self.due(timezone.now()).order_by("sent_at", "pk").first()


class LeasedJob(Lease, Job):
    """A job that a worker claims by its key. The task `TASK` of the queue `QUEUE` processes it."""

    TASK: ClassVar[str]
    QUEUE: ClassVar[str] = "bulk"
    LEASE: ClassVar[timedelta] = timedelta(seconds=60)
    RETRY_DELAY: ClassVar[timedelta] = timedelta(minutes=5)  # after errors of the disk, memory or ffmpeg
    RESEND_AFTER: ClassVar[timedelta] = timedelta(minutes=2)

    sent_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        abstract = True

    def held(self) -> models.QuerySet[Self]:
        return super().held().filter(state=JobState.WORKING)

    def settle(self, **values: object) -> bool:
        return bool(self.held().update(leased_until=None, worker="", **values))

    def release(self) -> None:
        """Set the row back to waiting: it made progress, and a worker continues later."""
        self.settle(state=JobState.WAITING, attempts=0, reason="", sent_at=timezone.now())

    def abandon(self) -> None:
        """Fail the row of workers that died, with their lease acquired."""
        name = self._meta.verbose_name
        self.fail(f"The worker died {self.attempts} times while it processed this {name}.")


class NoRows(models.Manager["FailedJob"]):
    def get_queryset(self) -> models.QuerySet[FailedJob]:
        return super().get_queryset().none()


class FailedJob(models.Model):
    """The admin's entry for the failed jobs of all apps. It has no table, so it answers every query with no rows."""

    objects = NoRows()

    class Meta:
        managed = False
        default_permissions = ()
        base_manager_name = "objects"  # `dumpdata --all` reads it

    def __str__(self) -> str:
        return "failed job"


def is_due(now: datetime) -> Q:
    return Q(retry_at=None) | Q(retry_at__lte=now) | Q(retry_at__gt=now + MAX_PLAUSIBLE_DELAY)


def leased_job_constraints(
    name: str, states: type[models.TextChoices] = JobState
) -> tuple[models.CheckConstraint, ...]:
    """Constraints for the table of a leased job; `name` is their prefix."""
    has_lease = ~Q(state=JobState.WORKING) | Q(leased_until__isnull=False)
    return (
        models.CheckConstraint(condition=Q(state__in=states.values), name=f"{name}_state_is_known"),
        models.CheckConstraint(condition=has_lease, name=f"{name}_has_lease"),
        models.CheckConstraint(condition=~Q(state=JobState.FAILED) | ~Q(reason=""), name=f"{name}_says_why"),
    )
