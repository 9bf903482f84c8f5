"""The newest files of a camera, as its page lists them."""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from urllib.parse import quote, urlencode

from django.utils import timezone

from cameras.folder_index import MediaFile
from cameras.folders import folder_of, newest_files
from cameras.models import Camera

SHOWN = 60


@dataclass(frozen=True)
class ListedFile:
    """One file with its addresses; `name` is its path below the camera's folder.

    A file whose name is not UTF-8 has no addresses: none could name it.
    """

    name: str
    kind: str
    url: str
    page_url: str
    thumb_url: str
    playable_url: str
    download_url: str
    size_bytes: int
    modified_at: datetime


def newest_listed(camera: Camera) -> list[ListedFile]:
    """The camera's newest 60 files, newest first. Raises what `newest_files` raises."""
    folder = folder_of(camera)
    return [listed(camera, folder, file) for file in newest_files(camera)[:SHOWN]]


def listed(camera: Camera, folder: Path, file: MediaFile) -> ListedFile:
    name = str(Path(file.path).relative_to(folder))
    readable = os.fsencode(name).decode("utf-8", "replace")
    url = f"/api/media/cameras/{quote(camera.slug)}/{quote(readable)}" if readable == name else ""
    return ListedFile(
        name=readable,
        kind="image" if file.is_image else "video",
        url=url,
        page_url=f"{camera.get_absolute_url()}?{urlencode({'file': name})}" if url else "",
        thumb_url=f"{url}?v={file.identity}&width=320" if url else "",
        playable_url=f"{url}?playable=1" if url and not file.is_image else "",
        download_url=f"{url}?download=1" if url else "",
        size_bytes=file.size,
        modified_at=datetime.fromtimestamp(file.mtime_ns / 1e9, camera.zone or timezone.get_default_timezone()),
    )
