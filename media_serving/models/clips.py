"""The making of clips: one at a time for each event, tried again, with a reason when there is none."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.utils import timezone

from media_serving.models.events import Event


class ClipState(models.TextChoices):
    WAITING = "waiting"
    WORKING = "working"
    DONE = "done"
    FAILED = "failed"


class ClipWork(models.Model):
    """That an event's clip is wanted, and how far it is. Whether there is one says the event."""

    event = models.OneToOneField(Event, on_delete=models.CASCADE, related_name="clip_work")
    state = models.CharField(max_length=7, choices=ClipState, default=ClipState.WAITING)
    reason = models.CharField(max_length=500, blank=True)
    attempts = models.PositiveSmallIntegerField(default=0)
    leased_until = models.DateTimeField(null=True, blank=True)
    retry_at = models.DateTimeField(null=True, blank=True, help_text="When a failure is worth another attempt.")
    sent_at = models.DateTimeField(default=timezone.now, editable=False)
    # Raised whenever the event has changed, or a clip is asked for again: what was made for an earlier one is old.
    wanted = models.PositiveIntegerField(default=1, editable=False)

    objects: models.Manager[ClipWork]

    class Meta:
        ordering = ("-sent_at", "-pk")
        indexes = (
            models.Index(fields=("state", "sent_at"), condition=~Q(state=ClipState.DONE), name="clip_work_to_do"),
        )
        constraints = (
            models.CheckConstraint(condition=Q(state__in=ClipState.values), name="clip_work_state_is_known"),
            models.CheckConstraint(
                condition=~Q(state=ClipState.WORKING) | Q(leased_until__isnull=False), name="clip_work_has_lease"
            ),
            models.CheckConstraint(condition=~Q(state=ClipState.FAILED) | ~Q(reason=""), name="clip_work_says_why"),
        )

    def __str__(self) -> str:
        return f"clip of event {self.event_id}"
