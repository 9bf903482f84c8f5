"""Uploads for tests, recorded as the folder watcher records them."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from django.utils import timezone

from cameras.models import Camera
from media_serving.models import Upload
from media_serving.models.uploads import digest_of, quoted, readable

WHY = {"rejected": "The picture is incomplete or damaged.", "failed": "It could not be read: MemoryError."}


def enter(camera: Camera, name: str | bytes = "a.jpg", **values: Any) -> Upload:
    """A row for a file that need not exist; `name` lies below the camera's folder."""
    raw = os.fsencode(name)
    plain = {"size_bytes": 5, "mtime_ns": 1_700_000_000_000_000_000, "captured_at": timezone.now()}
    plain["reason"] = WHY.get(values.get("state", ""), "")
    return Upload.objects.create(
        camera=camera,
        path=readable(raw),
        raw_path=quoted(raw),
        path_digest=digest_of(raw),
        **(plain | values),
    )


def enter_file(camera: Camera, file: Path, **values: Any) -> Upload:
    """A row for the file as it is now."""
    facts = file.stat()
    seen = {"size_bytes": facts.st_size, "mtime_ns": facts.st_mtime_ns, "state": "done"}
    below = os.fsencode(file)[len(os.fsencode(camera.folder_path)) + 1 :]
    return enter(camera, below, **({"captured_at": datetime.fromtimestamp(facts.st_mtime, UTC)} | seen | values))
