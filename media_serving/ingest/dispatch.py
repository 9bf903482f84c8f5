"""Telling the workers that there are uploads: one message for any number of them, and not too often."""

from __future__ import annotations

import logging
import time
from datetime import timedelta

from celery import current_app
from django.utils import timezone
from kombu.exceptions import OperationalError

from media_serving.ingest.leases import cameras_with_work
from nvr.log_throttle import LogThrottle

logger = logging.getLogger(__name__)

TASK = "media.ingest"
PAUSE_S = 0.5
EXPIRES_S = 10.0
broker_away = LogThrottle(timedelta(minutes=1))


class Sender:
    """A message that is not sent now is sent by the scheduler's, which looks every few seconds."""

    def __init__(self) -> None:
        self.sent_at = -PAUSE_S

    def send(self) -> None:
        if time.monotonic() - self.sent_at >= PAUSE_S:
            self.sent_at = time.monotonic()
            send()


def send() -> None:
    try:
        # Who is busy until it expires looks for work before it ends: during a long backlog nothing piles up.
        current_app.send_task(TASK, queue="ingest", expires=EXPIRES_S)
    except (OperationalError, OSError) as error:
        if broker_away.should_log():
            logger.warning("broker away, uploads wait error=%s", type(error).__name__)


def send_owed() -> None:
    """What a lost message, a dead worker or an absent broker left waiting."""
    if cameras_with_work(timezone.now()):
        send()
