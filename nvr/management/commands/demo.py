"""`manage.py demo`: demo cameras with drawn pictures, and a memory card to review."""

from __future__ import annotations

import signal
import threading
from argparse import ArgumentParser
from datetime import UTC, datetime
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from nvr.demo.cameras import DemoCamera, demo_cameras
from nvr.demo.card import card_folder, make_card
from nvr.errors import NvrError

INTERVAL_SECONDS = 2.0


class Command(BaseCommand):
    help = (
        "Adds a few cameras and a memory card to review, and uploads drawn pictures until Ctrl-C. "
        "A second run adds nothing."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--pictures", type=int, metavar="N", help="stop after N pictures per camera")

    def handle(self, *args: Any, pictures: int | None, **options: Any) -> None:
        stop, self.failed = threading.Event(), set[str]()
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: stop.set())
        cameras = demo_cameras()
        self.register(cameras)
        self.add_card(stop)
        self.stdout.write(
            f"Uploading to {len(cameras)} cameras, a picture every {INTERVAL_SECONDS:g} s. Press Ctrl-C to stop."
        )
        self.feed(cameras, stop, pictures)

    def register(self, cameras: list[DemoCamera]) -> None:
        try:
            for camera in cameras:
                if camera.register():
                    self.stdout.write(f"Added the camera {camera.name} (demo).")
        except NvrError as error:
            raise CommandError(error.detail) from error
        except OSError as error:
            raise CommandError(f"The folders cannot be created ({error}): correct NVR_CAMERA_ROOT.") from error

    def add_card(self, stop: threading.Event) -> None:
        """Add the memory card; if that fails, the demo continues with the cameras."""
        try:
            if make_card(stop):
                self.stdout.write(f"Added the memory card of a trail camera as a review path: {card_folder()}.")
        except NvrError as error:
            self.stderr.write(f"The memory card was not created: {error.detail}")
        except OSError as error:
            self.stderr.write(
                f"The memory card was not created ({error}): free disk space, or correct NVR_CAMERA_ROOT."
            )

    def upload(self, camera: DemoCamera) -> None:
        """Upload one picture; a camera that fails (no ffmpeg, a full disk) does not stop the others."""
        try:
            camera.upload(datetime.now(UTC))
            camera.delete_old()
        except NvrError as error:
            if camera.name not in self.failed:
                self.stderr.write(f"The upload of {camera.name} failed: {error.detail}")
            self.failed.add(camera.name)

    def feed(self, cameras: list[DemoCamera], stop: threading.Event, pictures: int | None) -> None:
        """Upload pictures of all cameras, spread over the interval, until `stop` is set or `pictures` are written."""
        written = 0
        while not stop.is_set() and (pictures is None or written < pictures):
            for camera in cameras:
                self.upload(camera)
                if stop.wait(INTERVAL_SECONDS / len(cameras)):
                    return
            written += 1
