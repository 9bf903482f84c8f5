"""`manage.py demo`: cameras for someone without a camera."""

from __future__ import annotations

import signal
import threading
from argparse import ArgumentParser
from datetime import UTC, datetime
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from nvr.demo.cameras import DemoCamera, demo_cameras
from nvr.errors import NvrError

INTERVAL_SECONDS = 2.0


class Command(BaseCommand):
    help = "Adds a few cameras and feeds them drawn pictures until Ctrl-C. A second run adds nothing."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--pictures", type=int, metavar="N", help="end after N pictures for each camera")

    def handle(self, *args: Any, pictures: int | None, **options: Any) -> None:
        stop = threading.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: stop.set())
        cameras = demo_cameras()
        self.register(cameras)
        self.stdout.write(f"Feeding {len(cameras)} cameras, a picture every {INTERVAL_SECONDS:g} s. Ctrl-C ends it.")
        self.feed(cameras, stop, pictures)

    def register(self, cameras: list[DemoCamera]) -> None:
        try:
            for camera in cameras:
                if camera.register():
                    self.stdout.write(f"Added the camera {camera.name} (demo).")
        except NvrError as error:
            raise CommandError(error.detail) from error
        except OSError as error:
            raise CommandError(f"The folders cannot be made ({error}): correct NVR_CAMERA_ROOT.") from error

    def feed(self, cameras: list[DemoCamera], stop: threading.Event, pictures: int | None) -> None:
        """A picture of each camera, spread over the interval, until `stop` is set or there are enough."""
        written = 0
        while not stop.is_set() and (pictures is None or written < pictures):
            for camera in cameras:
                camera.upload(datetime.now(UTC))
                camera.forget_old()
                if stop.wait(INTERVAL_SECONDS / len(cameras)):
                    return
            written += 1
