"""Jobs for workers: clips, and web playback versions of videos."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Self, TypeVar

from django.db import IntegrityError, models, transaction
from django.db.models import F, Q
from django.utils import timezone

from media_serving import leases

# No lease and no delay is as long: a later time was set before the clock was set back.
MAX_PLAUSIBLE_WAIT = timedelta(hours=1)
WorkT = TypeVar("WorkT", bound="Work")


class WorkState(models.TextChoices):
    WAITING = "waiting"
    WORKING = "working"
    DONE = "done"
    FAILED = "failed"


class WorkQuerySet(models.QuerySet[WorkT]):
    def in_state(self, state: WorkState) -> Self:
        """Rows in a `state` other than done. The explicit exclusion makes SQLite use the partial index."""
        return self.exclude(state=WorkState.DONE).filter(state=state)

    def due(self, now: datetime) -> Self:
        """Rows that are ready for a worker."""
        is_due = Q(retry_at=None) | Q(retry_at__lte=now) | Q(retry_at__gt=now + MAX_PLAUSIBLE_WAIT)
        return self.in_state(WorkState.WAITING).filter(is_due)

    def claim(self, pk: int, *, lease: timedelta) -> bool:
        """Claim the row for `lease`; return False if it is not due or a constraint allows no more working rows."""
        now = timezone.now()
        ours = {
            "state": WorkState.WORKING,
            "attempts": F("attempts") + 1,
            "leased_until": now + lease,
            "worker": leases.WORKER,
        }
        try:
            with transaction.atomic():
                return bool(self.due(now).filter(pk=pk).update(**ours, retry_at=None))
        except IntegrityError:
            return False

    def still_leased(self, row: Work) -> Self:
        """The row if the claim that returned `row` still holds; `attempts` distinguishes it from a later claim."""
        return self.filter(pk=row.pk, state=WorkState.WORKING, attempts=row.attempts)

    def release_expired_leases(self, *, doing: str) -> None:
        """Set rows of dead workers back to waiting; mark those that killed several workers as failed."""
        now = timezone.now()
        has_expired = Q(leased_until__lt=now) | Q(leased_until__gt=now + MAX_PLAUSIBLE_WAIT)
        expired = self.in_state(WorkState.WORKING).filter(has_expired)
        died_alone = expired.filter(worker=leases.WORKER)
        for rows, limit in ((died_alone, leases.MAX_ATTEMPTS), (expired, leases.MAX_RESTARTS)):
            reason = f"The worker died {limit} times while it {doing}."
            rows.filter(attempts__gte=limit).update(state=WorkState.FAILED, reason=reason, leased_until=None)
        expired.update(state=WorkState.WAITING, leased_until=None)

    def have_stalled(self, now: datetime, *, after: timedelta) -> bool:
        """Return whether rows have waited so long that their message must be lost."""
        has_stalled = (
            self.due(now).filter(Q(sent_at__lt=now - after) | Q(sent_at__gt=now + MAX_PLAUSIBLE_WAIT)).exists()
        )
        # A busy worker sends the next row when it finishes.
        return has_stalled and not self.in_state(WorkState.WORKING).exists()

    def longest_pending(self) -> WorkT | None:
        return self.due(timezone.now()).order_by("sent_at", "pk").first()

    def mark_sent(self, row: Work) -> None:
        self.filter(pk=row.pk, state=WorkState.WAITING).update(sent_at=timezone.now(), retry_at=None)


class Work(models.Model):
    """A job's state. A worker claims a row with a lease; after the lease expires, another may claim it."""

    state = models.CharField(max_length=7, choices=WorkState, default=WorkState.WAITING)
    reason = models.CharField(max_length=500, blank=True)
    attempts = models.PositiveSmallIntegerField(default=0)
    leased_until = models.DateTimeField(null=True, blank=True)
    worker = models.CharField(max_length=12, blank=True, editable=False)  # last claimed by, as in `leases.WORKER`
    retry_at = models.DateTimeField(null=True, blank=True, help_text="When a failure is worth another attempt.")
    sent_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        abstract = True
