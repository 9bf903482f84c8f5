"""The review without scripts: a page of files, or one of them, with everything that its template shows."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, quote_from_bytes, unquote_to_bytes, urlencode

import orjson

from reviewer.catalog import orders
from reviewer.catalog.blocks import FILTERS
from reviewer.catalog.index import Row
from reviewer.catalog.listing import current_marks
from reviewer.catalog.media_types import IMAGE, media_type_of_bytes
from reviewer.catalog.orders import View
from reviewer.catalog.scanner import Scanner
from reviewer.catalog.store import counts_of, page_of, run_query
from reviewer.items import moment, status
from reviewer.media_info.probes import stat_or_none
from reviewer.models import ReviewPath, RunState
from reviewer.non_utf8_names import text
from reviewer.trash import runs as trash_runs
from reviewer.trash.candidates import dry_run_lines

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser, AnonymousUser, User

    Actor = User | AbstractBaseUser | AnonymousUser

PAGE_FILES = 24
FIRST_DAY_S, LAST_DAY_S = (datetime(year, 12, 31, tzinfo=UTC).timestamp() for year in (1, 9999))
RUNS_SHOWN = 20
FILTER_WORDS = {"all": "All", "unseen": "Unseen", "seen": "Seen", "locked": "Locked", "trashed": "Trashed"}
ORDER_WORDS = {orders.FOLDER: "By folder", orders.NAME: "By name", orders.TIME: "By time"}  # the first unless asked
RUN_WORDS: dict[str, str] = {  # the page with scripts has the same
    RunState.WAITING: "waiting",
    RunState.WORKING: "running",
    RunState.DONE: "done",
    RunState.CANCELLED: "stopped",
    RunState.FAILED: "failed",
}
MARK_WORDS = {"locked": "Locked", "trashed": "In the trash", "seen": "Seen"}


@dataclass(frozen=True)
class Shown:
    """A file as a page shows it; `value` names it in forms and addresses, whatever bytes its name has."""

    name: str
    folder: str
    value: str
    kind: str | None
    marks: dict[str, bool]
    modified_at: datetime
    size_bytes: int
    url: str
    changed: str

    @property
    def words(self) -> list[str]:
        return [word for mark, word in MARK_WORDS.items() if self.marks[mark]] or ["Not seen"]

    @property
    def thumbnail_url(self) -> str:
        return f"/api/media-thumbnail?path={self.value}&size=256&v={self.version}"

    @property
    def picture_url(self) -> str:
        return f"/api/media-file?path={self.value}&v={self.version}"

    @property
    def is_picture(self) -> bool:
        return self.kind == IMAGE

    @property
    def version(self) -> str:
        return quote(self.changed)


def shown(root: ReviewPath, row: Row, view: View) -> Shown | None:
    """Return the displayed file, or None if it no longer exists."""
    path = os.fsencode(root.path) + b"/" + row.path
    facts = stat_or_none(path)
    if facts is None:
        return None
    folder, _, name = row.path.rpartition(b"/")
    value = quote_from_bytes(path, safe="")
    return Shown(
        name=text(name),
        folder=text(folder),
        value=value,
        url=plain_address(root, view, file=value),
        kind=media_type_of_bytes(name),
        marks=status(row.marks),
        modified_at=date_of(facts.st_mtime),
        changed=moment(facts.st_mtime_ns),
        size_bytes=facts.st_size,
    )


def date_of(seconds: float) -> datetime:
    """The nearest that Python knows: some file systems hold later years."""
    return datetime.fromtimestamp(min(max(seconds, FIRST_DAY_S), LAST_DAY_S), UTC)


def path_from(value: str) -> str:
    """The path that a form's `value` names, as the disk has it."""
    return os.fsdecode(unquote_to_bytes(value))


def filter_from(query: Mapping[str, str]) -> str:
    """Return the filter of the query; all for an unknown one."""
    given = query.get("filter", "all")
    return given if given in FILTERS else "all"


def view_from(query: Mapping[str, str]) -> View:
    order = query.get("order", "")
    return View(filter_from(query), order if order in ORDER_WORDS else orders.FOLDER)


