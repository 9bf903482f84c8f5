"""The OpenAPI documentation of trash runs."""

from __future__ import annotations

from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiResponse, inline_serializer
from rest_framework import serializers

from reviewer.api.schema import TAGS, flag, number
from reviewer.models import RunState


class TrashRunOut(serializers.Serializer[Any]):
    id = serializers.IntegerField()
    started_at = serializers.DateTimeField()
    finished_at = serializers.DateTimeField(allow_null=True)
    started_by = serializers.CharField()
    path = serializers.CharField(allow_null=True, help_text="Null: all review paths of the user who started it.")
    state = serializers.ChoiceField(RunState.choices)
    deleted = serializers.IntegerField()
    skipped = serializers.IntegerField()
    errors = serializers.IntegerField()  # type: ignore[assignment]  # a field, not the serializer's own
    bytes_freed = serializers.IntegerField()


EMPTY: dict[str, Any] = {
    "operation_id": "empty_trash",
    "tags": TAGS,
    "description": "Deletes files that are marked as trash and not locked, in all your review paths or only in `path`. "
    "Each line is a JSON object with a `type`: `deleting` before each file, then `deleted`, `skipped` (with `reason`: "
    "`locked`, or `changed` if another file has replaced the trashed one) or "
    "`error` (with `message`); the last one is `done` with `deleted` and `errors`. The header `X-Trash-Run` names the "
    "run. Closing the connection cancels it. 409 while another run is open, or if `path` is unavailable; of several "
    "paths, an unavailable one is reported as an `error`, and the others are emptied.",
    "parameters": [flag("dry_run", "Delete nothing: `would_delete` for each file, and `bytes` in `done`.")],
    "request": inline_serializer("EmptyTrash", {"path": serializers.CharField(max_length=4096, required=False)}),
    "responses": {(200, "application/x-ndjson"): OpenApiTypes.BINARY},
}
RUNS: dict[str, Any] = {
    "operation_id": "list_trash_runs",
    "tags": TAGS,
    "description": "Your own runs, or all for users who manage the review paths; newest first.",
    "parameters": [number("offset", 0, None, 0), number("limit", 1, 1000, 100)],
    "responses": {
        200: inline_serializer(
            "TrashRuns",
            {
                "offset": serializers.IntegerField(),
                "limit": serializers.IntegerField(),
                "count": serializers.IntegerField(help_text="How many items this page has."),
                "items": TrashRunOut(many=True),
            },
        )
    },
}
RUN: dict[str, Any] = {"operation_id": "get_trash_run", "tags": TAGS, "responses": {200: TrashRunOut}}
CANCEL: dict[str, Any] = {
    "operation_id": "cancel_trash_run",
    "tags": TAGS,
    "description": "The run stops after the current file. A closed run stays unchanged.",
    "request": None,
    "responses": {200: OpenApiResponse(TrashRunOut)},
}
