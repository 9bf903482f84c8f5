"""What the reviewer takes for a picture, a video, or the mark of one; by name, as the camera wrote it."""

from __future__ import annotations

from enum import IntFlag
from typing import Final

IMAGE: Final = "image"
VIDEO: Final = "video"
IMAGES = frozenset({"bmp", "gif", "jpeg", "jpg", "png", "tif", "tiff", "webp"})
VIDEOS = frozenset({"avi", "m4v", "mov", "mp4", "mpeg", "mpg", "mts", "m2ts", "wmv", "mkv", "webm", "3gp", "ts"})
KINDS = dict.fromkeys(IMAGES, IMAGE) | dict.fromkeys(VIDEOS, VIDEO)
BYTES_KINDS = {ending.encode(): kind for ending, kind in KINDS.items()}


class Mark(IntFlag):
    """The companions of a file that are there; `FORMER_…`: that are there, and a former picture's."""

    NONE = 0
    LOCKED = 1
    TRASHED = 2
    SEEN = 4
    FORMER_TRASHED = 8
    FORMER_SEEN = 16


FORMER: Final = {Mark.TRASHED: Mark.FORMER_TRASHED, Mark.SEEN: Mark.FORMER_SEEN}
# Whose companions have to be looked at to tell whether they are the present picture's.
IN_QUESTION: Final = Mark.TRASHED | Mark.SEEN | Mark.FORMER_TRASHED | Mark.FORMER_SEEN
COMPANIONS = {".lock": Mark.LOCKED, ".trash": Mark.TRASHED, ".seen": Mark.SEEN}
BYTES_COMPANIONS = tuple((ending.encode(), mark) for ending, mark in COMPANIONS.items())
BYTES_ENDINGS = frozenset(ending for ending, _ in BYTES_COMPANIONS)


def kind_of(name: str) -> str | None:
    """`image`, `video`, or None for what is neither."""
    stem, dot, ending = name.rpartition("/")[2].rpartition(".")
    return KINDS.get(ending.lower()) if dot and stem else None


def kind_of_bytes(name: bytes) -> str | None:
    """The same for a name as the disk holds it."""
    stem, dot, ending = name.rpartition(b".")
    return BYTES_KINDS.get(ending.lower()) if dot and stem else None