def chips(path: str, chosen: str) -> list[dict[str, Any]]:
    """The filters by status."""
    return [
        {"label": label, "name": name, "url": address(path, filter=name), "pressed": chosen == name}
        for name, label in FILTER_WORDS.items()
    ]


def plain_chips(root: ReviewPath, view: View) -> list[dict[str, Any]]:
    """The filters with how many files each takes, and the orders."""
    counts = counts_of(root)
    filters = [
        {
            "label": label,
            "url": plain_address(root, View(name, view.order)),
            "pressed": view.filter_name == name,
            "count": counts[name],
        }
        for name, label in FILTER_WORDS.items()
    ]
    return filters + [
        {"label": label, "url": plain_address(root, View(view.filter_name, order)), "pressed": view.order == order}
        for order, label in ORDER_WORDS.items()
    ]


def address(path: str, **query: str) -> str:
    return f"/review?{urlencode({'path': path, **query}, errors='surrogateescape')}"


def plain_address(root: ReviewPath, view: View, **query: str) -> str:
    order = {} if view.order == orders.FOLDER else {"order": view.order}
    return address(root.path, plain="1", filter=view.filter_name, **order, **query)


def page(root: ReviewPath, query: Mapping[str, str]) -> dict[str, Any]:
    """Return a page of files after the file `after`. Raises `PathUnavailable` and `orders.FileGone`."""
    view = view_from(query)
    after = below(root, query["after"]) if query.get("after") else None
    rows = page_of(root, view.filter_name, after=after, limit=PAGE_FILES, order=view.order)
    files = [file for row in rows if (file := shown(root, row, view)) is not None]
    full = len(rows) == PAGE_FILES and files
    return {
        "files": files,
        "chosen": view.filter_name,
        "filters": plain_chips(root, view),
        "trash_url": trash_address(root.path),
        "next_url": plain_address(root, view, after=files[-1].value) if full else None,
        "first_url": plain_address(root, view) if after else None,
    }


def one(root: ReviewPath, query: Mapping[str, str]) -> dict[str, Any]:
    """The file that `file` names, or the first behind it that the filter takes; `next_url` is the one's after it."""
    view, item = view_from(query), below(root, query["file"])
    following = page_of(root, view.filter_name, after=item, limit=2, order=view.order)  # scans the disk first
    rows = [*exact_row(root, item), *following][:2]
    files = [file for row in rows if (file := shown(root, row, view)) is not None]
    return {
        "file": files[0] if files else None,
        "next_url": files[1].url if len(files) > 1 else "",
        "chosen": view.filter_name,
        "list_url": plain_address(root, view),
    }


def trash_of(user: Actor, root: ReviewPath) -> dict[str, Any]:
    """Return what a trash run would delete, and earlier runs. Raises `PathUnavailable`."""
    *lines, done = b"".join(dry_run_lines(user, trash_runs.roots_of(user, root.path))).splitlines()
    return {
        "count": sum(orjson.loads(line)["type"] == "would_delete" for line in lines),
        "bytes": orjson.loads(done)["bytes"],
        "runs": [(run, RUN_WORDS[run.state]) for run in trash_runs.runs_of(user, offset=0, limit=RUNS_SHOWN)],
        "list_url": address(root.path, plain="1", filter="trashed"),
    }


def trash_address(path: str) -> str:
    return f"/review/trash?{urlencode({'path': path}, errors='surrogateescape')}"


def exact_row(root: ReviewPath, path: bytes) -> list[Row]:
    """The file at `path` itself, if the index knows it."""
    folder, _, name = path.rpartition(b"/")

    def found(scanner: Scanner) -> list[Row]:
        known = scanner.index.folder(folder)
        marks = scanner.index.marks_of(known.id, name) if known else None
        return [] if marks is None else [Row(path, current_marks(os.fsencode(root.path) + b"/" + path, marks))]

    return run_query(root, found)


def below(root: ReviewPath, value: str) -> bytes:
    """What a form's `value` names, below `root`."""
    return os.fsencode(path_from(value).removeprefix(f"{root.path}/"))


def short_name(root: ReviewPath) -> str:
    return Path(root.path).name or root.path
