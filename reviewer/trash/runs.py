"""Trash runs: start, list, cancel, and retry them.

A run is a database row that a worker processes (`reviewer.trash.worker`). `reviewer.trash.stream` sends the lines that
the worker records to the client. A database constraint allows one open run at a time.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import asdict
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from celery import current_app
from django.db import IntegrityError, models, transaction
from django.db.models import F, Q
from django.utils import timezone
from kombu.exceptions import OperationalError

from nvr.audit.record import Asker, asker_of, record
from nvr.errors import Conflict, Unavailable
from nvr.media.files.paths import is_inside
from nvr.media.files.system_folders import has_hidden_folder
from reviewer.catalog.scanner import check_available, path_unavailable_reason
from reviewer.disk_reserve import allocate_reserve, with_reserve
from reviewer.models import OPEN_STATES, ReviewPath, RunState, TrashLines, TrashRun
from reviewer.path_resolution import exactly
from reviewer.registry import known_paths

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser, AnonymousUser, User

    Actor = User | AbstractBaseUser | AnonymousUser

logger = logging.getLogger(__name__)

TASK: Final = "reviewer.empty_trash"
LEASE: Final = timedelta(seconds=30)
MAX_ATTEMPTS: Final = 3
LINE_RETENTION: Final = timedelta(hours=1)  # only the client that streams the run reads them
AUDIT_ACTIONS: Final = {
    RunState.DONE: "trash_emptied",
    RunState.CANCELLED: "trash_emptying_cancelled",
    RunState.FAILED: "trash_emptying_failed",
}
ACTIONS: Final = ("trash_emptying_started", *AUDIT_ACTIONS.values())


class NoWorker(Unavailable):
    title = "No worker has started this run. Start a worker for the queue interactive, or check its log."


def roots_of(user: Actor, path: Any = None) -> list[ReviewPath]:
    """Return the review paths to empty: all of `user`, or only `path`. Nested paths are included once.

    The result includes unavailable paths: the run reports them and empties the others. Raises `PathUnavailable` if all
    are unavailable, and the exceptions of `exactly`.
    """
    roots = known_paths(user) if path is None else [exactly(user, path)]
    there = [root for root in roots if not path_unavailable_reason(root)]
    if roots and not there:
        check_available(roots[0])
    return [root for root in roots if root not in there or not any(covers(other.path, root.path) for other in there)]


def covers(outer: str, inner: str) -> bool:
    """Return whether a scan of `outer` includes `inner`. Scans skip hidden folders."""
    if outer == inner or not is_inside(inner, outer):
        return False
    return not has_hidden_folder(inner[len(outer) :])


def start_run(user: Actor, path: Any = None) -> TrashRun:
    """Create a run and send it to the workers. Raises `Conflict` if another run is open, and as `roots_of`."""
    roots = roots_of(user, path)
    asker = asker_of(user)

    @transaction.atomic
    def create() -> TrashRun:
        left = fail_lapsed_runs()
        run = TrashRun.objects.create(
            path="" if path is None else roots[0].path,
            roots=[root.path for root in roots],
            started_by_id=user.pk,
            started_by_name=asker.actor_name,
            asker=asdict(asker),
            in_hand=left,
            lease_until=timezone.now() + LEASE,
        )
        record(asker, "trash_emptying_started", run, {"folders": (None, run.roots)})
        return run

    try:
        run = with_reserve(create)
    except IntegrityError:
        raise Conflict("Another trash run is in progress: wait for it, or cancel it.") from None
    send(run)
    return run


def fail_lapsed_runs() -> list[Any]:
    """Fail open runs with an expired lease. Return their files in progress, for the next run to finish."""
    left: list[Any] = []
    for run in TrashRun.objects.lapsed():
        if finish_run(
            run, RunState.FAILED, "Its worker ended before the run was complete.", lease_until__lt=timezone.now()
        ):
            left += run.in_hand
    return left


def send(run: TrashRun) -> None:
    """Send the run to the workers. If the broker is unavailable, fail the run and raise `NoWorker`."""
    try:
        current_app.send_task(TASK, args=[run.pk], queue="interactive")
    except (OperationalError, OSError) as error:
        logger.warning("broker unavailable run=%s error=%s", run.pk, type(error).__name__)
        finish_run(run, RunState.FAILED, "The broker does not answer.", state=RunState.WAITING)
        raise NoWorker("The broker does not answer, so the run cannot be sent to a worker.") from error


@transaction.atomic
def finish_run(run: TrashRun, outcome: RunState, reason: str = "", **conditions: Any) -> bool:
    """Close the run with an audit entry if it is open and matches `conditions`. Return whether it did."""
    open_runs = TrashRun.objects.open().filter(pk=run.pk, **conditions)
    failed = int(outcome == RunState.FAILED)
    if not open_runs.update(
        state=outcome, reason=reason[:500], finished_at=timezone.now(), lease_until=None, errors=F("errors") + failed
    ):
        return False
    run.refresh_from_db()
    changes = {name: (None, getattr(run, name)) for name in ("deleted", "skipped", "errors", "bytes_freed")}
    if reason:
        changes["reason"] = (None, reason)
    record(Asker(**run.asker) if run.asker else None, AUDIT_ACTIONS[outcome], run, changes)
    logger.info("trash run ended run=%s state=%s deleted=%s bytes=%s", run.pk, outcome, run.deleted, run.bytes_freed)
    return True


def cancel(run: TrashRun) -> None:
    """Stop the run after the current file. A closed run stays unchanged."""
    TrashRun.objects.open().filter(pk=run.pk).update(is_cancelled=True)
    finish_run(run, RunState.CANCELLED, state=RunState.WAITING)
    run.refresh_from_db()


def maintain_runs() -> None:
    """Retry or fail runs whose worker has died, and delete lines that are no longer read."""
    for run in TrashRun.objects.lapsed():
        lapsed = {"state": run.state, "attempts": run.attempts, "lease_until__lt": timezone.now()}
        if run.state == RunState.WAITING:
            finish_run(run, RunState.FAILED, "No worker started it.", **lapsed)
        elif run.attempts >= MAX_ATTEMPTS:
            finish_run(run, RunState.FAILED, f"Its worker ended {run.attempts} times.", **lapsed)
        else:
            retry(run)
    expired = Q(run__finished_at__lt=timezone.now() - LINE_RETENTION) & ~Q(run__state__in=OPEN_STATES)
    TrashLines.objects.filter(expired).delete()
    if not TrashRun.objects.open().exists():  # an open run may still need the released space
        allocate_reserve()


def retry(run: TrashRun) -> None:
    try:
        send(run)
    except NoWorker:
        return  # the run stays lapsed, and the next call retries it


def runs_of(user: Actor, *, offset: int, limit: int) -> Iterable[TrashRun]:
    return TrashRun.objects.visible_to(user).defer("in_hand", "asker", "roots")[offset : offset + limit]


def count_by_state() -> dict[str, int]:
    """Return the number of runs by state."""
    counts = TrashRun.objects.order_by().values_list("state").annotate(models.Count("pk"))
    return dict.fromkeys(RunState.values, 0) | dict(counts)
