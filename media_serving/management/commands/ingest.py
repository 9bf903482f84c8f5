"""`manage.py ingest`: watches the cameras' folders and enters what they upload in the ledger."""

from __future__ import annotations

import signal
import socket
import threading
import time
from typing import Any

from django.core.management.base import BaseCommand

from media_serving.ingest.dispatch import Sender
from media_serving.ingest.watcher import Watcher
from nvr.health.models import beat

HEARTBEAT_S = 15.0


class Command(BaseCommand):
    help = "Watches the folders that cameras upload into, until Ctrl-C. `manage.py up` runs it."

    def handle(self, *args: Any, **options: Any) -> None:
        stop = threading.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: stop.set())
        self.stdout.write("Watching the cameras' folders. Ctrl-C ends it.")
        Watcher(Sender().send).run(stop, Heart().beat)


class Heart:
    """Says now and then that the watcher lives."""

    def __init__(self) -> None:
        self.beaten_at = -HEARTBEAT_S

    def beat(self) -> None:
        if time.monotonic() - self.beaten_at >= HEARTBEAT_S:
            self.beaten_at = time.monotonic()
            beat("watcher", socket.gethostname())
