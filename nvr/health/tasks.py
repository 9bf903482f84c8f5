"""The heartbeat task, which runs in the worker of each queue."""

from __future__ import annotations

import socket

from celery import shared_task
from celery.signals import beat_init

from nvr.health.models import beat
from nvr.health.schedule import HEARTBEAT_S, QUEUES


@shared_task(name="health.heartbeat", ignore_result=True)
def heartbeat(queue: str) -> None:
    """Record a heartbeat of the queue's worker; the interactive one also records the scheduler that sent it."""
    beat(f"worker:{queue}", socket.gethostname())
    if queue == "interactive":
        beat("scheduler", socket.gethostname())


@beat_init.connect
def send_first_heartbeats(**_: object) -> None:
    """Send the first heartbeats when the scheduler starts, not an interval later."""
    for queue in QUEUES:
        heartbeat.apply_async((queue,), queue=queue, expires=HEARTBEAT_S)
