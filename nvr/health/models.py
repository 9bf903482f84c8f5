"""Heartbeats of processes, and the outages of the application."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db import models, transaction
from django.utils import timezone

# Three missed beats of the slowest interval: a shorter silence means a busy worker, not an outage.
SILENCE = timedelta(seconds=90)


class Heartbeat(models.Model):
    """One row per process kind; `beat_at` is its last heartbeat."""

    name = models.CharField(max_length=64, unique=True)
    host = models.CharField(max_length=255, blank=True)
    beat_at = models.DateTimeField()

    objects: models.Manager[Heartbeat]

    class Meta:
        ordering = ("name",)

    def __str__(self) -> str:
        return f"{self.name} {self.beat_at:%Y-%m-%dT%H:%M:%SZ}"

    @property
    def is_alive(self) -> bool:
        return timezone.now() - self.beat_at < SILENCE


class Outage(models.Model):
    """A time range without heartbeats, in which a silent camera does not count as offline."""

    started_at = models.DateTimeField()
    ended_at = models.DateTimeField(db_index=True)

    objects: models.Manager[Outage]

    class Meta:
        ordering = ("started_at",)
        constraints = (
            models.CheckConstraint(
                condition=models.Q(ended_at__gt=models.F("started_at")), name="outage_ends_after_it_starts"
            ),
        )

    def __str__(self) -> str:
        return f"{self.started_at:%Y-%m-%dT%H:%M:%SZ} to {self.ended_at:%Y-%m-%dT%H:%M:%SZ}"


def beat(name: str, host: str = "") -> None:
    """Record a heartbeat of the process kind `name`; a silence of the scheduler before it becomes an outage."""
    now = timezone.now()
    with transaction.atomic():
        row, new = Heartbeat.objects.select_for_update().get_or_create(
            name=name, defaults={"beat_at": now, "host": host}
        )
        if new:
            return
        # Only the scheduler: a busy worker may be silent for long while cameras are still checked.
        if name == "scheduler" and now - row.beat_at > SILENCE:
            Outage.objects.create(started_at=row.beat_at, ended_at=now)
        # Never back: after a clock was set back, setting it right again would look like an outage.
        row.beat_at, row.host = max(now, row.beat_at), host
        row.save(update_fields=["beat_at", "host"])


def outages_between(start: datetime, end: datetime) -> list[tuple[datetime, datetime]]:
    """Return the outages (UTC) between `start` and `end`, clipped to them, oldest first.

    They include a silence that has not ended, up to now.
    """
    rows = Outage.objects.filter(ended_at__gt=start, started_at__lt=end)
    spans = list(rows.values_list("started_at", "ended_at"))
    # After a start, tasks may run before the scheduler's first heartbeat, which stores the outage.
    last, now = Heartbeat.objects.filter(name="scheduler").first(), timezone.now()
    if last is not None and now - last.beat_at > SILENCE:
        spans.append((last.beat_at, now))
    cut = [(max(began, start), min(ended, end)) for began, ended in spans]
    return [(began, ended) for began, ended in cut if began < ended]


def downtime_since(timestamp: datetime) -> timedelta:
    """Return how long the application was down after `timestamp` (UTC)."""
    return sum((ended - began for began, ended in outages_between(timestamp, timezone.now())), timedelta())
