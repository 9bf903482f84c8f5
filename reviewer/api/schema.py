"""The OpenAPI documentation of the reviewer's API."""

from __future__ import annotations

from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, inline_serializer
from rest_framework import serializers

from nvr.media.files.companions import ACTIONS
from reviewer.catalog.blocks import FILTERS
from reviewer.catalog.orders import ORDERS

TAGS = ["review"]
PATH_NOTE = "An absolute path. Outside your review paths: 403, whether or not it exists."


class StatusOut(serializers.Serializer[Any]):
    locked = serializers.BooleanField()
    trashed = serializers.BooleanField()
    seen = serializers.BooleanField()


class MetadataOut(serializers.Serializer[Any]):
    width = serializers.IntegerField(allow_null=True)
    height = serializers.IntegerField(allow_null=True)
    duration_seconds = serializers.FloatField(allow_null=True)


class ItemOut(serializers.Serializer[Any]):
    path = serializers.CharField()
    name = serializers.CharField()
    mediaType = serializers.ChoiceField(["image", "video"])
    thumbnailUrl = serializers.CharField()
    sizeBytes = serializers.IntegerField()
    modifiedAt = serializers.DateTimeField()
    createdAt = serializers.DateTimeField()
    status = StatusOut()
    metadata = MetadataOut()


class FolderOut(serializers.Serializer[Any]):
    path = serializers.CharField()
    name = serializers.CharField()
    has_children = serializers.BooleanField()


class OutcomeOut(serializers.Serializer[Any]):
    path = serializers.CharField()
    status = serializers.IntegerField()
    error = serializers.CharField(allow_null=True)


def flag(name: str, text: str) -> OpenApiParameter:
    return OpenApiParameter(name, str, enum=["1"], description=text)


def number(name: str, minimum: int, maximum: int | None, default: int) -> OpenApiParameter:
    schema = {"type": "integer", "minimum": minimum} | ({"maximum": maximum} if maximum else {})
    return OpenApiParameter(name, schema, description=f"Default {default}.")


def path_parameter(text: str = PATH_NOTE) -> OpenApiParameter:
    return OpenApiParameter("path", {"type": "string", "minLength": 1}, required=True, description=text)


STATUS_FILTER = OpenApiParameter(
    "statusFilter", str, enum=list(FILTERS), description="Applied before offset and limit."
)
ORDER = OpenApiParameter(
    "order",
    str,
    enum=list(ORDERS),
    description="`name` (the default): file name, then path. `folder`: folder, then file name. `time`: oldest "
    "first; the first request reads the times of all files.",
)
REFRESH = flag("refresh", "Scan the disk again, even if nothing seems to have changed.")
WAIT = flag("wait", "Wait until the dimensions and durations of all items are known.")
NAMED_PATH = inline_serializer("ReviewPathIn", {"path": serializers.CharField(max_length=4096)})
NAMES = serializers.ListField(child=serializers.CharField())

