"""OpenAPI documentation of the API of detections, events and uploads."""

from __future__ import annotations

from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, inline_serializer
from rest_framework import serializers

from media_serving.api.serializers import (
    DetectionIn,
    DetectionOut,
    EventBatch,
    EventOut,
    EventOutcome,
    EventUpdate,
    UploadOut,
)
from media_serving.models import UploadState
from nvr.api.audit import CURSOR_PARAMETERS, CursorPagination


def _page(name: str, item: type[serializers.Serializer[Any]]) -> Any:
    return inline_serializer(name, {"items": item(many=True), "pagination": CursorPagination()})


CAMERA_PARAMETER = OpenApiParameter(
    "camera_id", str, description="The camera's id or UUID. An unknown camera has no results."
)
FILTERS = [
    CAMERA_PARAMETER,
    OpenApiParameter(
        "object_class", {"type": "string", "minLength": 1, "maxLength": 64}, description="Such as person."
    ),
    OpenApiParameter("from", OpenApiTypes.DATETIME, description="With its zone; included."),
    OpenApiParameter("to", OpenApiTypes.DATETIME, description="With its zone; included."),
    OpenApiParameter("min_confidence", {"type": "number", "minimum": 0, "maximum": 1}),
]
DETECTIONS = _page("DetectionPage", DetectionOut)

LIST_DETECTIONS: dict[str, Any] = {
    "operation_id": "list_detections",
    "tags": ["detections"],
    "parameters": [*FILTERS, *CURSOR_PARAMETERS],
    "responses": {200: DETECTIONS},
}
REPORT_DETECTION: dict[str, Any] = {
    "operation_id": "report_detection",
    "tags": ["detections"],
    "request": DetectionIn,
    "responses": {201: DetectionOut, 200: DetectionOut},
}
RETRIEVE_DETECTION: dict[str, Any] = {
    "operation_id": "get_detection",
    "tags": ["detections"],
    "responses": {200: DetectionOut},
}
LIST_EVENTS: dict[str, Any] = {
    "operation_id": "list_events",
    "tags": ["events"],
    "description": "Events that overlap the requested time, newest first. Class and confidence are those of one "
    "detection in the event.",
    "parameters": [
        *FILTERS,
        OpenApiParameter("reviewed", bool),
        OpenApiParameter(
            "q",
            {"type": "string", "minLength": 1, "maxLength": 200},
            description="Words that must all occur in the notes, the classes or the camera's name.",
        ),
        *CURSOR_PARAMETERS,
    ],
    "responses": {200: _page("EventPage", EventOut)},
}
RETRIEVE_EVENT: dict[str, Any] = {"operation_id": "get_event", "tags": ["events"], "responses": {200: EventOut}}
UPDATE_EVENT: dict[str, Any] = {
    "operation_id": "update_event",
    "tags": ["events"],
    "request": EventUpdate,
    "responses": {200: EventOut},
}
UPDATE_EVENTS: dict[str, Any] = {
    "operation_id": "update_events",
    "tags": ["events"],
    "description": "Up to 500 at once; each has its own result, in the order of the request.",
    "request": EventBatch,
    "responses": {207: inline_serializer("EventOutcomes", {"results": EventOutcome(many=True)})},
}
MAKE_CLIP: dict[str, Any] = {
    "operation_id": "make_event_clip",
    "tags": ["events"],
    "description": "409 while the event is open, 422 when its footage no longer exists.",
    "request": None,
    "responses": {202: EventOut},
}
LIST_DETECTIONS_OF_EVENT: dict[str, Any] = {
    "operation_id": "list_event_detections",
    "tags": ["events"],
    "parameters": CURSOR_PARAMETERS,
    "responses": {200: DETECTIONS},
}
LIST_UPLOADS: dict[str, Any] = {
    "operation_id": "list_uploads",
    "tags": ["uploads"],
    "parameters": [CAMERA_PARAMETER, OpenApiParameter("state", str, enum=UploadState.values), *CURSOR_PARAMETERS],
    "responses": {200: _page("UploadPage", UploadOut)},
}
RETRY_UPLOAD: dict[str, Any] = {
    "operation_id": "retry_upload",
    "tags": ["uploads"],
    "request": None,
    "responses": {202: UploadOut},
}
