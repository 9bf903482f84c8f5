"""Detections, events and uploads as JSON, from plain database rows: no model instances, no further queries."""

from __future__ import annotations

from typing import Any

from django.db.models import OuterRef, QuerySet, Subquery

from cameras.models import Camera
from media_serving.addresses import clip_url, thumbnail_url
from media_serving.models import ClipWork, Detection, Event, Upload
from nvr.api.fields import milliseconds

DETECTION_COLUMNS = (
    "pk",
    "camera__slug",
    "event_id",
    "detected_at",
    "file_path",
    "media_type",
    "object_class",
    "confidence",
    "bbox_x",
    "bbox_y",
    "bbox_width",
    "bbox_height",
    "thumbnail_size_bytes",
    "source",
    "external_id",
    "offset_ms",
    "frame_width",
    "frame_height",
)
EVENT_COLUMNS = (
    "pk",
    "camera__slug",
    "started_at",
    "ended_at",
    "last_detected_at",
    "keep",
    "object_classes",
    "detection_count",
    "clip_size_bytes",
    "clip_state",
    "clip_reason",
    "reviewed",
    "notes",
)
UPLOAD_COLUMNS = (
    "pk",
    "camera_slug",
    "path",
    "state",
    "reason",
    "attempts",
    "size_bytes",
    "received_at",
    "captured_at",
    "capture_clue",
    "capture_note",
)


def detection_rows(detections: QuerySet[Detection]) -> QuerySet[Any, Any]:
    return detections.values_list(*DETECTION_COLUMNS, named=True)


def event_rows(events: QuerySet[Event]) -> QuerySet[Any, Any]:
    """The clip's state comes from subqueries: with another join, SQLite sorts all events for a page."""
    work = ClipWork.objects.filter(event=OuterRef("pk")).order_by()
    clip_columns = {"clip_state": Subquery(work.values("state")), "clip_reason": Subquery(work.values("reason"))}
    return events.annotate(**clip_columns).values_list(*EVENT_COLUMNS, named=True)


def upload_rows(uploads: QuerySet[Upload]) -> QuerySet[Any, Any]:
    """The camera's slug comes from a subquery: with a join, SQLite would start with the cameras."""
    camera = Camera.everything.filter(pk=OuterRef("camera_id")).order_by()
    return uploads.annotate(camera_slug=Subquery(camera.values("slug"))).values_list(*UPLOAD_COLUMNS, named=True)


def detection_as_json(row: Any) -> dict[str, Any]:
    """Convert one of `detection_rows`. The thumbnail URL is null until there is one."""
    return {
        "id": row.pk,
        "camera_id": row.camera__slug,
        "event_id": row.event_id,
        "detected_at": milliseconds(row.detected_at),
        "file_path": row.file_path,
        "media_type": row.media_type,
        "object_class": row.object_class,
        "confidence": row.confidence,
        "bbox": _box(row),
        "thumbnail_url": thumbnail_url(row.pk) if row.thumbnail_size_bytes else None,
        "source": row.source,
        "external_id": row.external_id or None,
        "offset_ms": row.offset_ms,
        "frame_width": row.frame_width,
        "frame_height": row.frame_height,
    }


def event_as_json(row: Any) -> dict[str, Any]:
    """Convert one of `event_rows`. `ended_at` is null while the event is open, the clip URL until there is a clip.

    `clip_state` is the state of the clip job, null if there is none. An existing clip stays while it is regenerated.
    """
    return {
        "id": row.pk,
        "camera_id": row.camera__slug,
        "started_at": milliseconds(row.started_at),
        "ended_at": milliseconds(row.ended_at),
        "last_detected_at": milliseconds(row.last_detected_at),
        "keep": row.keep,
        "object_classes": row.object_classes,
        "detection_count": row.detection_count,
        "clip_url": clip_url(row.pk) if row.clip_size_bytes is not None else None,
        "clip_state": row.clip_state,
        "clip_reason": row.clip_reason or None,
        "reviewed": row.reviewed,
        "notes": row.notes,
    }


def upload_as_json(row: Any) -> dict[str, Any]:
    """Convert one of `upload_rows`. `path` is relative to the camera's folder; invalid text shows as U+FFFD."""
    return {
        "id": row.pk,
        "camera_id": row.camera_slug,
        "path": row.path,
        "state": row.state,
        "reason": row.reason,
        "attempts": row.attempts,
        "size_bytes": row.size_bytes,
        "received_at": milliseconds(row.received_at),
        "captured_at": milliseconds(row.captured_at),
        "capture_clue": row.capture_clue or None,
        "capture_note": row.capture_note,
    }


def _box(row: Any) -> dict[str, float] | None:
    if row.bbox_x is None:
        return None
    return {"x": row.bbox_x, "y": row.bbox_y, "width": row.bbox_width, "height": row.bbox_height}
