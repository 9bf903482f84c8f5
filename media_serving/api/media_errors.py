"""What went wrong below /api/media/, in the contract's two keys."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest

from media_serving.addresses import MAX_PATH, PREFIX
from nvr.api.errors import Problem, printable

ECHO = 100  # characters of an overlong path that its refusal repeats
MEDIA_ERROR: dict[str, Any] = {
    "type": "object",
    "required": ["error", "path"],
    "additionalProperties": False,
    "properties": {
        "error": {"type": "string", "description": "What went wrong."},
        "path": {"type": "string", "description": "The path that was asked for, without /api/media/."},
    },
}


def media_shape(problem: Problem, request: HttpRequest) -> dict[str, Any]:
    return {"error": problem.detail, "path": echo_path(request.path.removeprefix(PREFIX))}


def echo_path(path: str) -> str:
    return printable(path if len(path) <= MAX_PATH else f"{path[:ECHO]}...")
