"""Trash runs: start, list, cancel, and retry them.

A run is a database row that a worker processes (`reviewer.trash.worker`). `reviewer.trash.stream` sends the lines that
the worker records to the client. A database constraint allows one open run at a time.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from datetime import timedelta
from typing import Any, Final

from django.db import IntegrityError, models, transaction
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.utils import timezone

from nvr.audit.actor import Actor, recorded_actor
from nvr.audit.record import record
from nvr.errors import Conflict, Unavailable
from nvr.jobs.dispatch import send_task
from nvr.jobs.worker import send_pending_of
from nvr.media.files.paths import is_inside
from nvr.media.files.system_folders import has_hidden_folder
from reviewer.catalog.scanner import check_available, path_unavailable_reason
from reviewer.disk_reserve import allocate_reserve, with_reserve
from reviewer.models import AUDIT_ACTIONS, OPEN_STATES, ReviewPath, RunState, TrashLines, TrashRun
from reviewer.path_resolution import get_review_path
from reviewer.registry import known_paths

LINE_RETENTION: Final = timedelta(hours=1)  # only the client that streams the run reads them
ACTIONS: Final = ("trash_emptying_started", *AUDIT_ACTIONS.values())


class NoWorker(Unavailable):
    title = "No worker has started this run. Start a worker for the queue interactive, or check its log."


def roots_of(user: Actor, path: Any = None) -> list[ReviewPath]:
    """Return the review paths to empty: all of `user`, or only `path`. Nested paths are included once.

    The result includes unavailable paths: the run reports them and empties the others. Raises `PathUnavailable` if all
    are unavailable, and the exceptions of `get_review_path`.
    """
    roots = known_paths(user) if path is None else [get_review_path(user, path)]
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
    actor = recorded_actor(user)

    @transaction.atomic
    def create() -> TrashRun:
        left = fail_lapsed_runs()
        run = TrashRun.objects.create(
            path="" if path is None else roots[0].path,
            roots=[root.path for root in roots],
            started_by_id=user.pk,
            started_by_name=actor.actor_name,
            asker=asdict(actor),
            in_progress=left,
        )
        record(actor, "trash_emptying_started", run, {"folders": (None, run.roots)})
        return run

    try:
        run = with_reserve(create)
    except IntegrityError:
        raise Conflict("Another trash run is in progress: wait for it, or cancel it.") from None
    send(run)
    return run


def fail_lapsed_runs() -> list[Any]:
    """Fail runs that no worker executes. Return their files in progress, for the next run to finish."""
    left: list[Any] = []
    for run in TrashRun.objects.lapsed():
        # A worker that claims the run or renews its lease now changes `leased_until`.
        if run.finish(RunState.FAILED, "Its worker ended before the run was complete.", leased_until=run.leased_until):
            left += run.in_progress
    return left


def send(run: TrashRun) -> None:
    """Send the run to the workers. If the broker is unavailable, fail the run and raise `NoWorker`."""
    if not send_task(run.TASK, run.pk, queue=run.QUEUE):
        run.finish(RunState.FAILED, "The broker does not answer.", state=RunState.WAITING)
        raise NoWorker("The broker does not answer, so the run cannot be sent to a worker.")


def cancel(run: TrashRun) -> None:
    """Stop the run after the current file. A closed run stays unchanged."""
    TrashRun.objects.open().filter(pk=run.pk).update(is_cancelled=True)
    run.finish(RunState.CANCELLED, state=RunState.WAITING)
    run.refresh_from_db()


def maintain_runs() -> None:
    """Resend runs of dead workers, fail runs that no worker started, and delete lines that are no longer read."""
    with_reserve(lambda: send_pending_of(TrashRun))
    for run in TrashRun.objects.lapsed():
        run.finish(RunState.FAILED, "No worker started it.", state=RunState.WAITING, attempts=0)
    expired = Q(run__finished_at__lt=timezone.now() - LINE_RETENTION) & ~Q(run__state__in=OPEN_STATES)
    TrashLines.objects.filter(expired).delete()
    if not TrashRun.objects.open().exists():  # an open run may still need the released space
        allocate_reserve()


def retry(user: Actor, run: TrashRun) -> TrashRun:
    """Start a new run of the same path. Raises as `start_run`."""
    return start_run(user, run.path or None)


def failed_runs(user: Actor) -> QuerySet[TrashRun]:
    """Failed runs that no later run of the same paths has made up for."""
    later = TrashRun.objects.filter(pk__gt=OuterRef("pk"), path=OuterRef("path"), roots=OuterRef("roots"))
    return TrashRun.objects.visible_to(user).filter(state=RunState.FAILED).exclude(Exists(later))


def runs_of(user: Actor, *, offset: int, limit: int) -> Iterable[TrashRun]:
    return TrashRun.objects.visible_to(user).defer("in_progress", "asker", "roots")[offset : offset + limit]


def count_by_state() -> dict[str, int]:
    """Return the number of runs by state."""
    counts = TrashRun.objects.order_by().values_list("state").annotate(models.Count("pk"))
    return dict.fromkeys(RunState.values, 0) | dict(counts)
