"""Detections and reports of them for tests."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from cameras.models import Camera
from media_serving.events import attach
from media_serving.models import Detection, Event

LONG_AGO = datetime(2026, 1, 31, 12, 0, tzinfo=UTC)


def after(seconds: float, start: datetime = LONG_AGO) -> datetime:
    return start + timedelta(seconds=seconds)


def detection_of(camera: Camera, at: datetime, **values: Any) -> Detection:
    """Not saved, not attached."""
    plain = {"file_path": f"{camera.folder_path}/a.jpg", "media_type": "image", "object_class": "person"}
    return Detection(camera=camera, detected_at=at, **(plain | {"confidence": 0.8} | values))


def detect(camera: Camera, at: datetime, **values: Any) -> Detection:
    detection = detection_of(camera, at, **values)
    attach(detection)
    return detection


def spans(camera: Camera, start: datetime = LONG_AGO) -> list[tuple[float, float]]:
    """The camera's events, oldest first, in seconds after `start`."""
    events = Event.objects.filter(camera=camera).order_by("started_at")
    return [
        ((event.started_at - start).total_seconds(), (event.last_detected_at - start).total_seconds())
        for event in events
    ]


def report(camera: Camera, **values: Any) -> dict[str, Any]:
    """A body for `POST /api/detections`."""
    body = {"detected_at": "2026-01-31T12:00:00.500Z", "file_path": "a.jpg", "object_class": "person"}
    return {"camera_id": camera.slug, **body, "confidence": 0.75, **values}
