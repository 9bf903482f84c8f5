"""The demonstration's cameras and their folders."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from django.conf import settings

from cameras.models import Camera
from cameras.naming import slug_from
from cameras.registry import create_camera
from nvr.demo.films import film
from nvr.demo.scenes import Scene, barn_at_night, draw, driveway, front_door, garden
from nvr.private_files import make_shared

KEPT_PICTURES = 300
VIDEO_EVERY = timedelta(seconds=30)
VIDEO_S, VIDEO_FPS = 6, 5
# What is drawn is read rightly by these: people are found where people walk, and what else moves is movement.
PEOPLE = {"detector": "people", "detection_confidence": 0.7}
MOTION = {"detector": "motion"}


@dataclass(frozen=True)
class DemoCamera:
    """Its folder lies below `demo` in the camera root, so that it is never taken for a real one's."""

    name: str
    scene: Scene
    settings: Mapping[str, object] = field(default_factory=dict)
    films: bool = False  # it uploads a video now and then, and no pictures

    @property
    def folder(self) -> Path:
        return Path(settings.NVR_CAMERA_ROOT) / "demo" / slug_from(self.name)

    def register(self) -> bool:
        """Make sure that the camera exists; True if it was made now. One in the trash stays there."""
        make_shared(self.folder)
        if Camera.everything.filter(folder_path=str(self.folder)).exists():
            return False
        values = {
            "name": f"{self.name} (demo)",
            "folder_path": str(self.folder),
            "notes": "A drawn scene, made by manage.py demo. Delete it when you have a camera.",
        }
        create_camera(None, {**values, **self.settings})
        return True

    def upload(self, moment: datetime) -> Path | None:
        """Write what the camera saw until `moment` as it would: under another name until it is whole.

        None if it is not yet time for the next video.
        """
        # A camera names its files by the clock on its wall.
        clock = moment.astimezone(ZoneInfo(settings.NVR_TIME_ZONE))
        target = self.folder / f"demo-{clock:%Y%m%d-%H%M%S}{'.mp4' if self.films else '.jpg'}"
        part = target.with_suffix(".part")
        if not self.films:
            with part.open("wb") as stream:
                draw(self.scene, moment.timestamp()).save(stream, "JPEG", quality=80)
        elif self._filmed_lately(moment):
            return None
        else:
            film(self.scene, moment - timedelta(seconds=VIDEO_S), part, seconds=VIDEO_S, fps=VIDEO_FPS)
        part.replace(target)
        return target

    def _filmed_lately(self, moment: datetime) -> bool:
        times = [entry.stat().st_mtime for entry in os.scandir(self.folder) if entry.name.endswith(".mp4")]
        return bool(times) and moment.timestamp() - max(times) < VIDEO_EVERY.total_seconds()

    def delete_old(self) -> None:
        """Delete old pictures, only those that this program has written."""
        names = sorted(entry.name for entry in os.scandir(self.folder) if entry.name.startswith("demo-2"))
        for name in names[:-KEPT_PICTURES]:
            (self.folder / name).unlink(missing_ok=True)


def demo_cameras() -> list[DemoCamera]:
    return [
        DemoCamera("Front door", front_door, PEOPLE),
        DemoCamera("Garden", garden, MOTION),
        DemoCamera("Driveway", driveway, PEOPLE),
        DemoCamera("Barn at night", barn_at_night, MOTION),
        DemoCamera("Street on video", driveway, PEOPLE, films=True),
    ]
