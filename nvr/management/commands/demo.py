"""`manage.py demo`: cameras for someone without a camera, and a card to review."""

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
    help = "Adds a few cameras and a card to review, and feeds drawn pictures until Ctrl-C. A second run adds nothing."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--pictures", type=int, metavar="N", help="end after N pictures for each camera")

    def handle(self, *args: Any, pictures: int | None, **options: Any) -> None:
        stop, self.failed = threading.Event(), set[str]()
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: stop.set())
        cameras = demo_cameras()
        self.register(cameras)
        self.add_card(stop)
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

    def add_card(self, stop: threading.Event) -> None:
        """The cameras are shown also where no card can be made."""
        try:
            if make_card(stop):
                self.stdout.write(f"Added the card of a trail camera to the review: {card_folder()}.")
        except NvrError as error:
            self.stderr.write(f"There is no card to review: {error.detail}")
        except OSError as error:
            self.stderr.write(f"There is no card to review ({error}): make room, or correct NVR_CAMERA_ROOT.")

    def upload(self, camera: DemoCamera) -> None:
        """A camera that cannot film (no ffmpeg, a full disk) keeps no other from its pictures."""
        try:
            camera.upload(datetime.now(UTC))
            camera.forget_old()
        except NvrError as error:
            if camera.name not in self.failed:
                self.stderr.write(f"There is nothing from {camera.name}: {error.detail}")
            self.failed.add(camera.name)

    def feed(self, cameras: list[DemoCamera], stop: threading.Event, pictures: int | None) -> None:
        """A picture of each camera, spread over the interval, until `stop` is set or there are enough."""
        written = 0
        while not stop.is_set() and (pictures is None or written < pictures):
            for camera in cameras:
                self.upload(camera)
                if stop.wait(INTERVAL_SECONDS / len(cameras)):
                    return
            written += 1
