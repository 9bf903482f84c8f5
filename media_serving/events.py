"""Grouping detections into events by capture time, whatever the order in which they arrive.

The events of a camera never overlap: a detection joins the nearest event that it can, so the event grows only over
time without other events.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from cameras.models import Camera
from media_serving.models import MAX_EVENT_LENGTH, Detection, Event
from media_serving.signals import event_closed
from media_serving.timestamps import whole_milliseconds
from nvr.audit.actor import Actor
from nvr.audit.record import record
from nvr.errors import NotFound

logger = logging.getLogger(__name__)

GROWN = ("started_at", "last_detected_at", "ended_at", "object_classes", "detection_count")


def lock_camera(camera_id: int) -> Camera:
    """Lock the camera's row until the end of the transaction, so that its events are formed one detection at a time.

    Raises `NotFound` if it was purged meanwhile.
    """
    # Does not block others from writing rows that refer to the camera.
    camera = Camera.everything.select_for_update(no_key=True).filter(pk=camera_id).first()
    if camera is None:
        raise NotFound("Camera not found")
    return camera


def attach(detection: Detection) -> Event:
    """Save the new `detection` and attach it to its event; create the event if there is none.

    A detection joins an event within NVR_EVENT_GAP if the event stays within NVR_EVENT_MAX_LENGTH. A closed event is
    widened and stays closed; a new event for a detection older than NVR_EVENT_GAP is created closed.
    """
    attach_all([detection])
    return detection.event


@transaction.atomic
def attach_all(detections: Sequence[Detection]) -> None:
    """`attach` detections of one camera in order, with a few queries even for the thousands of a video."""
    if not detections:
        return
    # Events of one camera are formed one after the other, or two workers would create two for the same time.
    lock_camera(detections[0].camera_id)
    for detection in detections:
        detection.detected_at = whole_milliseconds(detection.detected_at)
    events = _events_around(detections)
    known = {event.pk for event in events}
    joined = [_joined(events, detection) for detection in detections]
    grown = list({id(event): event for event in joined}.values())
    for event in grown:
        # Only fields that a detection changes, to keep concurrent changes by users and the clip worker.
        event.save(update_fields=GROWN if event.pk in known else None)
    for detection, event in zip(detections, joined, strict=True):
        detection.event = event  # saved by now, so it has a primary key
    Detection.objects.bulk_create(detections)
    for event in grown:
        if event.ended_at is not None:
            event_closed.send(Event, event=event, widened=event.pk in known, late=True)


def close_quiet(now: datetime) -> int:
    """Close every event that can no longer grow, at its last detection; return how many.

    An error in one camera is logged, does not affect the others, and is retried by the next call.
    """
    due = Event.objects.due_to_close(now).order_by().values_list("camera_id", flat=True).distinct()
    return sum(_close_of_camera(camera_id, now) for camera_id in list(due))


def update_event(actor: Actor | None, event: Event, values: dict[str, Any]) -> Event:
    """Set `keep`, `reviewed` or `notes`; without a difference nothing is written or recorded.

    Raises `NotFound` if the event was purged meanwhile.
    """
    with transaction.atomic():
        current = Event.objects.select_for_update().filter(pk=event.pk).first()
        if current is None:
            raise NotFound("Event not found")
        changes = {name: (getattr(current, name), new) for name, new in values.items() if getattr(current, name) != new}
        for name, (_, new) in changes.items():
            setattr(current, name, new)
        if changes:
            current.save(update_fields=list(changes))
            record(actor, "event_updated", current, changes)
    return current


def update_events(actor: Actor, event_ids: Iterable[int], values: dict[str, Any]) -> dict[int, bool]:
    """`update_event` for each event visible to `actor`; return whether it changed, by event id.

    Events that are purged meanwhile or not visible are omitted.
    """
    changed = {}
    for pk, event in Event.objects.visible_to(actor).in_bulk(list(event_ids)).items():
        with suppress(NotFound):
            changed[pk] = update_if_different(actor, event, values)
    return changed


def update_if_different(actor: Actor, event: Event, values: dict[str, Any]) -> bool:
    differs = any(getattr(event, name) != new for name, new in values.items())
    if differs:
        update_event(actor, event, values)
    return differs


def max_event_length() -> timedelta:
    return min(settings.NVR_EVENT_MAX_LENGTH, MAX_EVENT_LENGTH)


def _events_around(detections: Sequence[Detection]) -> list[Event]:
    """Return events that any of the detections could join."""
    idle = settings.NVR_EVENT_GAP
    first = min(detection.detected_at for detection in detections) - idle
    last = max(detection.detected_at for detection in detections) + idle
    near = Event.objects.filter(
        camera_id=detections[0].camera_id,
        # The lower bound only saves cost: without it, every earlier event would be read.
        started_at__range=(first - MAX_EVENT_LENGTH, last),
        last_detected_at__gte=first,
    )
    return list(near)


def _joined(events: list[Event], detection: Detection) -> Event:
    """Add the detection to its event among `events`, or to a new event appended to them; return the event."""
    event = _nearest(events, detection.detected_at)
    if event is None:
        event = _begin(detection)
        events.append(event)
    _grow(event, detection)
    return event


def _nearest(events: Iterable[Event], at: datetime) -> Event | None:
    """Return the nearest event within the gap that would not exceed the maximum length; of two, the earlier."""
    near = (event for event in events if _distance(event, at) <= settings.NVR_EVENT_GAP)
    fitting = [event for event in near if _span_with(event, at) <= max_event_length()]
    return min(fitting, key=lambda event: (_distance(event, at), event.started_at), default=None)


def _span_with(event: Event, at: datetime) -> timedelta:
    return max(event.last_detected_at, at) - min(event.started_at, at)


def _distance(event: Event, at: datetime) -> timedelta:
    return max(event.started_at - at, at - event.last_detected_at, timedelta(0))


def _begin(detection: Detection) -> Event:
    at = detection.detected_at
    is_past = at <= timezone.now() - settings.NVR_EVENT_GAP
    return Event(camera_id=detection.camera_id, started_at=at, last_detected_at=at, ended_at=at if is_past else None)


def _grow(event: Event, detection: Detection) -> None:
    event.started_at = min(event.started_at, detection.detected_at)
    event.last_detected_at = max(event.last_detected_at, detection.detected_at)
    event.object_classes = sorted({*event.object_classes, detection.object_class})
    event.detection_count += 1
    if event.ended_at is not None:
        event.ended_at = event.last_detected_at


def _close_of_camera(camera_id: int, now: datetime) -> int:
    try:
        with transaction.atomic():
            lock_camera(camera_id)
            # Again under the lock: a detection may have joined since.
            due = list(Event.objects.due_to_close(now).filter(camera_id=camera_id))
            for event in due:
                _close(event)
    except Exception:
        logger.exception("events not closed camera=%s", camera_id)
        return 0
    return len(due)


def _close(event: Event) -> None:
    event.ended_at = event.last_detected_at
    event.save(update_fields=["ended_at"])
    event_closed.send(Event, event=event, widened=False, late=False)
    logger.info("event closed event=%s detections=%s", event.pk, event.detection_count)
