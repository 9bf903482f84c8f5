"""Emptying the trash, as a worker does it.

The files come from the index in blocks. Before a block is touched its names are recorded as being in hand; threads
delete, and the main one records their lines, counts and what is still in hand in one transaction, renews the lease
and sees whether the run was cancelled. After a crash, what was in hand and is gone is told as deleted, so that the
record is as true as the disk.
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
from django.db.models import F, Q
from django.utils import timezone

from nvr.api.errors import is_disk_full
from nvr.errors import Forbidden, NvrError
from nvr.media.files.paths import is_inside
from reviewer.catalog.scanner import PathUnavailable, path_unavailable_reason
from reviewer.catalog.store import record_deletions
from reviewer.disk_reserve import with_room
from reviewer.models import ReviewPath, RunState, TrashLines, TrashRun, TrashRunQuerySet
from reviewer.registry import known_paths
from reviewer.trash.candidates import CAMERAS_FILE, CHANGED, LOCKED, block_after, may_delete
from reviewer.trash.deletion import ChangedError, KeptError, Listed, LockedError, delete, reason_of, tidied
from reviewer.trash.messages import DELETED, DELETING, ERROR, SKIPPED, TrashEvent
from reviewer.trash.runs import LEASE, end

logger = logging.getLogger(__name__)

Pruner = Callable[[ReviewPath], object]
_pruners: list[Pruner] = []

RECORD_S: Final = 0.02  # between two looks at what the threads have done, and at a cancellation
RENEW_S: Final = LEASE.total_seconds() / 6


class Lost(Exception):
    """The run is another worker's now, or over."""


def register_pruner(pruner: Pruner) -> None:
    """Have `pruner(root)` called for each review path that was emptied, when nothing is left to delete there."""
    _pruners.append(pruner)


def empty(run_pk: int) -> None:
    """Carry out the run, unless a living worker is at it."""
    run = claimed(run_pk)
    if run is not None:
        Emptying(run).work()


def claimed(run_pk: int) -> TrashRun | None:
    now = timezone.now()
    free = Q(state=RunState.WAITING) | Q(state=RunState.WORKING, lease_until__lt=now)
    found = TrashRun.objects.filter(free, pk=run_pk)
    taken = {"state": RunState.WORKING, "lease_until": now + LEASE, "attempts": F("attempts") + 1}
    # What stayed is listed again.
    if not with_room(lambda: found.update(**taken, skipped=0, errors=0)):
        return None
    return TrashRun.objects.get(pk=run_pk)


def is_gone(path: bytes) -> bool:
    try:
        return tidied(path)
    except (KeptError, OSError):
        return False


