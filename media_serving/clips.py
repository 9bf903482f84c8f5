"""The clip of an event: made by a worker when the event has closed, again when it has changed or someone asks."""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import Any

from celery import current_app
from django.db import transaction
from django.db.models import F
from django.utils import timezone
from kombu.exceptions import OperationalError

from media_serving.clip_sources import check_footage
from media_serving.models import ClipState, ClipWork, Event
from nvr.errors import Conflict

logger = logging.getLogger(__name__)

TASK = "media.make_clip"
# What comes late seldom comes alone: each detection of it would begin the clip anew.
SETTLES_AFTER = timedelta(seconds=5)


class EventIsOpen(Conflict):
    title = "The event is not over yet: its clip is made when it is"


def on_event_closed(sender: Any, event: Event, widened: bool, **kwargs: Any) -> None:
    """Have the clip made once the change is committed; while late detections still come in, a little later."""
    begins_closed = event.detection_count == 1 and not widened
    want_clip(event, after=SETTLES_AFTER if widened or begins_closed else None)


def make_again(event: Event) -> None:
    """Have the clip made as soon as may be; while it is being made already, that one is it.

    Raises `EventIsOpen`, `NoFootage`, and `Unavailable` when the camera's storage does not answer.
    """
    if event.is_open:
        raise EventIsOpen
    check_footage(event)
    with transaction.atomic():
        if not ClipWork.objects.filter(event=event, state=ClipState.WORKING).exists():
            want_clip(event)


def want_clip(event: Event, *, after: timedelta | None = None) -> None:
    """Note that the clip is to be made anew, at once or not before `after` has passed.

    What a worker is making of the event as it was is no longer wanted; the worker sees so.
    """
    now = timezone.now()
    not_before = now + after if after else None
    work, is_new = ClipWork.objects.get_or_create(event=event, defaults={"retry_at": not_before})
    if not is_new:
        rows = ClipWork.objects.filter(pk=work.pk)
        rows.update(wanted=F("wanted") + 1)
        waits = {"state": ClipState.WAITING, "attempts": 0, "reason": "", "retry_at": not_before, "sent_at": now}
        rows.exclude(state=ClipState.WORKING).update(**waits)
    if not_before is None:
        transaction.on_commit(lambda: send(work.pk))


def send(pk: int) -> None:
    """Tell the workers. If the broker is away the row waits: what is owed is sent again later."""
    try:
        current_app.send_task(TASK, args=[pk], queue="bulk")
    except (OperationalError, OSError) as error:
        logger.warning("broker away, clip waits id=%s error=%s", pk, type(error).__name__)
