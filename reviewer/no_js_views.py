"""The review without JavaScript: the template contexts of its pages and of the links between them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_from_bytes, unquote_to_bytes, urlencode

import orjson

from nvr.audit.actor import Actor
from reviewer.catalog import orders
from reviewer.catalog.blocks import FILTERS
from reviewer.catalog.index import Row
from reviewer.catalog.listing import current_marks
from reviewer.catalog.media_types import IMAGE, media_type_of_bytes
from reviewer.catalog.orders import View
from reviewer.catalog.scanner import Scanner
from reviewer.catalog.store import counts_of, page_of, run_query
from reviewer.items import iso_timestamp, status_json
from reviewer.media_info.probes import stat_or_none
from reviewer.models import ReviewPath, RunState
from reviewer.non_utf8_names import text
from reviewer.trash import runs as trash_runs
from reviewer.trash.candidates import dry_run_lines

FILES_PER_PAGE = 24
MIN_TIMESTAMP, MAX_TIMESTAMP = (datetime(year, 12, 31, tzinfo=UTC).timestamp() for year in (1, 9999))
RUNS_SHOWN = 20
FILTER_LABELS = {"all": "All", "unseen": "Unseen", "seen": "Seen", "locked": "Locked", "trashed": "Trashed"}
ORDER_LABELS = {orders.FOLDER: "By folder", orders.NAME: "By name", orders.TIME: "By time"}  # the first is the default
RUN_STATE_LABELS: dict[str, str] = {  # the same as in static/js/review/trash.js
    RunState.WAITING: "waiting",
    RunState.WORKING: "running",
    RunState.DONE: "done",
    RunState.CANCELLED: "stopped",
    RunState.FAILED: "failed",
}
MARK_LABELS = {"locked": "Locked", "trashed": "In the trash", "seen": "Seen"}


@dataclass(frozen=True)
class DisplayedFile:
    """A file as a page shows it. `value` is its percent-encoded path, which is exact for names that are not UTF-8."""

    name: str
    folder: str
    value: str
    media_type: str | None
    marks: dict[str, bool]
    modified_at: datetime
    size_bytes: int
    url: str
    version: str

    @property
    def labels(self) -> list[str]:
        return [label for mark, label in MARK_LABELS.items() if self.marks[mark]] or ["Not seen"]

    @property
    def thumbnail_url(self) -> str:
        return f"/api/media-thumbnail?path={self.value}&size=256&v={self.version}"

    @property
    def file_url(self) -> str:
        return f"/api/media-file?path={self.value}&v={self.version}"

    @property
    def is_picture(self) -> bool:
        return self.media_type == IMAGE


def displayed_file(root: ReviewPath, row: Row, view: View) -> DisplayedFile | None:
    """Return the displayed file, or None if it no longer exists."""
    path = os.fsencode(root.path) + b"/" + row.path
    file_stat = stat_or_none(path)
    if file_stat is None:
        return None
    folder, _, name = row.path.rpartition(b"/")
    value = quote_from_bytes(path, safe="")
    return DisplayedFile(
        name=text(name),
        folder=text(folder),
        value=value,
        url=plain_url(root, view, file=value),
        media_type=media_type_of_bytes(name),
        marks=status_json(row.marks),
        modified_at=to_datetime(file_stat.st_mtime),
        version=quote(iso_timestamp(file_stat.st_mtime_ns)),
        size_bytes=file_stat.st_size,
    )


def to_datetime(seconds: float) -> datetime:
    """Convert a file's time. Years that `datetime` does not support become the first or last one that it does."""
    return datetime.fromtimestamp(min(max(seconds, MIN_TIMESTAMP), MAX_TIMESTAMP), UTC)


def decode_path(value: str) -> str:
    """Return the path on disk from `DisplayedFile.value`."""
    return os.fsdecode(unquote_to_bytes(value))


def filter_from(query: Mapping[str, str]) -> str:
    """Return the filter of the query; `all` for an unknown one."""
    value = query.get("filter", "all")
    return value if value in FILTERS else "all"


def view_from(query: Mapping[str, str]) -> View:
    order = query.get("order", "")
    return View(filter_from(query), order if order in ORDER_LABELS else orders.FOLDER)


