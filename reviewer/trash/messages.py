"""The lines of a trash run in the format of the API contract: one JSON object per line."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import orjson

from reviewer.non_utf8_names import text

DELETING: Final = "deleting"
DELETED: Final = "deleted"
SKIPPED: Final = "skipped"
ERROR: Final = "error"
WOULD_DELETE: Final = "would_delete"
TEXT_KEYS: Final = {SKIPPED: "reason", ERROR: "message"}


@dataclass(frozen=True, slots=True)
class TrashEvent:
    """The result for one file, or the start of its deletion."""

    type: str
    path: bytes
    message: str = ""
    freed_bytes: int = 0

    def line(self) -> bytes:
        values = {"type": self.type, "path": text(self.path)}
        if self.type in TEXT_KEYS:
            values[TEXT_KEYS[self.type]] = self.message
        return line_of(values)


def line_of(values: dict[str, Any]) -> bytes:
    return orjson.dumps(values, option=orjson.OPT_APPEND_NEWLINE)


def done_line(*, deleted: int, errors: int, **more: int) -> bytes:
    return line_of({"type": "done", "deleted": deleted, "errors": errors, **more})
