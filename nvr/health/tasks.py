"""The heartbeat task, which runs in the worker of each queue."""

from __future__ import annotations

import socket

from celery import shared_task

from nvr.health.models import beat


@shared_task(name="health.heartbeat", ignore_result=True)
def heartbeat(queue: str) -> None:
    """Record a heartbeat of the queue's worker; the interactive one also records the scheduler that sent it."""
    beat(f"worker:{queue}", socket.gethostname())
    if queue == "interactive":
        beat("scheduler", socket.gethostname())
