"""Transcodes: web playback versions of videos, each made once."""

from __future__ import annotations

from typing import Self

from django.db import models
from django.db.models import Q
from django.utils import timezone

from nvr.audit.actor import Actor
from nvr.jobs.models import JobState, LeasedJob, LeasedJobQuerySet, leased_job_constraints


class TranscodeQuerySet(LeasedJobQuerySet["Transcode"]):
    def visible_to(self, user: Actor) -> Self:
        """All rows for superusers, else none: rows show files of all cameras."""
        return self if user.is_active and user.is_superuser else self.none()


class Transcode(LeasedJob):
    """The web playback version of a video, made once per content: path, mtime and size of the original.

    `done` implies a complete file in the cache or, with `size_bytes` None, that browsers play the original.
    """

    TASK = "media.make_playable"

    key = models.CharField(max_length=64, unique=True, editable=False)  # SHA-256 of path, mtime and size
    path = models.TextField(editable=False)  # percent-encoded: a file name need not be text
    mtime_ns = models.BigIntegerField(editable=False)
    source_size_bytes = models.PositiveBigIntegerField(editable=False)
    size_bytes = models.PositiveBigIntegerField("size (bytes)", null=True, blank=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    used_at = models.DateTimeField(default=timezone.now)

    objects = TranscodeQuerySet.as_manager()

    class Meta:
        ordering = ("-created_at", "-pk")
        indexes = (models.Index(fields=("state", "used_at"), name="transcode_least_used"),)
        constraints = (
            *leased_job_constraints("transcode"),
            # Transcoding uses all of the CPU: the database allows one working row at a time.
            models.UniqueConstraint(
                fields=("state",), condition=Q(state=JobState.WORKING), name="transcode_one_at_a_time"
            ),
        )

    def __str__(self) -> str:
        return f"transcode {self.pk}"
