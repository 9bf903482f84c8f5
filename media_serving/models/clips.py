"""Clip jobs: one per event, retried, with a reason if they fail."""

from __future__ import annotations

from datetime import timedelta
from typing import Self

from django.db import models
from django.db.models import Exists, OuterRef, Q
from django.utils import timezone

from media_serving.models.events import Event
from nvr.audit.actor import Actor
from nvr.jobs.models import JobState, LeasedJob, LeasedJobQuerySet, leased_job_constraints

# Late detections rarely come alone, and each of them would restart the clip.
LATE_DETECTION_DELAY = timedelta(seconds=5)


class ClipWorkQuerySet(LeasedJobQuerySet["ClipWork"]):
    def visible_to(self, user: Actor) -> Self:
        """Clip jobs for events of the live cameras that `user` may see."""
        return self.filter(Exists(Event.objects.visible_to(user).filter(pk=OuterRef("event_id"))))


class ClipWork(LeasedJob):
    """The job that makes an event's clip, and its state. The event records whether a clip exists."""

    TASK = "media.make_clip"

    event = models.OneToOneField(Event, on_delete=models.CASCADE, related_name="clip_work")
    # Incremented when the event changes or a clip is requested: a clip made for a lower number is outdated.
    request_number = models.PositiveIntegerField(default=1, editable=False)

    # The footage ranges in the clip, in order: each the timestamp of its first picture (ms since 1970, UTC) and its
    # length (ms).
    shows = models.JSONField(default=list, blank=True, editable=False)

    objects = ClipWorkQuerySet.as_manager()

    class Meta:
        verbose_name = "clip"
        ordering = ("-sent_at", "-pk")
        indexes = (
            models.Index(fields=("state", "sent_at"), condition=~Q(state=JobState.DONE), name="clip_work_to_do"),
        )
        constraints = leased_job_constraints("clip_work")

    def __str__(self) -> str:
        return f"clip of event {self.event_id}"

    def settle(self, **values: object) -> bool:
        """Write the outcome if the request is still current; otherwise set the row back to waiting."""
        if self.held().filter(request_number=self.request_number).update(leased_until=None, worker="", **values):
            return True
        ClipWork.objects.filter(pk__in=self.held().values("pk")).requeue(
            leased_until=None, worker="", retry_at=timezone.now() + LATE_DETECTION_DELAY
        )
        return False
