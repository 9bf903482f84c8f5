"""The Celery task of pending jobs; `nvr.jobs.worker` does the work."""

from __future__ import annotations

from celery import shared_task

from nvr.jobs import worker


@shared_task(name="jobs.send_pending", ignore_result=True)
def send_pending() -> None:
    worker.send_pending()
