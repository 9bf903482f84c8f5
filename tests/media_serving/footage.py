"""Uploads with their files, and events over them, for the tests of clips."""

from __future__ import annotations

import os
from datetime import datetime
from pathlib import Path
from typing import Any

from cameras.models import Camera
from media_serving.models import Event, Upload
from media_serving.models.uploads import digest_of, quoted, readable
from tests.factories import folder_of
from tests.films import numbered_still, numbered_video
from tests.media_serving.evidence import after, detect


def uploaded(camera: Camera, path: Path, captured_at: datetime, **values: Any) -> Upload:
    """The ledger's row for a file that lies in the camera's folder."""
    name, facts = os.fsencode(path.relative_to(folder_of(camera))), path.stat()
    plain = {
        "path": readable(name),
        "raw_path": quoted(name),
        "path_digest": digest_of(name),
        "size_bytes": facts.st_size,
        "mtime_ns": facts.st_mtime_ns,
        "state": "done",
    }
    return Upload.objects.create(camera=camera, captured_at=captured_at, **(plain | values))


def video(camera: Camera, name: str, begins: float, *options: str, **film: Any) -> Upload:
    """A numbered film that begins so many seconds after the usual timestamp."""
    path = numbered_video(folder_of(camera) / name, *options, **film)
    return uploaded(camera, path, after(begins))


def still(camera: Camera, name: str, taken: float, number: int) -> Upload:
    path = folder_of(camera) / name
    path.write_bytes(numbered_still(number))
    return uploaded(camera, path, after(taken))


def event_over(camera: Camera, first: float, last: float, **values: Any) -> Event:
    """A closed event from `first` to `last` (seconds after the usual timestamp), of detections in missing pictures."""
    detect(camera, after(first), file_path=f"{camera.folder_path}/gone.jpg", **values)
    event = detect(camera, after(last), file_path=f"{camera.folder_path}/gone.jpg", **values).event
    return Event.objects.get(pk=event.pk)
