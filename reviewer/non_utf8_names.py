"""Names that are no UTF-8: JSON shows them with U+FFFD, and gives them back so."""

from __future__ import annotations

import os
from typing import Final

REPLACED: Final = "\N{REPLACEMENT CHARACTER}"


def text(path: bytes) -> str:
    """For JSON, which cannot hold what is not UTF-8."""
    return path.decode("utf-8", "replace")


def as_on_disk(path: str, root: str) -> str:
    """The path below `root` that is shown as `path`; `path` itself if none is, or more than one."""
    place = root
    for name in path[len(root) :].strip("/").split("/"):
        place = f"{place}/{shown_as(name, place)}"
    return place


def shown_as(name: str, folder: str) -> str:
    """The one name in `folder` that is shown as `name`; `name` itself if it is there."""
    if REPLACED not in name or os.path.lexists(f"{folder}/{name}"):
        return name
    try:
        fitting = [found for found in os.listdir(os.fsencode(folder)) if text(found) == name]  # noqa: PTH208 - bytes
    except OSError:
        return name
    return os.fsdecode(fitting[0]) if len(fitting) == 1 else name
