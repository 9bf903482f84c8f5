"""The memory card of a demo trail camera, with pictures and videos of three days to review."""

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

from nvr.demo.films import render_video
from nvr.demo.scenes import Scene, barn_at_night, draw, garden
from reviewer.registry import save_path

DAYS: Final = 3
TRIGGERS: Final = (time(2, 10), time(6, 40), time(9, 15), time(13, 30), time(17, 5), time(21, 50))
VIDEO_TRIGGERS: Final = {time(9, 15), time(21, 50)}
BURST: Final = 3
BURST_PAUSE: Final = timedelta(seconds=4)
VIDEO_S, VIDEO_FPS = 3, 8
DAYLIGHT: Final = range(6, 20)  # hours


@dataclass(frozen=True)
class Shot:
    """A picture or, by the extension of `name`, a video; `name` is relative to the card."""

    name: str
    taken_at: datetime

    @property
    def scene(self) -> Scene:
        return garden if self.taken_at.hour in DAYLIGHT else barn_at_night


def card_folder() -> Path:
    return Path(settings.NVR_CAMERA_ROOT) / "demo" / "trail_camera"


def make_card(stop: threading.Event) -> bool:
    """Write the card, which takes a few seconds, and add it as a review path; return whether it was created.

    An existing card is not changed, since it may be under review. Raises `NvrError` and OSError.
    """
    card = card_folder()
    if card.exists():
        return False
    # Written under another name, so that an interrupted run leaves no incomplete card for the next one.
    part = card.with_name(f"{card.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    for shot in shots(datetime.now(UTC)):
        if stop.is_set():
            return False
        write_shot(shot, part)
    part.replace(card)  # only a complete card appears, so an interrupted run is repeated
    save_path(AnonymousUser(), os.path.realpath(card))
    return True


def shots(now: datetime) -> Iterator[Shot]:
    """Yield what the camera recorded on the days before `now`: bursts of pictures, and two videos on the last day."""
    numbers = count(1)
    for day in range(DAYS, 0, -1):
        folder = f"DCIM/{100 + (DAYS - day) // 2}MEDIA"
        for trigger in TRIGGERS:
            triggered_at = datetime.combine(now - timedelta(days=day), trigger, UTC)
            for number in range(BURST):
                yield Shot(f"{folder}/IMG_{next(numbers):04}.JPG", triggered_at + number * BURST_PAUSE)
            if trigger in VIDEO_TRIGGERS and day == 1:
                yield Shot(f"{folder}/IMG_{next(numbers):04}.MP4", triggered_at + BURST * BURST_PAUSE)


def write_shot(shot: Shot, card: Path) -> None:
    """Write the file with the modification time that a camera would set."""
    target = card / shot.name
    target.parent.mkdir(parents=True, exist_ok=True)
    if target.suffix == ".JPG":
        draw(shot.scene, shot.taken_at.timestamp()).save(target, "JPEG", quality=80)
    else:
        render_video(shot.scene, shot.taken_at, target, seconds=VIDEO_S, fps=VIDEO_FPS)
    os.utime(target, (shot.taken_at.timestamp(), shot.taken_at.timestamp()))
