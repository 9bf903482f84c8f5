"""File names that are not UTF-8: JSON shows their invalid bytes as U+FFFD, and clients send them back like that."""

from __future__ import annotations

import os
from typing import Final

REPLACED: Final = "\N{REPLACEMENT CHARACTER}"


def text(path: bytes) -> str:
    """Decode a path for JSON, which cannot contain invalid UTF-8."""
    return path.decode("utf-8", "replace")


def as_on_disk(path: str, root: str) -> str:
    """Return the path below `root` that is shown as `path`. Names that are missing or ambiguous stay unchanged."""
    result = root
    for name in path[len(root) :].strip("/").split("/"):
        result = f"{result}/{name_on_disk(name, result)}"
    return result


def name_on_disk(name: str, folder: str) -> str:
    # A file whose name really contains U+FFFD takes precedence.
    if REPLACED not in name or os.path.lexists(f"{folder}/{name}"):
        return name
    try:
        matching = [found for found in os.listdir(os.fsencode(folder)) if text(found) == name]  # noqa: PTH208 - bytes
    except OSError:
        return name
    return os.fsdecode(matching[0]) if len(matching) == 1 else name
