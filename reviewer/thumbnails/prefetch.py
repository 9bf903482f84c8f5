"""Creates the thumbnails of a whole review path ahead of time, in page order, with one run at a time for each path.

A run is a chain of short tasks, so that other tasks of the bulk queue are processed in between. Its progress is in the
cache: if that is lost, missing thumbnails are created on request. A run whose worker has died is resumed, but only a
few times in a row, because the next file may be what kills the workers.
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
from reviewer.path_resolution import ResolvedPath
from reviewer.thumbnails import rendering as thumbnails

logger = logging.getLogger(__name__)

TASK: Final = "reviewer.make_thumbnails"
SIZE: Final = 256  # the size in the items' `thumbnailUrl`
TIME_BUDGET_S: Final = 20.0
SAVE_INTERVAL_S: Final = 1.0  # also how soon a run notices that its path was removed
LEASE_S: Final = 60  # the worker is considered dead this long after the last save
MAX_REVIVALS: Final = 3
PROGRESS_TTL_S: Final = 86_400
# Each run checks every file again, so the next one starts only after ten times the duration of the last one.
PAUSE_FACTOR, MIN_PAUSE_S, MAX_PAUSE_S = 10, 60, 3600
PAGE_SIZE: Final = 500
FAULTS: Final[tuple[type[Exception], ...]] = (*CACHE_FAULTS, OperationalError)
WAITING, WORKING, DONE, STOPPED = "waiting", "working", "done", "stopped"


@dataclass(frozen=True)
class Progress:
    """The progress of a run: `done` of `total` files, of which `failed` have no thumbnail; times in s since 1970.

    `after` is the path of the last file, percent-encoded. `revived` counts how often the run was resumed since its last
    successful task.
    """

    state: str
    run: str
    started_at: float
    done: int = 0
    failed: int = 0
    total: int = 0
    after: str = ""
    revived: int = 0


def progress_of(root: ReviewPath) -> Progress | None:
    """Return the progress; it is `STOPPED` if the worker has died. None without a recent run or without the cache."""
    try:
        values = cache.get_many(cache_keys(root.pk))
    except CACHE_FAULTS:
        return None
    progress = parse_progress(root.pk, values)
    return replace(progress, state=STOPPED) if progress and is_dead(root.pk, progress, values) else progress


def progress_key(pk: int) -> str:
    return f"review-thumbnails:{pk}:progress"


def lease_key(pk: int) -> str:
    return f"review-thumbnails:{pk}:asked"


def cache_keys(pk: int) -> tuple[str, str]:
    return progress_key(pk), lease_key(pk)


def parse_progress(pk: int, values: Mapping[str, Any]) -> Progress | None:
    """Return the progress from the cached `values`."""
    found = values.get(progress_key(pk))
    return Progress(**found) if found else None


def is_dead(pk: int, progress: Progress, values: Mapping[str, Any]) -> bool:
    return progress.state in {WAITING, WORKING} and lease_key(pk) not in values


def start(root: ReviewPath) -> bool:
    """Start a run unless one is in progress or has finished recently. Return whether it was started."""
    try:
        if not cache.add(lease_key(root.pk), True, LEASE_S):
            return False
        progress = Progress(WAITING, secrets.token_hex(8), time.time())
        save_progress(root.pk, progress)
    except FAULTS as fault:
        logger.warning("thumbnail prefetch not started path=%s error=%s", root.pk, type(fault).__name__)
        return False
    return send(root.pk, progress.run)


def send(pk: int, run: str) -> bool:
    """Send the next task of the run. Without a broker the run's lease expires, and another run starts later."""
    try:
        current_app.send_task(TASK, args=[pk, run], queue="bulk")
    except FAULTS as fault:
        logger.warning("broker unavailable, thumbnail prefetch stops path=%s error=%s", pk, type(fault).__name__)
        return False
    return True


def save_progress(pk: int, progress: Progress) -> None:
    cache.set(progress_key(pk), asdict(progress), PROGRESS_TTL_S)


def renew_lease(pk: int, progress: Progress) -> None:
    """Save the progress of a run that continues."""
    save_progress(pk, progress)
    cache.set(lease_key(pk), True, LEASE_S)


