"""Executes trash runs in a worker.

The index provides the files in batches. Before a batch is deleted, its file names are recorded as in progress. Threads
delete the files. The main thread records their lines, the counts and the files in progress in one transaction, renews
the lease and checks for cancellation. After a crash, files that were in progress and are gone are reported as deleted,
so that the record matches the disk.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections import Counter, deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Any, Final
from urllib.parse import quote_from_bytes, unquote_to_bytes

from django.conf import settings
from django.contrib.auth.models import User
from django.db import OperationalError, transaction
from django.db.models import F, QuerySet
from django.utils import timezone

from nvr.api.errors import is_disk_full
from nvr.errors import Forbidden, NvrError
from nvr.jobs.models import LeaseLost
from nvr.media.files.paths import is_inside
from reviewer.catalog.scanner import PathUnavailable, path_unavailable_reason
from reviewer.catalog.store import record_deletions
from reviewer.disk_reserve import with_reserve
from reviewer.models import ReviewPath, RunState, TrashLines, TrashRun
from reviewer.registry import known_paths
from reviewer.trash.candidates import CAMERA_FILE_MESSAGE, CHANGED, LOCKED, may_delete, next_batch
from reviewer.trash.deletion import (
    ChangedError,
    LockedError,
    NotDeletedError,
    TrashCandidate,
    delete,
    error_message,
    finish_deletion,
)
from reviewer.trash.messages import DELETED, DELETING, ERROR, SKIPPED, TrashEvent

logger = logging.getLogger(__name__)

Pruner = Callable[[ReviewPath], object]
_pruners: list[Pruner] = []

RECORD_INTERVAL_S: Final = 0.02  # between two records of deleted files and checks for cancellation
LEASE_RENEWAL_S: Final = TrashRun.LEASE.total_seconds() / 6


def register_pruner(pruner: Pruner) -> None:
    """Register a function to call with each review path after its trash has been emptied."""
    _pruners.append(pruner)


def execute_run(run_pk: int) -> None:
    """Execute the run, unless another worker has its lease."""
    run = claim(run_pk)
    if run is not None:
        TrashRunAttempt(run).run_attempt()


def claim(run_pk: int) -> TrashRun | None:
    # Files that were not deleted are listed again.
    return with_reserve(lambda: TrashRun.objects.claim(run_pk, skipped=0, errors=0))


def was_deleted(path: bytes) -> bool:
    try:
        return finish_deletion(path)
    except (NotDeletedError, OSError):
        return False


class TrashRunAttempt:
    """One attempt at a run."""

    def __init__(self, run: TrashRun) -> None:
        self.run = run
        self.user: User | None = None
        self.events: deque[TrashEvent] = deque()
        self.in_progress = {unquote_to_bytes(path): int(size) for path, size in run.in_progress}
        self.stop = threading.Event()
        self.available: set[str] = set()  # the run's paths that are available
        self.lose_lock = threading.Lock()
        self.reason = ""
        self.cancelled = False
        self.renew_at = 0.0  # monotonic seconds; 0: at once

    def run_attempt(self) -> None:
        try:
            with (
                ThreadPoolExecutor(1) as self.reader,
                ThreadPoolExecutor(settings.NVR_DELETION_WORKERS) as self.pool,
            ):
                try:
                    self.process(self.permitted_roots())
                finally:
                    self.stop.set()
        except LeaseLost:
            logger.warning("trash run taken over by another worker run=%s", self.run.pk)
            return
        except NvrError as error:
            self.reason = error.detail
        except OSError as error:
            self.reason = f"A disk error occurred: {error.strerror or error}."
        self.close_run()

    def permitted_roots(self) -> list[ReviewPath]:
        """Return the run's paths. Raises `Forbidden` if the user who started it may no longer empty all of them."""
        # Read the user again, because a user object caches permissions. Inactive users have none.
        self.user = User.objects.filter(pk=self.run.started_by_id or 0).first()  # 0: nobody
        if self.user is None or not self.user.has_perm("reviewer.review"):
            raise Forbidden(f"{self.run.started_by_name} may no longer review.")
        known = {root.path: root for root in known_paths(self.user)}
        for path in self.run.roots:
            if path not in known:
                raise Forbidden(
                    f"{self.run.started_by_name} may no longer review {path}: the path or a permission was removed."
                )
        return [known[path] for path in self.run.roots]

    def process(self, roots: list[ReviewPath]) -> None:
        self.available = {root.path for root in roots}
        self.finish_interrupted()
        self.record()
        for root in roots:
            self.delete_all(root)
        self.permitted_roots()
        for root in roots:
            for pruner in _pruners:
                if root.path in self.available and not self.stop.is_set():
                    self.wait_and_record(self.reader.submit(pruner, root))

    def finish_interrupted(self) -> None:
        """Finish deletions that a dead worker has interrupted: remove companions of deleted files."""
        available_paths = (
            [root.path for root in ReviewPath.objects.all() if not path_unavailable_reason(root)]
            if self.in_progress
            else []
        )
        for path, size_bytes in list(self.in_progress.items()):
            if any(is_inside(os.fsdecode(path), root) for root in available_paths) and was_deleted(path):
                self.events += TrashEvent(DELETING, path), TrashEvent(DELETED, path, freed_bytes=size_bytes)
            else:
                del self.in_progress[path]  # if the file still exists, it is listed again

    def set_in_progress(self, files: dict[bytes, int]) -> None:
        """Set the files (sizes by path) that may be deleted before their line is recorded; force the next record."""
        self.in_progress = files
        self.renew_at = 0.0

    def delete_all(self, root: ReviewPath) -> None:
        after: bytes | None = None
        while root.path in self.available and not self.stop.is_set():
            try:
                files = self.wait_and_record(self.reader.submit(next_batch, root, after))
            except PathUnavailable as error:
                self.drop_root(root, error.detail)
                return
            if not files:
                return
            after = files[-1].path
            self.delete_block(root, files)

    def drop_root(self, root: ReviewPath, reason: str) -> None:
        """Report an unavailable path once and continue with the others; without others, fail the run. Thread-safe."""
        with self.lose_lock:
            if root.path not in self.available:
                return
            self.available.discard(root.path)
            if self.available:
                self.events.append(TrashEvent(ERROR, os.fsencode(root.path), reason))
            else:
                self.abort(reason)

    def delete_block(self, root: ReviewPath, files: list[TrashCandidate]) -> None:
        self.permitted_roots()
        allowed = may_delete(self.user)  # type: ignore[arg-type]  # `permitted_roots` has just loaded the user
        self.set_in_progress({file.path: file.freed_bytes for file in files})
        self.record()
        pending = deque((file, allowed(file.path)) for file in files)
        deleters = [self.pool.submit(self.delete_pending, pending, root) for _ in range(settings.NVR_DELETION_WORKERS)]
        self.wait_and_record(*deleters)
        deleted_paths = [path for deleter in deleters for path in deleter.result()]
        base = len(os.fsencode(root.path)) + 1
        self.wait_and_record(self.reader.submit(record_deletions, root, [path[base:] for path in deleted_paths]))

    def delete_pending(self, pending: deque[tuple[TrashCandidate, bool]], root: ReviewPath) -> list[bytes]:
        """Delete pending files (runs in a thread). Return the deleted paths."""
        deleted_paths: list[bytes] = []
        while pending and root.path in self.available and not self.stop.is_set():
            try:
                file, allowed = pending.popleft()
            except IndexError:  # another thread was first
                break
            self.events.append(TrashEvent(DELETING, file.path))
            event = self.try_delete(file, root) if allowed else TrashEvent(ERROR, file.path, CAMERA_FILE_MESSAGE)
            self.events.append(event)
            if event.type == DELETED:
                deleted_paths.append(file.path)
        return deleted_paths

    def try_delete(self, file: TrashCandidate, root: ReviewPath) -> TrashEvent:
        try:
            return TrashEvent(DELETED, file.path, freed_bytes=delete(file))
        except LockedError:
            return TrashEvent(SKIPPED, file.path, LOCKED)
        except ChangedError:
            return TrashEvent(SKIPPED, file.path, CHANGED)
        except (NotDeletedError, OSError) as error:
            if reason := path_unavailable_reason(root):
                self.drop_root(root, reason)
            return TrashEvent(ERROR, file.path, error_message(error) if isinstance(error, OSError) else str(error))

    def abort(self, reason: str) -> None:
        self.reason = reason
        self.stop.set()

    def wait_and_record(self, *futures: Future[Any]) -> Any:
        """Record progress until all futures are done. Return the result of the first one."""
        while wait(futures, timeout=RECORD_INTERVAL_S).not_done:
            self.record()
        self.record()
        return futures[0].result()

    def record(self) -> None:
        """Record the events of the threads and check for cancellation. Raises `LeaseLost`."""
        events = [self.events.popleft() for _ in range(len(self.events))]
        for event in events:
            if event.type != DELETING:
                self.in_progress.pop(event.path, None)
        own_run = self.run.held()
        if events or time.monotonic() >= self.renew_at:
            try:
                with_reserve(lambda: self.write_events(own_run, events))
            except OperationalError as error:
                if not is_disk_full(error):
                    raise
                # Further deletions may free space: the events are recorded then.
                self.events.extendleft(reversed(events))
        self.cancelled = self.cancelled or own_run.filter(is_cancelled=True).exists()
        if self.cancelled:
            self.stop.set()

    @transaction.atomic
    def write_events(self, own_run: QuerySet[TrashRun], events: list[TrashEvent]) -> None:
        if not own_run.update(**self.updates(events)):
            raise LeaseLost
        if events:
            TrashLines.objects.create(run=self.run, text=b"".join(event.line() for event in events).decode())
        self.renew_at = time.monotonic() + LEASE_RENEWAL_S

    def updates(self, events: list[TrashEvent]) -> dict[str, Any]:
        counts = Counter(event.type for event in events)
        return {
            "leased_until": timezone.now() + TrashRun.LEASE,
            "in_progress": [[quote_from_bytes(path), size_bytes] for path, size_bytes in self.in_progress.items()],
            "deleted": F("deleted") + counts[DELETED],
            "skipped": F("skipped") + counts[SKIPPED],
            "errors": F("errors") + counts[ERROR],
            "bytes_freed": F("bytes_freed") + sum(event.freed_bytes for event in events),
        }

    def close_run(self) -> None:
        self.set_in_progress({})
        try:
            self.record()
        except LeaseLost:
            return
        if self.events:
            logger.warning("disk too full to record %s lines run=%s", len(self.events), self.run.pk)
        state = RunState.CANCELLED if self.cancelled else RunState.DONE
        if self.reason:
            state = RunState.FAILED
        self.run.finish(state, self.reason, worker=self.run.worker)
