"""Recognizes pictures, videos and their companion files by the file name.

The suffix `.ts` is ambiguous (it also means TypeScript), so the first bytes of such files are checked as well. The
result is cached until the file changes, so that a folder of recordings is scanned as fast as others.
"""

from __future__ import annotations

import os
from enum import IntFlag
from functools import lru_cache
from typing import Final

from nvr.media.ffmpeg.transport_streams import HEAD_BYTES, is_transport_stream
from nvr.media.files.identity import FileIdentity

IMAGE: Final = "image"
VIDEO: Final = "video"
IMAGES = frozenset({"bmp", "gif", "jpeg", "jpg", "png", "tif", "tiff", "webp"})
VIDEOS = frozenset({"avi", "m4v", "mov", "mp4", "mpeg", "mpg", "mts", "m2ts", "wmv", "mkv", "webm", "3gp", "ts"})
MEDIA_TYPES = dict.fromkeys(IMAGES, IMAGE) | dict.fromkeys(VIDEOS, VIDEO)
BYTES_MEDIA_TYPES = {suffix.encode(): media_type for suffix, media_type in MEDIA_TYPES.items()}


class Mark(IntFlag):
    """The companions of a file. `OUTDATED_…` are companions of a former file of the same name."""

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
BYTES_COMPANIONS = tuple((suffix.encode(), mark) for suffix, mark in COMPANIONS.items())
COMPANION_SUFFIXES = frozenset(suffix for suffix, _ in BYTES_COMPANIONS)

AMBIGUOUS: Final = b".ts"


def has_unambiguous_name(name: bytes) -> bool:
    """Return whether the name alone determines the type. `.mts` and `.m2ts` are rarely anything else than video."""
    return not name.lower().endswith(AMBIGUOUS)


def holds_video(path: bytes, file_stat: os.stat_result) -> bool:
    """Return whether a regular file with an ambiguous name is a video. An unreadable file is not."""
    try:
        return starts_as_video(path, file_stat.st_dev, FileIdentity.of(file_stat))
    except OSError:
        return False


@lru_cache(maxsize=32_768)
def starts_as_video(path: bytes, device: int, identity: FileIdentity) -> bool:
    """Return whether the file starts like a transport stream. Raises OSError, which is not cached.

    All arguments but `path` only serve as the cache key, so that a changed file is read again.
    """
    # O_NONBLOCK: if a FIFO has replaced the file, opening it must not block.
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        return is_transport_stream(os.read(descriptor, HEAD_BYTES))
    finally:
        os.close(descriptor)


def media_type_of(name: str) -> str | None:
    """Return `image`, `video` or None."""
    stem, dot, suffix = name.rpartition("/")[2].rpartition(".")
    return MEDIA_TYPES.get(suffix.lower()) if dot and stem else None


def media_type_of_bytes(name: bytes) -> str | None:
    """Return the same as `media_type_of` for an undecoded name."""
    stem, dot, suffix = name.rpartition(b".")
    return BYTES_MEDIA_TYPES.get(suffix.lower()) if dot and stem else None