def resume_all() -> None:
    """Resume the runs whose worker has died."""
    pks = list(ReviewPath.objects.values_list("pk", flat=True))
    try:
        # One query for all paths: this runs every minute.
        values = cache.get_many([key for pk in pks for key in cache_keys(pk)])
        for pk in pks:
            progress = parse_progress(pk, values)
            if progress and is_dead(pk, progress, values) and progress.revived < MAX_REVIVALS:
                resume(pk, progress)
    except FAULTS as fault:
        logger.warning("thumbnail prefetch not resumed error=%s", type(fault).__name__)


def resume(pk: int, progress: Progress) -> None:
    if cache.add(lease_key(pk), True, LEASE_S):
        # With a new run id, a worker that was only slow stops when it next saves its progress.
        run = secrets.token_hex(8)
        save_progress(pk, replace(progress, state=WAITING, run=run, revived=progress.revived + 1))
        logger.info("thumbnail prefetch resumed path=%s files=%s", pk, progress.done)
        send(pk, run)


def continue_run(pk: int, run: str) -> None:
    """Continue a run for `TIME_BUDGET_S`, then send its next task.

    Does nothing if another run has replaced it, or the path was removed.
    """
    root = ReviewPath.objects.filter(pk=pk).first()
    progress = progress_of(root) if root else None
    if root is None or progress is None or progress.run != run:
        return
    progress = replace(progress, state=WORKING)
    renew_lease(pk, progress)
    try:
        # Files may have been deleted since the run started: never report more done than there are.
        progress = replace(progress, total=max(progress.done, counts_of(root)["all"]))
        progress = process_slice(root, progress)
    except PathUnavailable:
        progress = replace(progress, state=STOPPED)
    except ScanInProgress:
        logger.debug("thumbnail prefetch waits for the first scan path=%s", pk)
    if not is_current(pk, run):
        return
    progress = replace(progress, revived=0)
    if progress.state == WORKING:
        renew_lease(pk, progress)
        send(pk, run)
    else:
        save_progress(pk, progress)
        finish(root, progress)


def process_slice(root: ReviewPath, progress: Progress) -> Progress:
    """Create thumbnails for `TIME_BUDGET_S`. Return the new progress. Raises `PathUnavailable`."""
    ends_at = time.monotonic() + TIME_BUDGET_S
    save_at = 0.0
    for row in rows_after(root, unquote_to_bytes(progress.after)):
        if time.monotonic() >= save_at:
            if not is_current(root.pk, progress.run):
                return replace(progress, state=STOPPED)
            renew_lease(root.pk, progress)
            save_at = time.monotonic() + SAVE_INTERVAL_S
        failed = not create_thumbnail(root, row)
        progress = replace(
            progress, done=progress.done + 1, failed=progress.failed + failed, after=quote_from_bytes(row.path)
        )
        if time.monotonic() >= ends_at:
            return progress
    return replace(progress, state=DONE)


def rows_after(root: ReviewPath, path: bytes) -> Iterator[Row]:
    """Yield all files after `path` in page order. Each page is read from the index when it is needed."""
    cursor: bytes | None = path or None
    while rows := page_of(root, "all", after=cursor, limit=PAGE_SIZE):
        yield from rows
        cursor = rows[-1].path


def is_current(pk: int, run: str) -> bool:
    """Return whether the path is still reviewed and no other run has replaced this one."""
    root = ReviewPath.objects.filter(pk=pk).first()
    progress = progress_of(root) if root else None
    return progress is not None and progress.run == run


def create_thumbnail(root: ReviewPath, row: Row) -> bool:
    """Create the thumbnail if it is missing. Return whether it exists."""
    file = Path(os.path.realpath(os.fsdecode(os.fsencode(root.path) + b"/" + row.path)))
    try:
        thumbnails.get_thumbnail(thumbnails.source_of(ResolvedPath(file, root)), SIZE)
    except NvrError as error:
        logger.debug("no thumbnail prefetched: %s", error.title)
        return False
    return True


def finish(root: ReviewPath, progress: Progress) -> None:
    """Prune thumbnails of deleted files, and delay the next run."""
    thumbnails.prune(root)
    spent_s = time.time() - progress.started_at
    cache.set(lease_key(root.pk), True, min(MAX_PAUSE_S, max(MIN_PAUSE_S, int(PAUSE_FACTOR * spent_s))))
    logger.info(
        "thumbnails prefetched path=%s state=%s files=%s failed=%s",
        root.pk,
        progress.state,
        progress.done,
        progress.failed,
    )


def prune_all() -> int:
    """Prune the thumbnails of all available review paths. Return how many were removed."""
    return sum(thumbnails.prune(root) for root in ReviewPath.objects.all())
