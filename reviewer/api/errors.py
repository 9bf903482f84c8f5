"""The error shape of the reviewer's API: `{"error"}`."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest

from nvr.api.errors import Problem, register_shape
from nvr.api.schema import register_error_schema

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

REVIEW_ERROR = {"type": "object", "required": ["error"], "properties": {"error": {"type": "string"}}}


def register() -> None:
    for prefix in PREFIXES:
        register_shape(prefix, error_shape, has_422=False)
        register_error_schema(prefix, "ReviewError", REVIEW_ERROR)


def error_shape(problem: Problem, request: HttpRequest) -> dict[str, Any]:
    return {"error": sentence(problem.detail)}


def sentence(text: str) -> str:
    """Add the full stop that error texts of other contracts lack."""
    return text if text.endswith((".", "!", "?")) else f"{text}."
