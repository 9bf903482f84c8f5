"""What the reviewer takes for a picture, a video, or the mark of one; by name, as the camera wrote it.

Names that others use as well (`.ts` is TypeScript, too) are believed only with a look at the file's first bytes. What
was seen is remembered for as long as the file stays the same, so that a folder of recordings is read as fast as others.
"""

from __future__ import annotations

import os
from enum import IntFlag
from functools import lru_cache
from typing import Final

from nvr.media.ffmpeg.transport_streams import HEAD_BYTES, is_transport_stream

IMAGE: Final = "image"
VIDEO: Final = "video"
IMAGES = frozenset({"bmp", "gif", "jpeg", "jpg", "png", "tif", "tiff", "webp"})
VIDEOS = frozenset({"avi", "m4v", "mov", "mp4", "mpeg", "mpg", "mts", "m2ts", "wmv", "mkv", "webm", "3gp", "ts"})
MEDIA_TYPES = dict.fromkeys(IMAGES, IMAGE) | dict.fromkeys(VIDEOS, VIDEO)
BYTES_MEDIA_TYPES = {ending.encode(): kind for ending, kind in MEDIA_TYPES.items()}


class Mark(IntFlag):
    """The companions of a file that are there; `FORMER_…`: that are there, and a former picture's."""

    NONE = 0
    LOCKED = 1
    TRASHED = 2
    SEEN = 4
    OUTDATED_TRASHED = 8
    OUTDATED_SEEN = 16


OUTDATED: Final = {Mark.TRASHED: Mark.OUTDATED_TRASHED, Mark.SEEN: Mark.OUTDATED_SEEN}
# Marks that only count if the companion is not older than the file.
MTIME_DEPENDENT: Final = Mark.TRASHED | Mark.SEEN | Mark.OUTDATED_TRASHED | Mark.OUTDATED_SEEN
COMPANIONS = {".lock": Mark.LOCKED, ".trash": Mark.TRASHED, ".seen": Mark.SEEN}
BYTES_COMPANIONS = tuple((ending.encode(), mark) for ending, mark in COMPANIONS.items())
COMPANION_SUFFIXES = frozenset(ending for ending, _ in BYTES_COMPANIONS)


AMBIGUOUS: Final = b".ts"


def has_unambiguous_name(name: bytes) -> bool:
    """Whether the name alone tells what the file is; `.mts` and `.m2ts` are seldom anything else."""
    return not name.lower().endswith(AMBIGUOUS)


def holds_video(path: bytes, facts: os.stat_result) -> bool:
    """Whether the regular file of an ambiguous name is one; not of what cannot be read."""
    try:
        return starts_as_video(path, facts.st_dev, facts.st_ino, facts.st_size, facts.st_mtime_ns)
    except OSError:
        return False


@lru_cache(maxsize=32_768)
def starts_as_video(path: bytes, device: int, inode: int, size_bytes: int, mtime_ns: int) -> bool:
    """What tells it from its state at other times is only to be remembered. Raises OSError, which is not."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        return is_transport_stream(os.read(descriptor, HEAD_BYTES))
    finally:
        os.close(descriptor)


def media_type_of(name: str) -> str | None:
    """`image`, `video`, or None for what is neither."""
    stem, dot, ending = name.rpartition("/")[2].rpartition(".")
    return MEDIA_TYPES.get(ending.lower()) if dot and stem else None


def media_type_of_bytes(name: bytes) -> str | None:
    """The same for a name as the disk holds it."""
    stem, dot, ending = name.rpartition(b".")
    return BYTES_MEDIA_TYPES.get(ending.lower()) if dot and stem else None
