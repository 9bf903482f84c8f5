"""Making the thumbnails of a whole review path ahead, in the order of the page: one pass at a time for each path.

A pass is a chain of short tasks, so that other bulk work has its turn in between. How far it is stands in the cache:
what is lost with it is made when it is asked for. Where a worker has died another goes on; a file that kills each
ends the pass.
"""

from __future__ import annotations

import logging
import os
import secrets
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote_from_bytes, unquote_to_bytes

from celery import current_app
from django.core.cache import cache
from kombu.exceptions import OperationalError

from nvr.api.counters import CACHE_FAULTS
from nvr.errors import NvrError
from reviewer.catalog.index import Row
from reviewer.catalog.scanner import PathUnavailable, ScanInProgress
from reviewer.catalog.store import counts_of, page_of
from reviewer.models import ReviewPath
from reviewer.path_resolution import Place
from reviewer.thumbnails import rendering as thumbnails

logger = logging.getLogger(__name__)

TASK: Final = "reviewer.make_thumbnails"
SIZE: Final = 256  # what the items' `thumbnailUrl` names
TIME_BUDGET_S: Final = 20.0
NOTE_S: Final = 1.0  # between two looks at whether the path is still reviewed
LEASE_S: Final = 60  # a pass of which nothing was heard for so long is taken for dead
MAX_REVIVALS: Final = 3  # without a slice that ended well
SHOWN_FOR_S: Final = 86_400
# After a pass, none for ten times as long as it took: looking for what is there already costs, too.
REST_FACTOR, MIN_REST_S, MAX_REST_S = 10, 60, 3600
PAGE: Final = 500
FAULTS: Final[tuple[type[Exception], ...]] = (*CACHE_FAULTS, OperationalError)
WAITING, WORKING, DONE, STOPPED = "waiting", "working", "done", "stopped"


@dataclass(frozen=True)
class Progress:
    """How far a pass is: `done` files of `total`, of which `failed` have no thumbnail; `after` is the last one's path,
    percent-encoded; times in s since 1970. `revived` is how often it went on since its last slice that ended well."""

    state: str
    run: str
    started_at: float
    done: int = 0
    failed: int = 0
    total: int = 0
    after: str = ""
    revived: int = 0


def progress_of(root: ReviewPath) -> Progress | None:
    """None if no pass was asked for lately, or the cache is away. A pass whose worker was killed has stopped."""
    try:
        found = cache.get_many(keys(root.pk))
    except CACHE_FAULTS:
        return None
    progress = noted(root.pk, found)
    return replace(progress, state=STOPPED) if progress and is_dead(root.pk, progress, found) else progress


def keys(pk: int) -> tuple[str, str]:
    return key(pk, "progress"), key(pk, "asked")


def noted(pk: int, found: Mapping[str, Any]) -> Progress | None:
    """What stands in the cache's `found` of `keys`."""
    values = found.get(key(pk, "progress"))
    return Progress(**values) if values else None


def is_dead(pk: int, progress: Progress, found: Mapping[str, Any]) -> bool:
    return progress.state in {WAITING, WORKING} and key(pk, "asked") not in found


def key(pk: int, what: str) -> str:
    return f"review-thumbnails:{pk}:{what}"


def ask_for(root: ReviewPath) -> bool:
    """Have workers make the thumbnails of all that lies there, unless they are at it or have just been; whether."""
    try:
        if not cache.add(key(root.pk, "asked"), True, LEASE_S):
            return False
        progress = Progress(WAITING, secrets.token_hex(8), time.time())
        note(root.pk, progress)
    except FAULTS as fault:
        logger.warning("thumbnails are not made ahead path=%s error=%s", root.pk, type(fault).__name__)
        return False
    return send(root.pk, progress.run)


def send(pk: int, run: str) -> bool:
    """If the broker is away the pass is as good as dead, and another is begun later."""
    try:
        current_app.send_task(TASK, args=[pk, run], queue="bulk")
    except FAULTS as fault:
        logger.warning("broker away, thumbnails are not made ahead path=%s error=%s", pk, type(fault).__name__)
        return False
    return True


def note(pk: int, progress: Progress) -> None:
    cache.set(key(pk, "progress"), asdict(progress), SHOWN_FOR_S)


def keep(pk: int, progress: Progress) -> None:
    """Say that somebody is at it, and how far."""
    note(pk, progress)
    cache.set(key(pk, "asked"), True, LEASE_S)


