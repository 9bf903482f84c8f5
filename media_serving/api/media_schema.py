"""OpenAPI documentation of the media API."""

from __future__ import annotations

from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, inline_serializer
from rest_framework import serializers

ERROR = {"$ref": "#/components/schemas/MediaError"}
IMAGES = ("image/jpeg", "image/png", "image/gif")
VIDEOS = ("video/mp4", "video/x-msvideo", "video/webm", "video/quicktime", "video/x-matroska")
NOT_READY = inline_serializer(
    "TranscodePending",
    {"state": serializers.ChoiceField(["waiting", "working"]), "path": serializers.CharField()},
)
WIDTH = OpenApiParameter(
    "width",
    {"type": "string", "enum": ["160", "320", "640", "1280"]},
    description="A copy at most this wide, in pixels; for a video, one of its frames.",
)
PLAYABLE = OpenApiParameter(
    "playable",
    {"type": "string", "enum": ["1"]},
    description="For a video: a version that every browser plays. 202 until a worker has created it.",
)
DOWNLOAD = OpenApiParameter("download", {"type": "string", "enum": ["1"]}, description="Send as an attachment.")


def in_path(name: str, description: str) -> OpenApiParameter:
    return OpenApiParameter(name, str, OpenApiParameter.PATH, description=description)


def document(name: str, *parameters: OpenApiParameter, types: tuple[str, ...], pending: bool = True) -> dict[str, Any]:
    """Return the documentation of a media route that returns any of `types`."""
    errors = {(status, "application/json"): OpenApiResponse(ERROR, text) for status, text in ERRORS.items()}
    files = {(status, kind): OpenApiTypes.BINARY for status in (200, 206) for kind in types}
    return {
        "operation_id": name,
        "tags": ["media"],
        "parameters": [*parameters, DOWNLOAD],
        "responses": {
            **files,
            **({202: NOT_READY} if pending else {}),
            304: OpenApiResponse(None, "Not modified."),
            **errors,
        },
    }


ERRORS = {
    412: "The file does not match the condition of the request.",
    414: "The path is longer than 4096 characters.",
    416: "The range begins after the end of the file.",
    507: "The disk is full.",
}
CAMERA_FILE = document(
    "get_camera_file",
    in_path("camera_id", "The camera's id, its UUID, or the name of its folder."),
    in_path("filename", "The path relative to the camera's folder; it may contain slashes."),
    WIDTH,
    PLAYABLE,
    types=IMAGES + VIDEOS,
)
THUMBNAIL = document(
    "get_thumbnail", in_path("filename", "detection_<id>_thumb.jpg"), WIDTH, types=("image/jpeg",), pending=False
)
DETECTION_FILE = document(
    "get_detection_file", in_path("detection_id", "The detection's number."), WIDTH, types=IMAGES, pending=False
)
UPLOAD_FILE = document(
    "get_upload_file", in_path("upload_id", "The upload's number."), WIDTH, PLAYABLE, types=IMAGES + VIDEOS
)
CLIP = document("get_clip", in_path("filename", "<event id>_clip.mp4"), WIDTH, PLAYABLE, types=(*IMAGES, "video/mp4"))
COMPATIBILITY = document(
    "get_media", in_path("path", "The path of any of the other routes."), WIDTH, PLAYABLE, types=IMAGES + VIDEOS
)
