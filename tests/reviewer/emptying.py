"""Helpers for tests of trash runs: put files into the trash, run it, and check what is left."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from rest_framework.test import APIClient

from tests.factories import put

EMPTY = "/api/empty-trash"


def lines_of(answer: Any) -> list[dict[str, Any]]:
    assert answer.status_code == 200, answer.content
    assert answer["Content-Type"] == "application/x-ndjson"
    assert answer["X-Accel-Buffering"] == "no"
    text = b"".join(answer.streaming_content)
    assert text.endswith(b"\n")
    return [json.loads(line) for line in text.splitlines()]


def emptied(client: APIClient, body: Any = None, query: str = "") -> list[dict[str, Any]]:
    return lines_of(client.post(EMPTY + query, body, format="json"))


def of_type(lines: list[dict[str, Any]], event_type: str) -> list[str]:
    return [line["path"] for line in lines if line["type"] == event_type]


def trashed(folder: Path, name: str, *marks: str, data: bytes = b"x" * 100) -> Path:
    file = put(folder, name, data)
    for mark in marks or (".trash", ".seen"):
        put(folder, name + mark, b"")
    return file


def left_in(folder: Path) -> set[str]:
    return {str(Path(at, name).relative_to(folder)) for at, _, names in os.walk(folder) for name in names}
