"""The demonstration's trail camera: a memory card with some days of pictures and videos, to be reviewed."""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from itertools import count
from pathlib import Path
from typing import Final

from django.conf import settings
from django.contrib.auth.models import AnonymousUser

from nvr.demo.films import film
from nvr.demo.scenes import Scene, barn_at_night, draw, garden
from reviewer.registry import save_path

DAYS: Final = 3
TRIGGERS: Final = (time(2, 10), time(6, 40), time(9, 15), time(13, 30), time(17, 5), time(21, 50))
FILMED: Final = {time(9, 15), time(21, 50)}
BURST: Final = 3
BURST_PAUSE: Final = timedelta(seconds=4)
VIDEO_S, VIDEO_FPS = 3, 8
DAYLIGHT: Final = range(6, 20)  # hours


@dataclass(frozen=True)
class Shot:
    """A picture, or by its name a video; `name` is below the card."""

    name: str
    moment: datetime

    @property
    def scene(self) -> Scene:
        return garden if self.moment.hour in DAYLIGHT else barn_at_night


def card_folder() -> Path:
    return Path(settings.NVR_CAMERA_ROOT) / "demo" / "trail_camera"


def make_card(stop: threading.Event) -> bool:
    """Write the card and add it to what is reviewed; True if that was done now, in a few seconds.

    A card that is there stays as whoever reviews it left it. Raises `NvrError` and OSError.
    """
    card = card_folder()
    if card.exists():
        return False
    part = card.with_name(f"{card.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    for shot in shots(datetime.now(UTC)):
        if stop.is_set():
            return False
        put(shot, part)
    part.replace(card)
    save_path(AnonymousUser(), os.path.realpath(card))
    return True


def shots(now: datetime) -> Iterator[Shot]:
    """What set the camera off on the days before `now`: bursts of pictures, by night too, and lastly two videos."""
    numbers = count(1)
    for day in range(DAYS, 0, -1):
        folder = f"DCIM/{100 + (DAYS - day) // 2}MEDIA"
        for trigger in TRIGGERS:
            moment = datetime.combine(now - timedelta(days=day), trigger, UTC)
            for number in range(BURST):
                yield Shot(f"{folder}/IMG_{next(numbers):04}.JPG", moment + number * BURST_PAUSE)
            if trigger in FILMED and day == 1:
                yield Shot(f"{folder}/IMG_{next(numbers):04}.MP4", moment + BURST * BURST_PAUSE)


def put(shot: Shot, card: Path) -> None:
    """With the time at which it was taken, as a camera leaves it."""
    target = card / shot.name
    target.parent.mkdir(parents=True, exist_ok=True)
    if target.suffix == ".JPG":
        draw(shot.scene, shot.moment.timestamp()).save(target, "JPEG", quality=80)
    else:
        film(shot.scene, shot.moment, target, seconds=VIDEO_S, fps=VIDEO_FPS)
    os.utime(target, (shot.moment.timestamp(), shot.moment.timestamp()))
