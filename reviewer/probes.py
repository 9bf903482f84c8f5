"""Width, height and duration of pictures and videos."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from nvr.errors import NvrError
from nvr.media.images import opened
from reviewer.kinds import IMAGE, kind_of_bytes


@dataclass(frozen=True, slots=True)
class Facts:
    """In pixels and seconds; what cannot be known is None."""

    width: int | None
    height: int | None
    duration_s: float | None


def facts_of(
    root: str, files: Iterable[tuple[bytes, os.stat_result]], *, wait_for_all: bool = False
) -> dict[bytes, Facts]:
    """What is known of each, by path (bytes, absolute)."""
    return {path: image_facts(path) for path, _ in files if kind_of_bytes(path) == IMAGE}


def image_facts(path: bytes) -> Facts:
    try:
        with opened(Path(os.fsdecode(path))) as image:
            return Facts(image.width, image.height, None)
    except NvrError:
        return Facts(None, None, None)
