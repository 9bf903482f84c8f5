"""Clip jobs: one per event, retried, with a reason if they fail."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from django.db import models
from django.db.models import Exists, OuterRef, Q

from media_serving.models.events import Event
from media_serving.models.work import Work, WorkQuerySet, WorkState

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser, AnonymousUser, User


class ClipWorkQuerySet(WorkQuerySet["ClipWork"]):
    def visible_to(self, user: User | AbstractBaseUser | AnonymousUser) -> Self:
        """Clip jobs for events of the live cameras that `user` may see."""
        return self.filter(Exists(Event.objects.visible_to(user).filter(pk=OuterRef("event_id"))))


class ClipWork(Work):
    """The job that makes an event's clip, and its state. The event records whether a clip exists."""

    event = models.OneToOneField(Event, on_delete=models.CASCADE, related_name="clip_work")
    # Incremented when the event changes or a clip is requested: a clip made for a lower number is outdated.
    wanted = models.PositiveIntegerField(default=1, editable=False)

    # The footage ranges in the clip, in order: each the timestamp of its first picture (ms since 1970, UTC) and its
    # length (ms).
    shows = models.JSONField(default=list, blank=True, editable=False)

    objects = ClipWorkQuerySet.as_manager()

    class Meta:
        verbose_name = "clip"
        ordering = ("-sent_at", "-pk")
        indexes = (
            models.Index(fields=("state", "sent_at"), condition=~Q(state=WorkState.DONE), name="clip_work_to_do"),
        )
        constraints = (
            models.CheckConstraint(condition=Q(state__in=WorkState.values), name="clip_work_state_is_known"),
            models.CheckConstraint(
                condition=~Q(state=WorkState.WORKING) | Q(leased_until__isnull=False), name="clip_work_has_lease"
            ),
            models.CheckConstraint(condition=~Q(state=WorkState.FAILED) | ~Q(reason=""), name="clip_work_says_why"),
        )

    def __str__(self) -> str:
        return f"clip of event {self.event_id}"
