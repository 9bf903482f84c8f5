"""OpenAPI documentation of the cameras API: parameters and responses, per version where they differ."""

from __future__ import annotations

from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, inline_serializer
from rest_framework import serializers

from cameras.api.serializers import CameraInput, CameraOut, CameraV1, DeletedCameraOut
from cameras.models import CameraStatus, IngestionMode

TAGS = ["cameras"]
CAMERA_ID = OpenApiParameter("camera_id", str, OpenApiParameter.PATH, description="The camera's id, or its UUID.")
NO_CONTENT = OpenApiResponse(description="Done.")


class OffsetPagination(serializers.Serializer[Any]):
    total = serializers.IntegerField()
    limit = serializers.IntegerField()
    offset = serializers.IntegerField()
    next_cursor = serializers.CharField(allow_null=True, required=False)
    has_more = serializers.BooleanField()


class CheckedCamera(serializers.Serializer[Any]):
    id = serializers.CharField()
    name = serializers.CharField()
    folder_path = serializers.CharField()
    status = serializers.CharField()
    resolved_path = serializers.CharField(allow_null=True)
    issues = serializers.ListField(child=serializers.CharField(), allow_null=True)


OFFSET_PARAMETERS = [
    OpenApiParameter("limit", {"type": "integer", "minimum": 1, "maximum": 1000}, description="Default 1000."),
    OpenApiParameter("offset", {"type": "integer", "minimum": 0}, description="Default 0."),
]


def _page(name: str, item: type[serializers.Serializer[Any]]) -> Any:
    return inline_serializer(name, {"items": item(many=True), "pagination": OffsetPagination()})


LIST: dict[str, Any] = {
    "operation_id": "list_cameras",
    "tags": TAGS,
    "description": "Cameras that you may see, by name. Version 1 returns `cameras`, with six fields each, and `count`.",
    "parameters": [
        *OFFSET_PARAMETERS,
        OpenApiParameter("status", str, description=f"One of {', '.join(CameraStatus.values)}."),
        OpenApiParameter("fields", str, description="Only these keys, comma-separated, of the six documented ones."),
        OpenApiParameter("ingestion_mode", str, enum=IngestionMode.values),
        OpenApiParameter("enabled", bool),
        OpenApiParameter("q", str, description="Part of the name."),
    ],
    "responses": {200: _page("CameraList", CameraOut)},
    "filters": False,
}
DELETED: dict[str, Any] = {
    "operation_id": "list_deleted_cameras",
    "tags": TAGS,
    "description": "Cameras in the trash.",
    "parameters": OFFSET_PARAMETERS,
    "responses": {200: _page("DeletedCameraList", DeletedCameraOut)},
    "filters": False,
}
CREATE: dict[str, Any] = {
    "operation_id": "create_camera",
    "tags": TAGS,
    "description": "Create a camera. Returns 409 if another camera already has its name, folder or id.",
    "request": CameraInput,
    "responses": {201: CameraOut},
}
RETRIEVE: dict[str, Any] = {
    "operation_id": "get_camera",
    "tags": TAGS,
    "parameters": [CAMERA_ID],
    "responses": {200: CameraOut},
}
UPDATE: dict[str, Any] = {
    "operation_id": "update_camera",
    "tags": TAGS,
    "description": "Change the given fields; the id never changes.",
    "parameters": [CAMERA_ID],
    "request": CameraInput,
    "responses": {200: CameraOut},
}
DESTROY: dict[str, Any] = {
    "operation_id": "delete_camera",
    "tags": TAGS,
    "description": "Move a camera to the trash, with its detections and events; its folder stays unchanged.",
    "parameters": [CAMERA_ID],
    "responses": {204: NO_CONTENT},
}
RESTORE: dict[str, Any] = {
    "operation_id": "restore_camera",
    "tags": TAGS,
    "description": "Restore a camera from the trash. Returns 400 if it is not in the trash, 409 if it is being purged.",
    "parameters": [CAMERA_ID],
    "request": None,
    "responses": {200: CameraOut},
}
PURGE: dict[str, Any] = {
    "operation_id": "purge_camera",
    "tags": TAGS,
    "description": "Permanently delete a trashed camera's rows; 400 if it is not in the trash. Files stay."
    " If the camera has many detections, a worker deletes the rest after the response; until then the trash lists it"
    " with `purging_since`.",
    "parameters": [CAMERA_ID],
    "request": None,
    "responses": {204: NO_CONTENT},
}
VALIDATE_PATHS: dict[str, Any] = {
    "operation_id": "validate_camera_paths",
    "tags": TAGS,
    "responses": {
        200: inline_serializer(
            "PathValidation",
            {
                "base_path": serializers.CharField(),
                "total_cameras": serializers.IntegerField(),
                "valid_count": serializers.IntegerField(),
                "invalid_count": serializers.IntegerField(),
                "valid_cameras": CheckedCamera(many=True),
                "invalid_cameras": CheckedCamera(many=True),
            },
        )
    },
}
SNAPSHOT: dict[str, Any] = {
    "operation_id": "camera_snapshot",
    "tags": TAGS,
    "parameters": [
        CAMERA_ID,
        OpenApiParameter("width", int, enum=[160, 320, 640, 1280], description="At most this many pixels wide."),
    ],
    "responses": {(200, media_type): OpenApiTypes.BINARY for media_type in ("image/jpeg", "image/png", "image/gif")}
    | {206: OpenApiTypes.BINARY, 304: OpenApiResponse(description="Not modified.")},
    "auth": [{}, {"session": []}, {"apiKey": []}, {"bearer": []}],
}


class CameraListV1(serializers.Serializer[Any]):
    cameras = CameraV1(many=True)
    count = serializers.IntegerField()


def in_version_1(document: dict[str, Any], response: type[serializers.Serializer[Any]]) -> dict[str, Any]:
    """The same operation in version 1: six fields, the UUID as id."""
    status = next(iter(document["responses"]))
    return document | {"responses": {status: response}, "versions": ["1"]}


LIST_V1 = in_version_1(LIST, CameraListV1) | {"parameters": LIST["parameters"][2:3]}
