"""Messages to workers. They carry a job's key at most, and may be lost: jobs that stay pending are sent again."""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from celery import current_app
from django.db import transaction
from django.utils import timezone
from kombu.exceptions import OperationalError

from nvr.jobs.models import JobState
from nvr.log_throttle import LogThrottle

if TYPE_CHECKING:
    from nvr.jobs.models import LeasedJob

logger = logging.getLogger(__name__)
broker_log = LogThrottle(timedelta(minutes=1))


def send_task(task: str, *args: object, queue: str, expires_s: float | None = None) -> bool:
    """Send a task; return False if the broker is unavailable."""
    options: dict[str, Any] = {} if expires_s is None else {"expires": expires_s}
    try:
        current_app.send_task(task, args=list(args), queue=queue, **options)
    except (OperationalError, OSError) as error:
        if broker_log.should_log():
            logger.warning("broker unavailable, work stays pending task=%s error=%s", task, type(error).__name__)
        return False
    return True


def send(job: LeasedJob) -> bool:
    """Send the job to a worker and record when; return False if the broker is unavailable: it is sent again later."""
    type(job).objects.filter(pk=job.pk, state=JobState.WAITING).update(sent_at=timezone.now(), retry_at=None)
    return send_task(job.TASK, job.pk, queue=job.QUEUE)


def send_after_commit(job: LeasedJob) -> None:
    transaction.on_commit(lambda: send_task(job.TASK, job.pk, queue=job.QUEUE), robust=True)


def send_next(model: type[LeasedJob]) -> None:
    """Send the row that has waited longest."""
    job = model.objects.longest_pending()
    if job is not None:
        send(job)