def revive() -> None:
    """Have the passes whose worker has died go on where they were."""
    roots = list(ReviewPath.objects.values_list("pk", flat=True))
    try:
        found = cache.get_many([name for pk in roots for name in keys(pk)])
        for pk in roots:
            progress = noted(pk, found)
            if progress and is_dead(pk, progress, found) and progress.revived < MAX_REVIVALS:
                go_on(pk, progress)
    except FAULTS as fault:
        logger.warning("passes stay as they are error=%s", type(fault).__name__)


def go_on(pk: int, progress: Progress) -> None:
    """As a new run: a worker that was merely slow gives way to it."""
    if cache.add(key(pk, "asked"), True, LEASE_S):
        run = secrets.token_hex(8)
        note(pk, replace(progress, state=WAITING, run=run, revived=progress.revived + 1))
        logger.info("thumbnails made ahead go on path=%s files=%s", pk, progress.done)
        send(pk, run)


def work(pk: int, run: str) -> None:
    """Go on with the pass `run` for a while, and send what is left of it back to the queue.

    Does nothing when another pass has taken its place, or the path is no longer reviewed.
    """
    root = ReviewPath.objects.filter(pk=pk).first()
    progress = progress_of(root) if root else None
    if root is None or progress is None or progress.run != run:
        return
    progress = replace(progress, state=WORKING)
    keep(pk, progress)
    try:
        progress = replace(progress, total=max(progress.done, counts_of(root)["all"]))  # some may have gone since
        progress = worked(root, progress)
    except PathUnavailable:
        progress = replace(progress, state=STOPPED)
    except ScanInProgress:
        logger.debug("thumbnails wait for the first reading path=%s", pk)
    if not is_wanted(pk, run):
        return
    progress = replace(progress, revived=0)
    if progress.state == WORKING:
        keep(pk, progress)
        send(pk, run)
    else:
        note(pk, progress)
        rest(root, progress)


def worked(root: ReviewPath, progress: Progress) -> Progress:
    """Where the pass stands after a slice. Raises `PathUnavailable`."""
    ends_at = time.monotonic() + TIME_BUDGET_S
    note_at = 0.0
    for row in rows_after(root, unquote_to_bytes(progress.after)):
        if time.monotonic() >= note_at:
            if not is_wanted(root.pk, progress.run):
                return replace(progress, state=STOPPED)
            keep(root.pk, progress)
            note_at = time.monotonic() + NOTE_S
        failed = not is_made(root, row)
        progress = replace(
            progress, done=progress.done + 1, failed=progress.failed + failed, after=quote_from_bytes(row.path)
        )
        if time.monotonic() >= ends_at:
            return progress
    return replace(progress, state=DONE)


def rows_after(root: ReviewPath, path: bytes) -> Iterator[Row]:
    """All that follow `path` in the page's order, as the disk holds them when their turn comes."""
    cursor: bytes | None = path or None
    while rows := page_of(root, "all", after=cursor, limit=PAGE):
        yield from rows
        cursor = rows[-1].path


def is_wanted(pk: int, run: str) -> bool:
    """Whether the path is still reviewed, and no other pass has begun."""
    root = ReviewPath.objects.filter(pk=pk).first()
    progress = progress_of(root) if root else None
    return progress is not None and progress.run == run


def is_made(root: ReviewPath, row: Row) -> bool:
    file = Path(os.path.realpath(os.fsdecode(os.fsencode(root.path) + b"/" + row.path)))
    try:
        thumbnails.thumbnail_of(thumbnails.source_at(Place(file, root)), SIZE)
    except NvrError as error:
        logger.debug("no thumbnail made ahead: %s", error.title)
        return False
    return True


def rest(root: ReviewPath, progress: Progress) -> None:
    """What a pass leaves behind: no thumbnail without its file, and some peace."""
    thumbnails.prune(root)
    spent_s = time.time() - progress.started_at
    cache.set(key(root.pk, "asked"), True, min(MAX_REST_S, max(MIN_REST_S, int(REST_FACTOR * spent_s))))
    logger.info(
        "thumbnails made ahead path=%s state=%s files=%s failed=%s",
        root.pk,
        progress.state,
        progress.done,
        progress.failed,
    )


def prune_all() -> int:
    """Of every path that is there now; how many thumbnails were removed."""
    return sum(thumbnails.prune(root) for root in ReviewPath.objects.all())
