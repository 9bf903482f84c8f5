"""What the API tells of a picture or video: one JSON object with exactly the contract's keys."""

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
from reviewer.catalog.media_types import media_type_of_bytes
from reviewer.catalog.scanner import check_available
from reviewer.media_info.cache import NOTHING, Facts
from reviewer.media_info.probes import Deadline, facts_of, stat_or_none
from reviewer.models import ReviewPath
from reviewer.non_utf8_names import text

THUMBNAIL, SIZE = "/api/media-thumbnail?path=", "&size=256"
IS_PLAIN = re.compile(rb"[A-Za-z0-9_.~-]+").fullmatch
SECOND_US = 1_000_000
MINUTE_US = 60 * SECOND_US
BLOCK = 200  # looked at together; the first alone, so that it is there at once


def items_of(root: ReviewPath, rows: Iterable[Row], *, wait_for_all: bool = False) -> Iterator[dict[str, Any]]:
    """The rows that are still there, in their order; what cannot be probed within a second in all is null.

    Raises `PathUnavailable` if files are missing because their volume is missing.
    """
    base = os.fsencode(root.path)
    deadline = Deadline(for_all=wait_for_all)
    rest, size = iter(rows), 1
    while block := list(islice(rest, size)):
        found = ((row, base + b"/" + row.path) for row in block)
        there = [(row, path, facts) for row, path in found if (facts := stat_or_none(path))]
        if len(there) < len(block):
            check_available(root)
        known = facts_of([(path, facts) for _, path, facts in there], deadline, root=Path(root.path))
        yield from (item(row.marks, path, facts, known.get(path)) for row, path, facts in there)
        size = BLOCK


def item(marks: int, path: bytes, facts: os.stat_result, known: Facts | None) -> dict[str, Any]:
    shown = text(path)
    width, height, duration_s = known or NOTHING
    return {
        "path": shown,
        "name": shown.rpartition("/")[2],
        "mediaType": media_type_of_bytes(path),
        "thumbnailUrl": THUMBNAIL + quoted(path) + SIZE,
        "sizeBytes": facts.st_size,
        "modifiedAt": moment(facts.st_mtime_ns),
        "createdAt": moment(facts.st_ctime_ns),
        "status": status(marks),
        "metadata": {"width": width, "height": height, "duration_seconds": duration_s},
    }


def status(marks: int) -> dict[str, bool]:
    return {"locked": marks & 1 != 0, "trashed": marks & 2 != 0, "seen": marks & 4 != 0}


def moment(ns: int) -> str:
    """UTC in ISO 8601, with six digits and `+00:00`."""
    minute, rest = divmod(ns // 1000, MINUTE_US)
    return f"{begin_of(minute)}{rest / SECOND_US:09.6f}+00:00"


@lru_cache(maxsize=4096)
def begin_of(minute: int) -> str:
    """Of minutes since 1970, up to the seconds; the years after 9999 too, as some file systems hold them."""
    return time.strftime("%Y-%m-%dT%H:%M:", time.gmtime(minute * 60))


def quoted(path: bytes) -> str:
    """For a query; the names of cameras need nothing, and those of one folder share it."""
    folder, slash, name = path.rpartition(b"/")
    return quoted_folder(folder + slash) + (name.decode() if IS_PLAIN(name) else quote_from_bytes(name, safe=""))


@lru_cache(maxsize=256)
def quoted_folder(path: bytes) -> str:
    return quote_from_bytes(path, safe="")
