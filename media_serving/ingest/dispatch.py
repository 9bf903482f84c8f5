"""Notify the workers of waiting uploads: one message for any number of uploads, rate-limited."""

from __future__ import annotations

import time

from django.utils import timezone

from media_serving.ingest.leases import cameras_with_work
from nvr.jobs.dispatch import send_task

TASK = "media.ingest"
PAUSE_S = 0.5  # a worker processes all waiting uploads, not only those that the message is about
EXPIRES_S = 10.0


class Dispatcher:
    """Rate-limits the messages. The scheduler polls every few seconds and makes up for those that are skipped."""

    def __init__(self) -> None:
        self.sent_at = -PAUSE_S

    def send(self) -> None:
        if time.monotonic() - self.sent_at >= PAUSE_S:
            self.sent_at = time.monotonic()
            send()


def send() -> None:
    # A worker that is busy until the message expires checks for work itself: no messages pile up.
    send_task(TASK, queue="ingest", expires_s=EXPIRES_S)


def send_pending() -> None:
    """Send a message if uploads still wait after a lost message, a dead worker or a broker failure."""
    # A message without work would wake all workers every few seconds.
    if cameras_with_work(timezone.now()):
        send()
