"""Errors below /api/media/, with the contract's two keys."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest

from media_serving.addresses import MAX_PATH, PREFIX
from nvr.api.errors import Problem, printable

ECHO = 100  # characters of an overlong path that the error repeats
MEDIA_ERROR: dict[str, Any] = {
    "type": "object",
    "required": ["error", "path"],
    "additionalProperties": False,
    "properties": {
        "error": {"type": "string", "description": "What went wrong."},
        "path": {"type": "string", "description": "The requested path, without /api/media/."},
    },
}


def media_shape(problem: Problem, request: HttpRequest) -> dict[str, Any]:
    return {"error": problem.detail, "path": echo_path(request.path.removeprefix(PREFIX))}


def echo_path(path: str) -> str:
    return printable(path if len(path) <= MAX_PATH else f"{path[:ECHO]}...")
