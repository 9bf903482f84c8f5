"""Rows that ask for something a worker makes: clips, and playable forms of videos."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Self, TypeVar

from django.db import IntegrityError, models, transaction
from django.db.models import F, Q
from django.utils import timezone

from media_serving import leases

# No lease and no pause is as long: what ends later was set by a clock that has been put back since.
MAX_PLAUSIBLE_WAIT = timedelta(hours=1)
WorkT = TypeVar("WorkT", bound="Work")


class WorkState(models.TextChoices):
    WAITING = "waiting"
    WORKING = "working"
    DONE = "done"
    FAILED = "failed"


class WorkQuerySet(models.QuerySet[WorkT]):
    def in_state(self, state: WorkState) -> Self:
        """Not for what is done: the others have an index of their own, which SQLite uses only if told so."""
        return self.exclude(state=WorkState.DONE).filter(state=state)

    def due(self, now: datetime) -> Self:
        """Those that wait for nothing but a worker."""
        is_due = Q(retry_at=None) | Q(retry_at__lte=now) | Q(retry_at__gt=now + MAX_PLAUSIBLE_WAIT)
        return self.in_state(WorkState.WAITING).filter(is_due)

    def claim(self, pk: int, *, lease: timedelta) -> bool:
        """Whether the row is the caller's now, for `lease`; not if it does not wait, or the database allows no more."""
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
        """The row, if it still is whose who claimed it as `row`: `attempts` tells this attempt from a later one's."""
        return self.filter(pk=row.pk, state=WorkState.WORKING, attempts=row.attempts)

    def release_expired_leases(self, *, doing: str) -> None:
        """Rows whose worker died wait again; those that killed several are given up, and say so."""
        now = timezone.now()
        has_expired = Q(leased_until__lt=now) | Q(leased_until__gt=now + MAX_PLAUSIBLE_WAIT)
        expired = self.in_state(WorkState.WORKING).filter(has_expired)
        died_alone = expired.filter(worker=leases.WORKER)
        for rows, limit in ((died_alone, leases.MAX_ATTEMPTS), (expired, leases.MAX_RESTARTS)):
            reason = f"The worker died {limit} times while it {doing}."
            rows.filter(attempts__gte=limit).update(state=WorkState.FAILED, reason=reason, leased_until=None)
        expired.update(state=WorkState.WAITING, leased_until=None)

    def have_stalled(self, now: datetime, *, after: timedelta) -> bool:
        """Whether some have waited so long for a worker that nobody can be on the way to them."""
        has_stalled = (
            self.due(now).filter(Q(sent_at__lt=now - after) | Q(sent_at__gt=now + MAX_PLAUSIBLE_WAIT)).exists()
        )
        # Whoever is at work hands on the next one.
        return has_stalled and not self.in_state(WorkState.WORKING).exists()

    def longest_pending(self) -> WorkT | None:
        return self.due(timezone.now()).order_by("sent_at", "pk").first()

    def mark_sent(self, row: Work) -> None:
        self.filter(pk=row.pk, state=WorkState.WAITING).update(sent_at=timezone.now(), retry_at=None)


class Work(models.Model):
    """How far the making is. Whoever claims a row holds a lease; when that lapses, the row is free for another."""

    state = models.CharField(max_length=7, choices=WorkState, default=WorkState.WAITING)
    reason = models.CharField(max_length=500, blank=True)
    attempts = models.PositiveSmallIntegerField(default=0)
    leased_until = models.DateTimeField(null=True, blank=True)
    worker = models.CharField(max_length=12, blank=True, editable=False)  # that claimed it last, as `leases.WORKER`
    retry_at = models.DateTimeField(null=True, blank=True, help_text="When a failure is worth another attempt.")
    sent_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        abstract = True