class Emptying:
    """One attempt at a run; `attempts` tells it from a later one."""

    def __init__(self, run: TrashRun) -> None:
        self.run = run
        self.user: User | None = None
        self.told: deque[TrashEvent] = deque()
        self.in_hand = {unquote_to_bytes(path): int(size) for path, size in run.in_hand}
        self.stop = threading.Event()
        self.left: set[str] = set()  # the run's paths that are there
        self.losing = threading.Lock()
        self.reason = ""
        self.cancelled = False
        self.renew_at = 0.0  # monotonic seconds; 0: at once

    def work(self) -> None:
        try:
            with ThreadPoolExecutor(1) as self.reader, ThreadPoolExecutor(settings.NVR_DELETION_WORKERS) as self.hands:
                try:
                    self.go_through(self.allowed())
                finally:
                    self.stop.set()
        except Lost:
            logger.warning("emptying lost to another worker run=%s", self.run.pk)
            return
        except NvrError as error:
            self.reason = error.detail
        except OSError as error:
            self.reason = f"A disk does not answer as it should: {error.strerror or error}."
        self.finish()

    def allowed(self) -> list[ReviewPath]:
        """The run's paths, if its starter may empty all of them as things stand now; else raises `Forbidden`."""
        # Anew: a user once read remembers rights that may be gone. An inactive one has none.
        self.user = User.objects.filter(pk=self.run.started_by_id or 0).first()  # 0: nobody
        if self.user is None or not self.user.has_perm("reviewer.review"):
            raise Forbidden(f"{self.run.started_by_name} may no longer review.")
        known = {root.path: root for root in known_paths(self.user)}
        for path in self.run.roots:
            if path not in known:
                raise Forbidden(f"{self.run.started_by_name} may no longer review {path}: it, or a right, was removed.")
        return [known[path] for path in self.run.roots]

    def go_through(self, roots: list[ReviewPath]) -> None:
        self.left = {root.path for root in roots}
        self.tidy()
        self.record()
        for root in roots:
            self.delete_all(root)
        self.allowed()
        for root in roots:
            for pruner in _pruners:
                if root.path in self.left and not self.stop.is_set():
                    self.attended(self.reader.submit(pruner, root))

    def tidy(self) -> None:
        """End the deletions that a worker's death interrupted: companions of what is gone go, too."""
        there = (
            [root.path for root in ReviewPath.objects.all() if not path_unavailable_reason(root)]
            if self.in_hand
            else []
        )
        for path, size_bytes in list(self.in_hand.items()):
            if any(is_inside(os.fsdecode(path), root) for root in there) and is_gone(path):
                self.told += TrashEvent(DELETING, path), TrashEvent(DELETED, path, freed_bytes=size_bytes)
            else:
                del self.in_hand[path]  # if it is there, it is listed again

    def take_in_hand(self, files: dict[bytes, int]) -> None:
        """Sizes by path of what may be gone before it is told; the next record says so."""
        self.in_hand = files
        self.renew_at = 0.0

    def delete_all(self, root: ReviewPath) -> None:
        after: bytes | None = None
        while root.path in self.left and not self.stop.is_set():
            try:
                files = self.attended(self.reader.submit(block_after, root, after))
            except PathUnavailable as away:
                self.lose(root, away.detail)
                return
            if not files:
                return
            after = files[-1].path
            self.delete_block(root, files)

    def lose(self, root: ReviewPath, reason: str) -> None:
        """It is away: told once, and the others go on; without any the run has failed. Also called in threads."""
        with self.losing:
            if root.path not in self.left:
                return
            self.left.discard(root.path)
            if self.left:
                self.told.append(TrashEvent(ERROR, os.fsencode(root.path), reason))
            else:
                self.give_up(reason)

    def delete_block(self, root: ReviewPath, files: list[Listed]) -> None:
        self.allowed()
        allowed = may_delete(self.user)  # type: ignore[arg-type]  # it has just been seen that there is one
        self.take_in_hand({file.path: file.frees_bytes for file in files})
        self.record()
        waiting = deque((file, allowed(file.path)) for file in files)
        hands = [self.hands.submit(self.delete_from, waiting, root) for _ in range(settings.NVR_DELETION_WORKERS)]
        self.attended(*hands)
        gone = [path for hand in hands for path in hand.result()]
        base = len(os.fsencode(root.path)) + 1
        self.attended(self.reader.submit(record_deletions, root, [path[base:] for path in gone]))

    def delete_from(self, waiting: deque[tuple[Listed, bool]], root: ReviewPath) -> list[bytes]:
        """In a thread: delete until nothing waits any more; what is gone."""
        gone: list[bytes] = []
        while waiting and root.path in self.left and not self.stop.is_set():
            try:
                file, allowed = waiting.popleft()
            except IndexError:  # another thread was first
                break
            self.told.append(TrashEvent(DELETING, file.path))
            told = self.deleted(file, root) if allowed else TrashEvent(ERROR, file.path, CAMERAS_FILE)
            self.told.append(told)
            if told.type == DELETED:
                gone.append(file.path)
        return gone

    def deleted(self, file: Listed, root: ReviewPath) -> TrashEvent:
        try:
            return TrashEvent(DELETED, file.path, freed_bytes=delete(file))
        except LockedError:
            return TrashEvent(SKIPPED, file.path, LOCKED)
        except ChangedError:
            return TrashEvent(SKIPPED, file.path, CHANGED)
        except (KeptError, OSError) as fault:
            if reason := path_unavailable_reason(root):
                self.lose(root, reason)
            return TrashEvent(ERROR, file.path, reason_of(fault) if isinstance(fault, OSError) else str(fault))

    def give_up(self, reason: str) -> None:
        self.reason = reason
        self.stop.set()

    def attended(self, *futures: Future[Any]) -> Any:
        """The first one's result when all are done; meanwhile the record is kept."""
        while wait(futures, timeout=RECORD_S).not_done:
            self.record()
        self.record()
        return futures[0].result()

    def record(self) -> None:
        """Write down what the threads have told. Raises `Lost`; sees whether the run was cancelled."""
        told = [self.told.popleft() for _ in range(len(self.told))]
        for line in told:
            if line.type != DELETING:
                self.in_hand.pop(line.path, None)
        ours = TrashRun.objects.filter(pk=self.run.pk, state=RunState.WORKING, attempts=self.run.attempts)
        if told or time.monotonic() >= self.renew_at:
            try:
                with_room(lambda: self.write(ours, told))
            except OperationalError as error:
                if not is_disk_full(error):
                    raise
                # What it deletes may make room: it is written down then.
                self.told.extendleft(reversed(told))
        self.cancelled = self.cancelled or ours.filter(is_cancelled=True).exists()
        if self.cancelled:
            self.stop.set()

    @transaction.atomic
    def write(self, ours: TrashRunQuerySet, told: list[TrashEvent]) -> None:
        if not ours.update(**self.values(told)):
            raise Lost
        if told:
            TrashLines.objects.create(run=self.run, text=b"".join(line.line() for line in told).decode())
        self.renew_at = time.monotonic() + RENEW_S

    def values(self, told: list[TrashEvent]) -> dict[str, Any]:
        counts = Counter(line.type for line in told)
        return {
            "lease_until": timezone.now() + LEASE,
            "in_hand": [[quote_from_bytes(path), size_bytes] for path, size_bytes in self.in_hand.items()],
            "deleted": F("deleted") + counts[DELETED],
            "skipped": F("skipped") + counts[SKIPPED],
            "errors": F("errors") + counts[ERROR],
            "bytes_freed": F("bytes_freed") + sum(line.freed_bytes for line in told),
        }

    def finish(self) -> None:
        self.take_in_hand({})
        try:
            self.record()
        except Lost:
            return
        if self.told:
            logger.warning("the disk is too full to write down %s lines run=%s", len(self.told), self.run.pk)
        state = RunState.CANCELLED if self.cancelled else RunState.DONE
        if self.reason:
            state = RunState.FAILED
        end(self.run, state, self.reason, state=RunState.WORKING, attempts=self.run.attempts)