PATHS: dict[str, Any] = {
    "operation_id": "list_review_paths",
    "tags": TAGS,
    "responses": {200: inline_serializer("ReviewPaths", {"knownPaths": NAMES, "hiddenPickerPaths": NAMES})},
}
ADD_PATH: dict[str, Any] = {
    "operation_id": "add_review_path",
    "tags": TAGS,
    "description": "Links in the path are resolved. Adding a known path again changes nothing.",
    "request": NAMED_PATH,
    "responses": {
        201: inline_serializer("ReviewPathAdded", {"addedPath": serializers.CharField(), "knownPaths": NAMES})
    },
}
REMOVE_PATH: dict[str, Any] = {
    "operation_id": "remove_review_path",
    "tags": TAGS,
    "description": "Files on the disk stay unchanged; the folder need not exist.",
    "request": NAMED_PATH,
    "responses": {
        200: inline_serializer("ReviewPathRemoved", {"removedPath": serializers.CharField(), "knownPaths": NAMES})
    },
}
FOLDERS: dict[str, Any] = {
    "operation_id": "list_folders",
    "tags": TAGS,
    "description": "The subfolders of a folder, without hidden ones.",
    "parameters": [path_parameter("An absolute path. Outside the review paths only for users who manage them.")],
    "responses": {
        200: inline_serializer("Folders", {"path": serializers.CharField(), "folders": FolderOut(many=True)})
    },
}
FOLDER_FILES: dict[str, Any] = {
    "operation_id": "list_folder_files",
    "tags": TAGS,
    "parameters": [path_parameter(), number("offset", 0, None, 0), number("limit", 1, 1000, 100), REFRESH, WAIT],
    "responses": {
        200: inline_serializer(
            "FolderFiles",
            {
                "path": serializers.CharField(),
                "offset": serializers.IntegerField(),
                "limit": serializers.IntegerField(),
                "count": serializers.IntegerField(help_text="How many items this page has."),
                "ignoredCount": serializers.IntegerField(
                    help_text="Files that are neither pictures, videos nor marks."
                ),
                "items": ItemOut(many=True),
            },
        )
    },
}
STREAM: dict[str, Any] = {
    "operation_id": "stream_media_items",
    "tags": TAGS,
    "description": "One line of JSON for each picture and video below a review path, sorted by file name, then path. "
    'The last line is `{"type": "done", "count": …}`.',
    "parameters": [
        path_parameter("A review path."),
        number("offset", 0, None, 0),
        number("limit", 1, 10_000, 50),
        STATUS_FILTER,
        ORDER,
        OpenApiParameter(
            "after",
            str,
            description="Instead of `offset`: the path of the last item of the previous page. In the order by time it "
            "must still exist.",
        ),
        REFRESH,
        WAIT,
    ],
    "responses": {(200, "application/x-ndjson"): OpenApiTypes.BINARY},
}
POSITION: dict[str, Any] = {
    "operation_id": "find_media_item",
    "tags": TAGS,
    "description": "The offset of `item` in the stream of the same filter and order, also if the item does not exist.",
    "parameters": [
        path_parameter("A review path."),
        OpenApiParameter("item", {"type": "string", "minLength": 1}, required=True, description="The item's path."),
        STATUS_FILTER,
        ORDER,
    ],
    "responses": {
        200: inline_serializer("MediaPosition", {"path": serializers.CharField(), "offset": serializers.IntegerField()})
    },
}
SUMMARY: dict[str, Any] = {
    "operation_id": "summarise_media_items",
    "tags": TAGS,
    "description": "The number of files for each status filter.",
    "parameters": [path_parameter("A review path.")],
    "responses": {
        200: inline_serializer(
            "MediaSummary",
            {
                "path": serializers.CharField(),
                "counts": inline_serializer("MediaCounts", {name: serializers.IntegerField() for name in FILTERS}),
            },
        )
    },
}
PROGRESS: dict[str, Any] = {
    "operation_id": "watch_media_progress",
    "tags": TAGS,
    "description": (
        "The progress of a scan, for clients that wait for the first page: `reading` with the files found so far, "
        "`ready` with all files, or `unread`. `thumbnails` is the progress of the thumbnails that are created ahead of "
        "time, or null."
    ),
    "parameters": [path_parameter("A review path.")],
    "responses": {
        200: inline_serializer(
            "MediaProgress",
            {
                "path": serializers.CharField(),
                "state": serializers.ChoiceField(["unread", "reading", "ready"]),
                "folders": serializers.IntegerField(),
                "files": serializers.IntegerField(),
                "thumbnails": inline_serializer(
                    "ThumbnailProgress",
                    {
                        "state": serializers.ChoiceField(["waiting", "working", "done", "stopped"]),
                        **{name: serializers.IntegerField() for name in ("done", "failed", "total")},
                    },
                    allow_null=True,
                ),
            },
        )
    },
}
ACT: dict[str, Any] = {
    "operation_id": "mark_media",
    "tags": TAGS,
    "description": "Repeating an action changes nothing. Trashing a locked file: 409.",
    "request": inline_serializer(
        "MediaAction",
        {"path": serializers.CharField(max_length=4096), "action": serializers.ChoiceField(list(ACTIONS))},
    ),
    "responses": {
        200: inline_serializer(
            "MediaMarked",
            {"path": serializers.CharField(), "action": serializers.CharField(), "status": StatusOut()},
        )
    },
}
BATCH: dict[str, Any] = {
    "operation_id": "mark_many_media",
    "tags": TAGS,
    "description": "A file that fails does not stop the others.",
    "request": inline_serializer(
        "MediaBatch",
        {
            "paths": serializers.ListField(child=serializers.CharField(max_length=4096), min_length=1, max_length=500),
            "action": serializers.ChoiceField(list(ACTIONS)),
        },
    ),
    "responses": {207: inline_serializer("MediaOutcomes", {"results": OutcomeOut(many=True)})},
}
THUMBNAIL: dict[str, Any] = {
    "operation_id": "media_thumbnail",
    "tags": TAGS,
    "description": "A PNG of exactly this size: the picture, or the video frame at 2 s, centered in a light square. If "
    "it cannot be created now, a placeholder with `Cache-Control: no-store`.",
    "parameters": [
        path_parameter(),
        number("size", 1, 1024, 256),
        OpenApiParameter(
            "v", str, description="The item's `modifiedAt`: the response may then be cached without revalidation."
        ),
    ],
    "responses": {(200, "image/png"): OpenApiTypes.BINARY},
}
FILE: dict[str, Any] = {
    "operation_id": "media_file",
    "tags": TAGS,
    "description": "The original file; supports ranges and conditional requests. `playable=1`: 202 with `Retry-After` "
    "until the web playback version is ready.",
    "parameters": [
        path_parameter(),
        flag("playable", "The web playback version of the video."),
        flag("download", "Send the file as an attachment."),
    ],
    "responses": {(200, "application/octet-stream"): OpenApiTypes.BINARY},
}
