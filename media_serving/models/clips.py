"""The making of clips: one at a time for each event, tried again, with a reason when there is none."""

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
        """Of events of the live cameras that `user` may see."""
        return self.filter(Exists(Event.objects.visible_to(user).filter(pk=OuterRef("event_id"))))


class ClipWork(Work):
    """That an event's clip is wanted, and how far it is. Whether there is one says the event."""

    event = models.OneToOneField(Event, on_delete=models.CASCADE, related_name="clip_work")
    # Raised whenever the event has changed, or a clip is asked for again: what was made for an earlier one is old.
    wanted = models.PositiveIntegerField(default=1, editable=False)

    # What the clip shows when: stretches, one after the other, each with the moment (ms since 1970, UTC) at which its
    # first picture was taken and its length (ms).
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
