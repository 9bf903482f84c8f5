"""Emptying the trash as somebody asks for it: begin a run, see and cancel runs, try without deleting.

A run is a row, and a worker's work (`reviewer.trash.worker`); whoever asked reads along in what the worker records.
One at a time, which the database sees to. `reviewer.trash.stream` is what the client gets.
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
from reviewer.disk_reserve import keep_room, with_room
from reviewer.models import OPEN_STATES, ReviewPath, RunState, TrashLines, TrashRun
from reviewer.path_resolution import exactly
from reviewer.registry import known_paths

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser, AnonymousUser, User

    Person = User | AbstractBaseUser | AnonymousUser

logger = logging.getLogger(__name__)

TASK: Final = "reviewer.empty_trash"
LEASE: Final = timedelta(seconds=30)
MAX_ATTEMPTS: Final = 3
LINES_KEPT: Final = timedelta(hours=1)  # only who streams the run reads them
AUDITED: Final = {
    RunState.DONE: "trash_emptied",
    RunState.CANCELLED: "trash_emptying_cancelled",
    RunState.FAILED: "trash_emptying_failed",
}
ACTIONS: Final = ("trash_emptying_started", *AUDITED.values())


class NoWorker(Unavailable):
    title = "No worker has taken this up: start one of the queue interactive, or look at its log."


def roots_of(user: Person, path: Any = None) -> list[ReviewPath]:
    """What is to be emptied: all that `user` reviews, or the known path `path`; each folder once.

    One of several that is not there is among them all the same: it is told, and keeps back none of the others. Raises
    `PathAway` if none is there, and what `exactly` raises.
    """
    roots = known_paths(user) if path is None else [exactly(user, path)]
    there = [root for root in roots if not path_unavailable_reason(root)]
    if roots and not there:
        check_available(roots[0])
    return [root for root in roots if root not in there or not any(covers(other.path, root.path) for other in there)]


def covers(outer: str, inner: str) -> bool:
    """Whether going through `outer` comes through `inner` as well: hidden folders are not entered."""
    if outer == inner or not is_inside(inner, outer):
        return False
    return not has_hidden_folder(inner[len(outer) :])


def begin(user: Person, path: Any = None) -> TrashRun:
    """A new run, which the workers are told of. Raises `Conflict` while another is on, and what `roots_of` raises."""
    roots = roots_of(user, path)
    asker = asker_of(user)

    @transaction.atomic
    def written() -> TrashRun:
        left = end_lapsed()
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
        run = with_room(written)
    except IntegrityError:
        raise Conflict("The trash is being emptied already: wait for that run, or cancel it.") from None
    send(run)
    return run


def end_lapsed() -> list[Any]:
    """Give up the run that nobody is at any more; what it had in hand is left to the next one."""
    left: list[Any] = []
    for run in TrashRun.objects.lapsed():
        if end(run, RunState.FAILED, "Its worker ended before it was through.", lease_until__lt=timezone.now()):
            left += run.in_hand
    return left


def send(run: TrashRun) -> None:
    """Tell the workers. Raises `NoWorker` when the broker is away: the run then has failed."""
    try:
        current_app.send_task(TASK, args=[run.pk], queue="interactive")
    except (OperationalError, OSError) as error:
        logger.warning("broker away run=%s error=%s", run.pk, type(error).__name__)
        end(run, RunState.FAILED, "The broker does not answer.", state=RunState.WAITING)
        raise NoWorker("The broker does not answer, so that no worker can be told.") from error


@transaction.atomic
def end(run: TrashRun, outcome: RunState, reason: str = "", **conditions: Any) -> bool:
    """Close the run, with an audit entry, if it is open and `conditions` hold; whether it was."""
    open_runs = TrashRun.objects.open().filter(pk=run.pk, **conditions)
    failed = int(outcome == RunState.FAILED)
    if not open_runs.update(
        state=outcome, reason=reason[:500], finished_at=timezone.now(), lease_until=None, errors=F("errors") + failed
    ):
        return False
    run.refresh_from_db()
    told = {name: (None, getattr(run, name)) for name in ("deleted", "skipped", "errors", "bytes_freed")}
    if reason:
        told["reason"] = (None, reason)
    record(Asker(**run.asker) if run.asker else None, AUDITED[outcome], run, told)
    logger.info("emptying ended run=%s state=%s deleted=%s bytes=%s", run.pk, outcome, run.deleted, run.bytes_freed)
    return True


def cancel(run: TrashRun) -> None:
    """Stop it after the file in hand; a run that is over stays as it is."""
    TrashRun.objects.open().filter(pk=run.pk).update(is_cancelled=True)
    end(run, RunState.CANCELLED, state=RunState.WAITING)
    run.refresh_from_db()


def look_after() -> None:
    """Have what a dead worker left taken up again, or ended; forget lines that nobody reads any more."""
    for run in TrashRun.objects.lapsed():
        lapsed = {"state": run.state, "attempts": run.attempts, "lease_until__lt": timezone.now()}
        if run.state == RunState.WAITING:
            end(run, RunState.FAILED, "No worker took it up.", **lapsed)
        elif run.attempts >= MAX_ATTEMPTS:
            end(run, RunState.FAILED, f"Its worker ended {run.attempts} times.", **lapsed)
        else:
            send_again(run)
    over = Q(run__finished_at__lt=timezone.now() - LINES_KEPT) & ~Q(run__state__in=OPEN_STATES)
    TrashLines.objects.filter(over).delete()
    if not TrashRun.objects.open().exists():  # else it may be working in the room that was given up
        keep_room()


def send_again(run: TrashRun) -> None:
    try:
        send(run)
    except NoWorker:
        return  # it stays lapsed, and is sent again at the next look


def runs_of(user: Person, *, offset: int, limit: int) -> Iterable[TrashRun]:
    return TrashRun.objects.visible_to(user).defer("in_hand", "asker", "roots")[offset : offset + limit]


def counted() -> dict[str, int]:
    """How many runs there were, by what became of them."""
    counts = TrashRun.objects.order_by().values_list("state").annotate(models.Count("pk"))
    return dict.fromkeys(RunState.values, 0) | dict(counts)
