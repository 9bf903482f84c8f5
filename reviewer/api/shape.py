"""What went wrong in the reviewer's API, in the contract's one key."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest

from nvr.api.errors import Problem, register_shape

PREFIXES = (
    "/api/review-paths",
    "/api/folders",
    "/api/media-items",
    "/api/media-actions",
    "/api/empty-trash",
    "/api/trash-runs",
    "/api/media-file",
    "/api/media-thumbnail",
)


def register() -> None:
    for prefix in PREFIXES:
        register_shape(prefix, error_shape)


def error_shape(problem: Problem, request: HttpRequest) -> dict[str, Any]:
    return {"error": problem.detail}
