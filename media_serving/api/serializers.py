"""Request serializers for detections and events, and response serializers for the schema only."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django.utils import timezone
from rest_framework import serializers

from cameras.models import Camera
from media_serving.detections import MAX_PATH, media_type_of, path_inside
from media_serving.models import MAX_NOTES, CaptureClue, Detection, Event, MediaType, Upload, UploadState
from media_serving.timestamps import EARLIEST, InvalidTimestamp, parse_timestamp
from nvr.api.fields import Flag, Number, Text, Whole
from nvr.errors import Invalid
from nvr.jobs.models import JobState

CLOCK_SKEW = timedelta(minutes=5)
MAX_FRAME_PX = 100_000
MAX_OFFSET_MS = 2**31 - 1  # the column has 32 bits
MAX_BATCH = 500
ROUNDING_PX = 0.01  # tolerance at the frame's edge for detectors that scale their boxes


class PastTimestamp(serializers.DateTimeField):
    """A time with a zone, from 1970 to now; a clock may be five minutes fast."""

    def to_internal_value(self, value: Any) -> datetime:
        try:
            timestamp = parse_timestamp(value if isinstance(value, str) else "")
        except InvalidTimestamp as error:
            raise serializers.ValidationError(str(error)) from error
        if not EARLIEST <= timestamp <= timezone.now() + CLOCK_SKEW:
            raise serializers.ValidationError("must be between 1970 and now: check the device's clock.")
        return timestamp


class Box(serializers.Serializer[Any]):
    """In pixels, from the frame's upper left corner."""

    x = Number(min_value=0, max_value=MAX_FRAME_PX)
    y = Number(min_value=0, max_value=MAX_FRAME_PX)
    width = Number(min_value=0.001, max_value=MAX_FRAME_PX)
    height = Number(min_value=0.001, max_value=MAX_FRAME_PX)


class DetectionIn(serializers.Serializer[Detection]):
    camera_id = Text(max_length=255, help_text="The camera's id, or its UUID.")
    detected_at = PastTimestamp(help_text="When the picture was taken; may be long ago.")
    file_path = Text(
        max_length=MAX_PATH,
        trim_whitespace=False,
        help_text="Relative to the camera's folder, or absolute inside it. The file need not exist yet.",
    )
    object_class = Text(max_length=64)
    confidence = Number(min_value=0, max_value=1)
    bbox = Box(required=False, allow_null=True)
    media_type = serializers.ChoiceField(MediaType.choices, required=False, help_text="Default: by the extension.")
    source = Text(  # type: ignore[assignment]  # a declared field; DRF takes it off the class
        max_length=64, default="api", help_text="Which detector found it."
    )
    external_id = Text(
        max_length=255,
        required=False,
        allow_null=True,
        allow_blank=True,
        help_text="Your identifier: a repeated report with the same values returns the first detection.",
    )
    offset_ms = Whole(
        required=False, allow_null=True, min_value=0, max_value=MAX_OFFSET_MS, help_text="Position in the video."
    )
    frame_width = Whole(required=False, allow_null=True, min_value=1, max_value=MAX_FRAME_PX)
    frame_height = Whole(required=False, allow_null=True, min_value=1, max_value=MAX_FRAME_PX)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        width, height = attrs.get("frame_width"), attrs.get("frame_height")
        if (width is None) != (height is None):
            raise serializers.ValidationError({"frame_width": "must be given together with frame_height."})
        if width and height and attrs.get("bbox"):
            _check_box(attrs["bbox"], width, height)
        return attrs


class EventUpdate(serializers.Serializer[Event]):
    keep = Flag(required=False)
    reviewed = Flag(required=False)
    notes = Text(required=False, allow_blank=True, max_length=MAX_NOTES, multiline=True)


class EventBatch(serializers.Serializer[Event]):
    ids = serializers.ListField(child=Whole(min_value=1, max_value=2**63 - 1), min_length=1, max_length=MAX_BATCH)
    keep = Flag(required=False)
    reviewed = Flag(required=False)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if "keep" not in attrs and "reviewed" not in attrs:
            raise serializers.ValidationError({"reviewed": "or keep must be given."})
        return attrs


