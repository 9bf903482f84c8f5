"""The heartbeat: each queue's worker says that it lives."""

from __future__ import annotations

import socket

from celery import shared_task

from nvr.health.models import beat


@shared_task(name="health.heartbeat", ignore_result=True)
def heartbeat(queue: str) -> None:
    """Run by each queue's worker; the interactive one also vouches for the scheduler that sent it."""
    beat(f"worker:{queue}", socket.gethostname())
    if queue == "interactive":
        beat("scheduler", socket.gethostname())
