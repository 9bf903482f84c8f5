"""Filters of the lists of detections, events and uploads. A wrong value is 422; an unknown camera has no rows."""

from __future__ import annotations

import json
import re
from datetime import datetime
from typing import Any

from django.db.models import Exists, OuterRef, Q, QuerySet
from django.http import QueryDict

from cameras.models import Camera
from media_serving.event_words import classes_named
from media_serving.models import Detection, Event, Upload, UploadState
from media_serving.timestamps import InvalidTimestamp, clamp_to_searchable, parse_timestamp
from nvr.api.fields import has_control_characters
from nvr.audit.actor import Actor
from nvr.errors import Invalid

DECIMAL = re.compile(r"[0-9]{0,20}\.?[0-9]{1,20}([eE][-+]?[0-9]{1,3})?", re.ASCII)
FEW_DETECTIONS = 2000
MAX_WORDS = 8
FLAGS = {"true": True, "false": False}


def filtered_detections(user: Actor, query: QueryDict) -> QuerySet[Detection]:
    """Detections visible to `user` that match `query`; `from` and `to` are both included."""
    rows: QuerySet[Detection] = Detection.objects.filter(**_camera(user, query), **_detection_filters(query))
    start, end = _time_range(query)
    if start is not None:
        rows = rows.filter(detected_at__gte=start)
    return rows if end is None else rows.filter(detected_at__lte=end)


def filtered_events(user: Actor, query: QueryDict) -> QuerySet[Event]:
    """Events that overlap `from` to `to` and have one detection of the requested class and confidence.

    Each word of `q` must occur in the notes, the classes or the camera's name.
    """
    rows: QuerySet[Event] = Event.objects.overlapping(*_time_range(query)).filter(**_camera(user, query))
    if filters := _detection_filters(query):
        rows = rows.filter(_with_any_of(Detection.objects.filter(**_camera(user, query), **filters).order_by()))
    for word in (_text(query, "q", max_length=200) or "").split()[:MAX_WORDS]:
        rows = rows.filter(_matches_word(word))
    reviewed = _flag(query, "reviewed")
    return rows if reviewed is None else rows.filter(reviewed=reviewed)


def _matches_word(word: str) -> Q:
    matches = Q(notes__icontains=word) | Q(camera__name__icontains=word)
    if not any(sign.isalnum() for sign in word):
        return matches  # a bracket or comma occurs in every list of classes
    names = {word, *classes_named(word)}
    # Classes are a JSON list: SQLite stores non-ASCII letters as escapes, PostgreSQL stores them unescaped.
    for text in {json.dumps(name, ensure_ascii=escaped)[1:-1] for name in names for escaped in (True, False)}:
        matches |= Q(object_classes__icontains=text)
    return matches


def _with_any_of(found: QuerySet[Detection]) -> Q:
    """Match events with a detection among `found`: by id if there are few, else by a subquery for each event.

    With the subquery, a rare class would require a search in every event.
    """
    # Counting stops at the limit.
    if len(found.values_list("pk")[: FEW_DETECTIONS + 1]) <= FEW_DETECTIONS:
        return Q(pk__in=found.values("event"))
    return Q(Exists(found.filter(event=OuterRef("pk"))))


def filtered_uploads(user: Actor, query: QueryDict) -> QuerySet[Upload]:
    """Uploads visible to `user` that match `query`."""
    of_one = "camera_id" in query
    rows = Upload.objects.filter(**_camera(user, query)) if of_one else Upload.objects.visible_unordered(user)
    state = query.get("state")
    if state is not None and state not in UploadState.values:
        raise Invalid.field("state", f"must be one of {', '.join(UploadState.values)}.")
    if state is None:
        return rows
    # Uploads that are not done have a partial index, which SQLite uses only with an explicit condition.
    others = [value for value in UploadState.values if value != state]
    return (
        rows.exclude(state__in=others)
        if state == UploadState.DONE
        else rows.exclude(state=UploadState.DONE).filter(state=state)
    )


def _camera(user: Actor, query: QueryDict) -> dict[str, Any]:
    text = _text(query, "camera_id", max_length=255)
    visible = Camera.objects.visible_to(user)
    if text is None:
        return {"camera__in": visible}
    # Resolve the key first: one camera's rows are then one range of an index.
    # 0 is no camera's key: an unknown camera has no rows.
    return {"camera_id": visible.identified_by(text).values_list("pk", flat=True).first() or 0}


def _detection_filters(query: QueryDict) -> dict[str, Any]:
    filters = {"object_class": _text(query, "object_class", max_length=64), "confidence__gte": _confidence(query)}
    return {name: value for name, value in filters.items() if value is not None}


def _time_range(query: QueryDict) -> tuple[datetime | None, datetime | None]:
    start, end = _timestamp(query, "from"), _timestamp(query, "to")
    if start and end and start > end:
        raise Invalid.field("to", "must not be before `from`.")
    return start, end


def _timestamp(query: QueryDict, name: str) -> datetime | None:
    text = query.get(name)
    try:
        return None if text is None else clamp_to_searchable(parse_timestamp(text))
    except InvalidTimestamp as error:
        raise Invalid.field(name, str(error)) from error


def _text(query: QueryDict, name: str, *, max_length: int) -> str | None:
    text = query.get(name)
    if text is not None and (not 1 <= len(text) <= max_length or has_control_characters(text)):
        raise Invalid.field(name, f"must have 1 to {max_length} characters, none of them a control character.")
    return text


def _confidence(query: QueryDict) -> float | None:
    text = query.get("min_confidence")
    if text is None:
        return None
    if not DECIMAL.fullmatch(text) or not 0 <= float(text) <= 1:
        raise Invalid.field("min_confidence", "must be a number from 0 to 1.")
    return float(text)


def _flag(query: QueryDict, name: str) -> bool | None:
    text = query.get(name)
    if text is not None and text not in FLAGS:
        raise Invalid.field(name, "must be true or false.")
    return None if text is None else FLAGS[text]
