"""The API's JSON for a picture or video, with exactly the keys of the API contract."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterable, Iterator
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import Any
from urllib.parse import quote_from_bytes

from reviewer.catalog.index import Row
from reviewer.catalog.media_types import Mark, media_type_of_bytes
from reviewer.catalog.scanner import check_available
from reviewer.media_info.cache import UNKNOWN, MediaInfo
from reviewer.media_info.probes import Deadline, media_info_of, stat_or_none
from reviewer.models import ReviewPath
from reviewer.non_utf8_names import text

THUMBNAIL, SIZE = "/api/media-thumbnail?path=", "&size=256"
IS_PLAIN = re.compile(rb"[A-Za-z0-9_.~-]+").fullmatch
SECOND_US = 1_000_000
MINUTE_US = 60 * SECOND_US
# Plain integers: an operation on an IntFlag takes 40 times as long, and these run for every item.
LOCKED, TRASHED, SEEN = int(Mark.LOCKED), int(Mark.TRASHED), int(Mark.SEEN)
BATCH_SIZE = 200  # files to probe together; the first file is a batch of its own, so that it is sent at once


def items_of(root: ReviewPath, rows: Iterable[Row], *, wait_for_all: bool = False) -> Iterator[dict[str, Any]]:
    """Yield the items of files that still exist. Metadata that takes longer than the deadline to probe is null.

    Raises `PathUnavailable` if files are missing because their volume is missing.
    """
    base = os.fsencode(root.path)
    deadline = Deadline(for_all=wait_for_all)
    rest, size = iter(rows), 1
    while batch := list(islice(rest, size)):
        paths = ((row, base + b"/" + row.path) for row in batch)
        existing = [(row, path, file_stat) for row, path in paths if (file_stat := stat_or_none(path))]
        if len(existing) < len(batch):
            check_available(root)
        known = media_info_of([(path, file_stat) for _, path, file_stat in existing], deadline, root=Path(root.path))
        yield from (item_json(row.marks, path, file_stat, known.get(path)) for row, path, file_stat in existing)
        size = BATCH_SIZE


def item_json(marks: int, path: bytes, file_stat: os.stat_result, info: MediaInfo | None) -> dict[str, Any]:
    shown_path = text(path)
    width, height, duration_s = info or UNKNOWN
    return {
        "path": shown_path,
        "name": shown_path.rpartition("/")[2],
        "mediaType": media_type_of_bytes(path),
        "thumbnailUrl": THUMBNAIL + quote_path(path) + SIZE,
        "sizeBytes": file_stat.st_size,
        "modifiedAt": iso_timestamp(file_stat.st_mtime_ns),
        "createdAt": iso_timestamp(file_stat.st_ctime_ns),
        "status": status_json(marks),
        "metadata": {"width": width, "height": height, "duration_seconds": duration_s},
    }


def status_json(marks: int) -> dict[str, bool]:
    return {"locked": marks & LOCKED != 0, "trashed": marks & TRASHED != 0, "seen": marks & SEEN != 0}


def iso_timestamp(ns: int) -> str:
    """Format a time in ns since 1970 as UTC with six decimal places and `+00:00`."""
    minute, rest = divmod(ns // 1000, MINUTE_US)
    return f"{format_minute(minute)}{rest / SECOND_US:09.6f}+00:00"


@lru_cache(maxsize=4096)
def format_minute(minute: int) -> str:
    """Format minutes since 1970, up to the seconds. Some file systems have years after 9999, unlike `datetime`."""
    return time.strftime("%Y-%m-%dT%H:%M:", time.gmtime(minute * 60))


def quote_path(path: bytes) -> str:
    """Percent-encode a path for a query. File names of cameras need no encoding, and folders are cached."""
    folder, slash, name = path.rpartition(b"/")
    return quote_folder(folder + slash) + (name.decode() if IS_PLAIN(name) else quote_from_bytes(name, safe=""))


@lru_cache(maxsize=256)
def quote_folder(path: bytes) -> str:
    return quote_from_bytes(path, safe="")
