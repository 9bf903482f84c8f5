"""Processes jobs in a worker: claims one, renews its lease while it runs, and records its outcome."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from django.apps import apps
from django.db import DatabaseError, InterfaceError, connection
from django.utils import timezone

from nvr.jobs.dispatch import send, send_next
from nvr.jobs.failures import Outcome, classify
from nvr.jobs.models import Lease, LeasedJob, LeaseLost

logger = logging.getLogger(__name__)
LeasedJobT = TypeVar("LeasedJobT", bound=LeasedJob)
BATCH_SIZE = 20  # messages at once, so that no worker's queue holds more than it can claim


def run(
    model: type[LeasedJobT],
    pk: int,
    perform: Callable[[LeasedJobT], None],
    *,
    on_full_disk: Callable[[LeasedJobT, str], None] | None = None,
) -> None:
    """Claim the job `pk` and call `perform(job)`, which settles it. Do nothing if it is not due: calls may repeat.

    Errors of `perform` postpone or fail the job. `on_full_disk(job, reason)` replaces the delay when a disk is full.
    """
    model.objects.release_expired()
    job = model.objects.claim(pk)
    if job is None:
        return
    try:
        with lease_renewal(job):
            attempt(job, perform, on_full_disk)
    finally:
        send_next(model)


def attempt(
    job: LeasedJobT,
    perform: Callable[[LeasedJobT], None],
    on_full_disk: Callable[[LeasedJobT, str], None] | None = None,
) -> None:
    try:
        perform(job)
    except LeaseLost:
        logger.warning("lease lost job=%s id=%s", job._meta.model_name, job.pk)
    except (DatabaseError, InterfaceError):
        raise  # the row stays claimed until its lease expires
    except Exception as error:  # noqa: BLE001 - every error has an outcome for the job
        outcome, reason = classify(error)
        if outcome == Outcome.DISK_FULL and on_full_disk is not None:
            on_full_disk(job, reason)
            return
        log = logger.exception if outcome == Outcome.RETRY else logger.warning
        log("%s job=%s id=%s reason=%s", outcome.name.lower(), job._meta.model_name, job.pk, reason)
        if outcome == Outcome.FAIL:
            job.fail(reason)
        elif outcome == Outcome.RETRY:
            job.retry_or_fail(reason, job.RETRY_DELAY)
        else:
            job.postpone(reason, job.RETRY_DELAY)


@contextmanager
def lease_renewal(lease: Lease) -> Iterator[None]:
    """Renew the lease from a thread while the block runs. Database errors are logged, and renewal is tried again."""
    finished = threading.Event()

    def renew_periodically() -> None:
        while not finished.wait(lease.LEASE.total_seconds() / 4):
            try:
                if not lease.renew():
                    return
            except (DatabaseError, InterfaceError) as error:
                logger.warning(
                    "lease not renewed job=%s id=%s error=%s", lease._meta.model_name, lease.pk, type(error).__name__
                )
            finally:
                connection.close()

    thread = threading.Thread(target=renew_periodically, daemon=True)
    thread.start()
    try:
        yield
    finally:
        finished.set()
        thread.join()


def send_pending() -> None:
    """Send jobs whose delay has passed, and those left by a lost message, a dead worker or an unavailable broker."""
    for model in apps.get_models():
        if issubclass(model, LeasedJob) and not model._meta.proxy:
            try:
                send_pending_of(model)
            except Exception:  # an error with one kind of job must not block the others
                logger.exception("pending jobs not sent job=%s", model._meta.model_name)


def send_pending_of(model: type[LeasedJob]) -> None:
    model.objects.release_expired()
    now = timezone.now()
    for job in model.objects.due(now).filter(retry_at__isnull=False).order_by("retry_at")[:BATCH_SIZE]:
        send(job)
    if model.objects.have_stalled(now):
        send_next(model)
