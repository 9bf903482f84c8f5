"""The clip of an event: made by a worker when the event has closed, again when it has changed or someone asks."""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from celery import current_app
from django.conf import settings
from django.db import transaction
from django.db.models import F
from django.utils import timezone
from kombu.exceptions import OperationalError

from media_serving.clips.footage import check_footage
from media_serving.models import ClipWork, Event, Upload, WorkState
from nvr.audit.record import record
from nvr.errors import Conflict, NotFound

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser, AnonymousUser

    Actor = AbstractBaseUser | AnonymousUser | None

logger = logging.getLogger(__name__)

TASK = "media.make_clip"
# What comes late seldom comes alone: each detection of it would begin the clip anew.
LATE_DETECTION_DELAY = timedelta(seconds=5)


class EventIsOpen(Conflict):
    title = "The event is not over yet: its clip is made when it is"


def on_event_closed(sender: Any, event: Event, late: bool, **kwargs: Any) -> None:
    """Have the clip made once the change is committed; while late detections still come in, a little later."""
    schedule_clip(event, after=LATE_DETECTION_DELAY if late else None)


def regenerate_clip(actor: Actor, event: Event) -> None:
    """`request_clip` the clip if there is footage for one.

    Raises what `request_clip` does, `NoFootage`, and `Unavailable` when the camera's storage does not answer.
    """
    if event.is_open:
        raise EventIsOpen
    check_footage(event)
    request_clip(actor, event)


def request_clip(actor: Actor, event: Event) -> bool:
    """Have the clip made as soon as may be, on record; False while it is being made already: that one is it.

    Raises `EventIsOpen`, and `NotFound` if the event was purged meanwhile.
    """
    with transaction.atomic():
        current = Event.objects.select_for_update(no_key=True).filter(pk=event.pk).first()
        if current is None:
            raise NotFound("Event not found")
        if current.is_open:
            raise EventIsOpen
        state = ClipWork.objects.filter(event=current).values_list("state", flat=True).first()
        if state == WorkState.WORKING:
            return False
        schedule_clip(current)
        record(actor, "clip_requested", current, {"clip": (state, WorkState.WAITING.value)})
    return True


def schedule_clips_showing(video: Upload, length: timedelta) -> None:
    """Have the clips made anew that lack this video: it came when the events it shows were over.

    For what waits already, nothing is to be done: it will see the video.
    """
    padding = settings.NVR_CLIP_PADDING
    over = Event.objects.filter(camera=video.camera_id, ended_at__isnull=False)
    shown = over.overlapping(video.captured_at - padding, video.captured_at + length + padding)
    for event in shown.exclude(clip_work__state=WorkState.WAITING):
        schedule_clip(event, after=LATE_DETECTION_DELAY)


def schedule_clip(event: Event, *, after: timedelta | None = None) -> None:
    """Note that the clip is to be made anew, at once or not before `after` has passed.

    What a worker is making of the event as it was is no longer wanted; the worker sees so.
    """
    now = timezone.now()
    not_before = now + after if after else None
    work, is_new = ClipWork.objects.get_or_create(event=event, defaults={"retry_at": not_before})
    if not is_new:
        rows = ClipWork.objects.filter(pk=work.pk)
        rows.update(wanted=F("wanted") + 1)
        waits = {"state": WorkState.WAITING, "attempts": 0, "reason": "", "retry_at": not_before, "sent_at": now}
        rows.exclude(state=WorkState.WORKING).update(**waits)
    if not_before is None:
        transaction.on_commit(lambda: send(work.pk))


def send(pk: int) -> None:
    """Tell the workers. If the broker is away the row waits: what is owed is sent again later."""
    try:
        current_app.send_task(TASK, args=[pk], queue="bulk")
    except (OperationalError, OSError) as error:
        logger.warning("broker away, clip waits id=%s error=%s", pk, type(error).__name__)
