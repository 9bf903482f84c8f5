"""Requests for event clips: a worker makes the clip when the event closes, when it changes, and on request."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import F
from django.utils import timezone

from media_serving.clips.footage import check_footage
from media_serving.models import ClipWork, Event, Upload
from media_serving.models.clips import LATE_DETECTION_DELAY
from nvr.audit.actor import Actor
from nvr.audit.record import record
from nvr.errors import Conflict, NotFound
from nvr.jobs.dispatch import send_after_commit
from nvr.jobs.models import JobState


class EventIsOpen(Conflict):
    title = "The event is not over yet: its clip is made when it is"


def on_event_closed(sender: Any, event: Event, late: bool, **kwargs: Any) -> None:
    """Schedule the clip on commit, or after `LATE_DETECTION_DELAY` while late detections may still arrive."""
    schedule_clip(event, after=LATE_DETECTION_DELAY if late else None)


def regenerate_clip(actor: Actor | None, event: Event) -> None:
    """Request the clip of a closed event if there is footage for it.

    Raises the errors of `request_clip`, `NoFootage`, and `Unavailable` when the camera's storage does not respond.
    """
    if event.is_open:
        raise EventIsOpen
    check_footage(event)
    request_clip(actor, event)


def request_clip(actor: Actor | None, event: Event) -> bool:
    """Queue the clip now and record the request in the audit; return False if a worker is already making it.

    Raises `EventIsOpen`, and `NotFound` if the event was purged meanwhile.
    """
    with transaction.atomic():
        current = Event.objects.select_for_update(no_key=True).filter(pk=event.pk).first()
        if current is None:
            raise NotFound("Event not found")
        if current.is_open:
            raise EventIsOpen
        state = ClipWork.objects.filter(event=current).values_list("state", flat=True).first()
        # The worker includes everything up to now; restarting it would only delay the clip.
        if state == JobState.WORKING:
            return False
        schedule_clip(current)
        record(actor, "clip_requested", current, {"clip": (state, JobState.WAITING.value)})
    return True


def schedule_clips_showing(video: Upload, length: timedelta) -> None:
    """Schedule the clips of closed events that this late video shows.

    A clip that is already waiting needs no change: it will include the video.
    """
    padding = settings.NVR_CLIP_PADDING
    closed = Event.objects.filter(camera=video.camera_id, ended_at__isnull=False)
    shown = closed.overlapping(video.captured_at - padding, video.captured_at + length + padding)
    for event in shown.exclude(clip_work__state=JobState.WAITING):
        schedule_clip(event, after=LATE_DETECTION_DELAY)


def schedule_clip(event: Event, *, after: timedelta | None = None) -> None:
    """Queue the event's clip, immediately or not before `after` has passed.

    A higher `request_number` makes a clip that a worker is making now obsolete; the worker notices.
    """
    now = timezone.now()
    not_before = now + after if after else None
    work, is_new = ClipWork.objects.get_or_create(event=event, defaults={"retry_at": not_before})
    if not is_new:
        rows = ClipWork.objects.filter(pk=work.pk)
        rows.update(request_number=F("request_number") + 1)
        rows.exclude(state=JobState.WORKING).requeue(retry_at=not_before, sent_at=now)
    if not_before is None:
        send_after_commit(work)
