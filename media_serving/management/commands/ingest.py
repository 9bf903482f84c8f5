"""`manage.py ingest`: watch the cameras' folders and enter uploaded files in the ledger."""

from __future__ import annotations

import signal
import socket
import threading
import time
from typing import Any

from django.core.management.base import BaseCommand

from media_serving.ingest.dispatch import Dispatcher
from media_serving.ingest.watching.watcher import Watcher
from nvr.health.models import beat

HEARTBEAT_S = 15.0


class Command(BaseCommand):
    help = "Watches the folders that cameras upload into, until you press Ctrl-C. `manage.py up` runs it."

    def handle(self, *args: Any, **options: Any) -> None:
        stop = threading.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: stop.set())
        self.stdout.write("Watching the cameras' folders. Press Ctrl-C to stop.")
        Watcher(Dispatcher().send).run(stop, WatcherHeartbeat().beat)


class WatcherHeartbeat:
    """Records the watcher's heartbeat every `HEARTBEAT_S`."""

    def __init__(self) -> None:
        self.last_beat_at = -HEARTBEAT_S

    def beat(self) -> None:
        if time.monotonic() - self.last_beat_at >= HEARTBEAT_S:
            self.last_beat_at = time.monotonic()
            beat("watcher", socket.gethostname())
