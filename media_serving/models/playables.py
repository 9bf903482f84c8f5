"""Videos in a form that browsers play, made once each."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.utils import timezone


class PlayableState(models.TextChoices):
    WAITING = "waiting"
    WORKING = "working"
    DONE = "done"
    FAILED = "failed"


class PlayableForm(models.Model):
    """A form of a video that every browser plays, made once per content: path, mtime and size of the original.

    `done` implies a whole file in the cache, or, with `size_bytes` None, that the original plays as it is.
    """

    key = models.CharField(max_length=64, unique=True, editable=False)  # SHA-256 of path, mtime and size
    path = models.TextField(editable=False)  # percent-encoded: a file name need not be text
    mtime_ns = models.BigIntegerField(editable=False)
    source_size_bytes = models.PositiveBigIntegerField(editable=False)
    state = models.CharField(max_length=7, choices=PlayableState, default=PlayableState.WAITING)
    reason = models.CharField(max_length=500, blank=True)
    attempts = models.PositiveSmallIntegerField(default=0)
    leased_until = models.DateTimeField(null=True, blank=True)
    retry_at = models.DateTimeField(null=True, blank=True, help_text="When a failure is worth another attempt.")
    sent_at = models.DateTimeField(default=timezone.now, editable=False)
    size_bytes = models.PositiveBigIntegerField("size (bytes)", null=True, blank=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    used_at = models.DateTimeField(default=timezone.now)

    objects: models.Manager[PlayableForm]

    class Meta:
        ordering = ("-created_at", "-pk")
        indexes = (models.Index(fields=("state", "used_at"), name="playable_least_used"),)
        constraints = (
            models.CheckConstraint(condition=Q(state__in=PlayableState.values), name="playable_state_is_known"),
            # Converting takes all of a processor: the database sees to it that one row at a time is worked on.
            models.UniqueConstraint(
                fields=("state",), condition=Q(state=PlayableState.WORKING), name="playable_one_at_a_time"
            ),
            models.CheckConstraint(
                condition=~Q(state=PlayableState.WORKING) | Q(leased_until__isnull=False),
                name="playable_work_has_lease",
            ),
        )

    def __str__(self) -> str:
        return f"playable form {self.pk}"
