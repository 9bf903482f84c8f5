"""Web playback versions of videos, each made once."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.utils import timezone

from media_serving.models.work import Work, WorkQuerySet, WorkState


class PlayableQuerySet(WorkQuerySet["PlayableForm"]):
    """Covers videos of all cameras: only superusers may see the rows."""


class PlayableForm(Work):
    """The web playback version of a video, made once per content: path, mtime and size of the original.

    `done` implies a complete file in the cache or, with `size_bytes` None, that browsers play the original.
    """

    key = models.CharField(max_length=64, unique=True, editable=False)  # SHA-256 of path, mtime and size
    path = models.TextField(editable=False)  # percent-encoded: a file name need not be text
    mtime_ns = models.BigIntegerField(editable=False)
    source_size_bytes = models.PositiveBigIntegerField(editable=False)
    size_bytes = models.PositiveBigIntegerField("size (bytes)", null=True, blank=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    used_at = models.DateTimeField(default=timezone.now)

    objects = PlayableQuerySet.as_manager()

    class Meta:
        ordering = ("-created_at", "-pk")
        indexes = (models.Index(fields=("state", "used_at"), name="playable_least_used"),)
        constraints = (
            models.CheckConstraint(condition=Q(state__in=WorkState.values), name="playable_state_is_known"),
            # Transcoding uses all of the CPU: the database allows one working row at a time.
            models.UniqueConstraint(
                fields=("state",), condition=Q(state=WorkState.WORKING), name="playable_one_at_a_time"
            ),
            models.CheckConstraint(
                condition=~Q(state=WorkState.WORKING) | Q(leased_until__isnull=False),
                name="playable_work_has_lease",
            ),
        )

    def __str__(self) -> str:
        return f"playable form {self.pk}"