class EventOutcome(serializers.Serializer[Event]):
    id = serializers.IntegerField()
    status = serializers.IntegerField(help_text="200, or 404 for an event that does not exist or that you may not see.")
    changed = serializers.BooleanField(help_text="False if the event already had these values.")


class DetectionOut(serializers.Serializer[Detection]):
    id = serializers.IntegerField()
    camera_id = serializers.CharField()
    event_id = serializers.IntegerField()
    detected_at = serializers.DateTimeField()
    file_path = serializers.CharField()
    media_type = serializers.ChoiceField(MediaType.choices)
    object_class = serializers.CharField()
    confidence = serializers.FloatField()
    bbox = Box(allow_null=True)
    thumbnail_url = serializers.CharField(allow_null=True)
    source = serializers.CharField()  # type: ignore[assignment]  # as above
    external_id = serializers.CharField(allow_null=True)
    offset_ms = serializers.IntegerField(allow_null=True)
    frame_width = serializers.IntegerField(allow_null=True)
    frame_height = serializers.IntegerField(allow_null=True)


class EventOut(serializers.Serializer[Event]):
    id = serializers.IntegerField()
    camera_id = serializers.CharField()
    started_at = serializers.DateTimeField()
    ended_at = serializers.DateTimeField(allow_null=True, help_text="Null while the event may still grow.")
    last_detected_at = serializers.DateTimeField()
    keep = serializers.BooleanField(help_text="Marked as worth keeping. Nothing removes events by their age yet.")
    object_classes = serializers.ListField(child=serializers.CharField())
    detection_count = serializers.IntegerField()
    clip_url = serializers.CharField(allow_null=True)
    clip_state = serializers.ChoiceField(JobState.choices, allow_null=True, help_text="Null if there is no clip job.")
    clip_reason = serializers.CharField(allow_null=True, help_text="Why there is no clip, or not yet.")
    reviewed = serializers.BooleanField()
    notes = serializers.CharField()


class UploadOut(serializers.Serializer[Upload]):
    id = serializers.IntegerField()
    camera_id = serializers.CharField()
    path = serializers.CharField(help_text="Relative to the camera's folder; invalid text shows as U+FFFD.")
    state = serializers.ChoiceField(UploadState.choices)
    reason = serializers.CharField(help_text="Why it was rejected, failed or is waiting; may be empty.")
    attempts = serializers.IntegerField()
    size_bytes = serializers.IntegerField()
    received_at = serializers.DateTimeField()
    captured_at = serializers.DateTimeField(help_text="When the picture was taken, by the most reliable clue.")
    capture_clue = serializers.ChoiceField(
        CaptureClue.choices, allow_null=True, help_text="The source of the capture time; null if it was not recorded."
    )
    capture_note = serializers.CharField(help_text="Why more reliable clues were ignored; empty if none was.")


def columns_for(camera: Camera, given: dict[str, Any]) -> dict[str, Any]:
    """Convert a validated `DetectionIn` to the columns of a detection of `camera`. Raises `Invalid`."""
    path = path_inside(camera, given["file_path"])
    kind = media_type_of(path)
    if given.get("media_type", kind) != kind:
        raise Invalid.field("media_type", f"does not fit file_path, which is of the type {kind}.")
    if given.get("offset_ms") is not None and kind != MediaType.VIDEO:
        raise Invalid.field("offset_ms", "is for videos only.")
    box = given.get("bbox") or {}
    plain = ("detected_at", "object_class", "confidence", "source", "offset_ms", "frame_width", "frame_height")
    return {
        **{name: given.get(name) for name in plain},
        **{f"bbox_{name}": box.get(name) for name in ("x", "y", "width", "height")},
        "file_path": path,
        "media_type": kind,
        "external_id": given.get("external_id") or "",
    }


def _check_box(box: dict[str, float], frame_width: int, frame_height: int) -> None:
    for start, length, frame in (("x", "width", frame_width), ("y", "height", frame_height)):
        if box[start] + box[length] > frame + ROUNDING_PX:
            raise serializers.ValidationError({"bbox": {length: "must end inside the frame."}})