def filter_chips(path: str, current_filter: str) -> list[dict[str, Any]]:
    """Return the status filters of the page with JavaScript, which adds the counts."""
    return [
        {"label": label, "name": name, "url": review_url(path, filter=name), "pressed": current_filter == name}
        for name, label in FILTER_LABELS.items()
    ]


def plain_chips(root: ReviewPath, view: View) -> list[dict[str, Any]]:
    """Return the status filters with their counts, and the sort orders."""
    counts = counts_of(root)
    filters = [
        {
            "label": label,
            "url": plain_url(root, View(name, view.order)),
            "pressed": view.filter_name == name,
            "count": counts[name],
        }
        for name, label in FILTER_LABELS.items()
    ]
    return filters + [
        {"label": label, "url": plain_url(root, View(view.filter_name, order)), "pressed": view.order == order}
        for order, label in ORDER_LABELS.items()
    ]


def review_url(path: str, **query: str) -> str:
    # surrogateescape preserves the bytes of names that are not UTF-8.
    return f"/review?{urlencode({'path': path, **query}, errors='surrogateescape')}"


def plain_url(root: ReviewPath, view: View, **query: str) -> str:
    order = {} if view.order == orders.FOLDER else {"order": view.order}
    return review_url(root.path, plain="1", filter=view.filter_name, **order, **query)


def trash_url(path: str) -> str:
    return f"/review/trash?{urlencode({'path': path}, errors='surrogateescape')}"


def list_context(root: ReviewPath, query: Mapping[str, str]) -> dict[str, Any]:
    """Return a page of files after the file `after`. Raises `PathUnavailable` and `orders.FileGone`."""
    view = view_from(query)
    after = relative_path(root, query["after"]) if query.get("after") else None
    rows = page_of(root, view.filter_name, after=after, limit=FILES_PER_PAGE, order=view.order)
    files = [file for row in rows if (file := displayed_file(root, row, view)) is not None]
    has_next = len(rows) == FILES_PER_PAGE and files
    return {
        "files": files,
        "filters": plain_chips(root, view),
        "trash_url": trash_url(root.path),
        "next_url": plain_url(root, view, after=files[-1].value) if has_next else None,
        "first_url": plain_url(root, view) if after else None,
    }


def file_context(root: ReviewPath, query: Mapping[str, str]) -> dict[str, Any]:
    """Return the file `file` and the link to the next one. If it no longer exists, the next one takes its place."""
    view, path = view_from(query), relative_path(root, query["file"])
    # `page_of` updates the index that `indexed_row` reads.
    following = page_of(root, view.filter_name, after=path, limit=2, order=view.order)
    rows = [*indexed_row(root, path), *following][:2]
    files = [file for row in rows if (file := displayed_file(root, row, view)) is not None]
    return {
        "file": files[0] if files else None,
        "next_url": files[1].url if len(files) > 1 else "",
        "list_url": plain_url(root, view),
    }


def trash_context(user: Actor, root: ReviewPath) -> dict[str, Any]:
    """Return what a trash run would delete, and earlier runs. Raises `PathUnavailable`."""
    *lines, done = b"".join(dry_run_lines(user, trash_runs.roots_of(user, root.path))).splitlines()
    return {
        "count": sum(orjson.loads(line)["type"] == "would_delete" for line in lines),
        "bytes": orjson.loads(done)["bytes"],
        "runs": [(run, RUN_STATE_LABELS[run.state]) for run in trash_runs.runs_of(user, offset=0, limit=RUNS_SHOWN)],
        "list_url": review_url(root.path, plain="1", filter="trashed"),
    }


def indexed_row(root: ReviewPath, path: bytes) -> list[Row]:
    """Return the row of the file at `path`, if the index has it, whatever the filter."""
    folder, _, name = path.rpartition(b"/")

    def find(scanner: Scanner) -> list[Row]:
        known = scanner.index.folder(folder)
        marks = scanner.index.marks_of(known.id, name) if known else None
        return [] if marks is None else [Row(path, current_marks(os.fsencode(root.path) + b"/" + path, marks))]

    return run_query(root, find)


def relative_path(root: ReviewPath, value: str) -> bytes:
    """Return the path below `root` from `DisplayedFile.value`."""
    return os.fsencode(decode_path(value).removeprefix(f"{root.path}/"))


def short_name(root: ReviewPath) -> str:
    return Path(root.path).name or root.path
