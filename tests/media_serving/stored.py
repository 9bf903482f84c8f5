"""Detections and events with their files, for the tests of serving."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

from django.utils import timezone

from cameras.models import Camera
from media_serving.models import Detection, Event, Transcode, clip_path, thumbnail_path
from nvr.media.ffmpeg import operations as ffmpeg
from tests.factories import put

MEDIA = "/api/media/"
MJPEG = ("-c:v", "mjpeg")


def make_event(camera: Camera, *, clip: bytes | None = None) -> Event:
    timestamp = timezone.now() - timedelta(hours=1)
    event = Event.objects.create(camera=camera, started_at=timestamp, last_detected_at=timestamp, ended_at=timestamp)
    if clip is not None:
        put(clip_path(event.pk).parent, clip_path(event.pk).name, clip)
        Event.objects.filter(pk=event.pk).update(clip_size_bytes=len(clip), clip_created_at=timestamp)
    return event


def make_detection(camera: Camera, file: Path | str, *, thumbnail: bytes | None = None, **values: Any) -> Detection:
    event = make_event(camera)
    facts = {"media_type": "image", "object_class": "person", "confidence": 0.9} | values
    detection = Detection.objects.create(
        camera=camera, event=event, detected_at=event.started_at, file_path=str(file), **facts
    )
    if thumbnail is not None:
        put(thumbnail_path(detection.pk).parent, thumbnail_path(detection.pk).name, thumbnail)
    return detection


def body_of(response: Any) -> bytes:
    return b"".join(response.streaming_content) if response.streaming else response.content


def refused(response: Any, status: int, error: str, path: str) -> None:
    assert response.status_code == status
    assert response.json() == {"error": error, "path": path}
    assert response["Content-Type"] == "application/json"


def facts_of(data: bytes, folder: Path) -> ffmpeg.MediaInfo:
    path = folder / "answer.mp4"
    path.write_bytes(data)
    return ffmpeg.probe(path)


def the_row() -> Transcode:
    return Transcode.objects.get()
