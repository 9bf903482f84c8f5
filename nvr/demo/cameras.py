"""The demo cameras and their folders."""

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
from nvr.demo.films import render_video
from nvr.demo.scenes import Scene, barn_at_night, draw, driveway, front_door, garden
from nvr.private_files import make_shared

KEPT_PICTURES = 300
VIDEO_INTERVAL = timedelta(seconds=30)
VIDEO_S, VIDEO_FPS = 6, 5
# These settings detect the drawn scenes correctly: people as people, anything else that moves as motion.
PEOPLE = {"detector": "people", "detection_confidence": 0.7}
MOTION = {"detector": "motion"}


@dataclass(frozen=True)
class DemoCamera:
    """A camera with drawn pictures; its folder is below `demo` in the camera root, apart from real ones."""

    name: str
    scene: Scene
    settings: Mapping[str, object] = field(default_factory=dict)
    uploads_videos: bool = False  # instead of pictures

    @property
    def folder(self) -> Path:
        return Path(settings.NVR_CAMERA_ROOT) / "demo" / slug_from(self.name)

    def register(self) -> bool:
        """Create the camera unless it exists or is in the trash; return whether it was created."""
        make_shared(self.folder)
        if Camera.everything.filter(folder_path=str(self.folder)).exists():
            return False
        values = {
            "name": f"{self.name} (demo)",
            "folder_path": str(self.folder),
            "notes": "A drawn scene, created by manage.py demo. Delete it when you have a camera.",
        }
        create_camera(None, {**values, **self.settings})
        return True

    def upload(self, timestamp: datetime) -> Path | None:
        """Write a picture taken at `timestamp`, or a video that ends then, under a temporary name until it is complete.

        Returns None until the next video is due.
        """
        # Cameras put their local time into file names.
        local = timestamp.astimezone(ZoneInfo(settings.NVR_TIME_ZONE))
        target = self.folder / f"demo-{local:%Y%m%d-%H%M%S}{'.mp4' if self.uploads_videos else '.jpg'}"
        # The watcher ignores this name until the file is complete and renamed.
        part = target.with_suffix(".part")
        if not self.uploads_videos:
            with part.open("wb") as stream:
                draw(self.scene, timestamp.timestamp()).save(stream, "JPEG", quality=80)
        elif self._has_recent_video(timestamp):
            return None
        else:
            render_video(self.scene, timestamp - timedelta(seconds=VIDEO_S), part, seconds=VIDEO_S, fps=VIDEO_FPS)
        part.replace(target)
        return target

    def _has_recent_video(self, timestamp: datetime) -> bool:
        times = [entry.stat().st_mtime for entry in os.scandir(self.folder) if entry.name.endswith(".mp4")]
        return bool(times) and timestamp.timestamp() - max(times) < VIDEO_INTERVAL.total_seconds()

    def delete_old(self) -> None:
        """Delete the oldest pictures, only those that this program has written."""
        names = sorted(entry.name for entry in os.scandir(self.folder) if entry.name.startswith("demo-2"))
        for name in names[:-KEPT_PICTURES]:
            (self.folder / name).unlink(missing_ok=True)


def demo_cameras() -> list[DemoCamera]:
    return [
        DemoCamera("Front door", front_door, PEOPLE),
        DemoCamera("Garden", garden, MOTION),
        DemoCamera("Driveway", driveway, PEOPLE),
        DemoCamera("Barn at night", barn_at_night, MOTION),
        DemoCamera("Street on video", driveway, PEOPLE, uploads_videos=True),
    ]
