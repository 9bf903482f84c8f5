"""The demonstration's cameras and their folders."""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from django.conf import settings

from cameras.models import Camera
from cameras.naming import slug_from
from cameras.registry import create_camera
from nvr.demo.scenes import SCENES, Scene, draw
from nvr.private_files import make_shared

KEPT_PICTURES = 300


@dataclass(frozen=True)
class DemoCamera:
    """Its folder lies below `demo` in the camera root, so that it is never taken for a real one's."""

    name: str
    scene: Scene

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
        create_camera(None, values)
        return True

    def upload(self, moment: datetime) -> Path:
        """Write the picture of `moment` as a camera would: under another name until it is whole."""
        # A camera names its pictures by the clock on its wall.
        target = self.folder / f"demo-{moment.astimezone(ZoneInfo(settings.NVR_TIME_ZONE)):%Y%m%d-%H%M%S}.jpg"
        part = target.with_suffix(".part")
        with part.open("wb") as stream:
            draw(self.scene, moment.timestamp()).save(stream, "JPEG", quality=80)
        part.replace(target)
        return target

    def forget_old(self) -> None:
        """Keep the newest pictures; only what this program has written is ever removed."""
        names = sorted(entry.name for entry in os.scandir(self.folder) if entry.name.startswith("demo-2"))
        for name in names[:-KEPT_PICTURES]:
            (self.folder / name).unlink(missing_ok=True)


def demo_cameras() -> list[DemoCamera]:
    return [DemoCamera(name, scene) for name, scene in SCENES.items()]
