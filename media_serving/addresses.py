"""Addresses below /api/media/: the one place that builds and parses them, without disk or database access."""

from __future__ import annotations

import re
from dataclasses import dataclass

from nvr.errors import Forbidden, UriTooLong
from nvr.media.files.paths import NulInPath, PathTraversal

PREFIX = "/api/media/"
MAX_PATH = 4096  # characters
ID = r"([0-9]{1,18})"  # fits the database's 64 bits


class InvalidCameraIdentifier(Forbidden):
    title = "Invalid camera identifier"


@dataclass(frozen=True)
class MediaPath:
    """A decoded path after /api/media/: `kind` is its first segment, such as "clips", and `rest` the other segments."""

    kind: str
    rest: str

    @property
    def camera_id(self) -> str:
        """The second segment of `cameras/<camera>/<filename>`."""
        return self.rest.partition("/")[0]

    @property
    def filename(self) -> str:
        """The other segments of such a path, relative to the camera's folder."""
        return self.rest.partition("/")[2]

    @property
    def id(self) -> int | None:
        """The primary key in `rest`; None if there is none."""
        match = re.fullmatch(ROW_NAMES.get(self.kind, r"(?!)"), self.rest)
        return int(match[1]) if match else None


# By kind: the file names that contain the primary key of a row.
ROW_NAMES = {
    "thumbnails": rf"detection_{ID}(?:_thumb)?\.jpg",
    "clips": rf"{ID}_clip\.mp4",
    "detections": ID,
    "uploads": ID,
}


def parse(path: str) -> MediaPath:
    """Parse the decoded path after /api/media/. Raises the contract's errors for invalid syntax."""
    if len(path) > MAX_PATH:
        raise UriTooLong(f"The path is longer than {MAX_PATH} characters.")
    kind, _, rest = path.partition("/")
    media_path = MediaPath(kind, rest)
    is_of_camera = kind == "cameras"
    if is_of_camera and (media_path.camera_id == ".." or rest.startswith("/")):
        raise InvalidCameraIdentifier
    is_absolute = path.startswith("/") or rest.startswith("/") or (is_of_camera and media_path.filename.startswith("/"))
    if is_absolute or ".." in path.split("/"):
        raise PathTraversal
    if "\0" in path:
        raise NulInPath
    return media_path


def thumbnail_url(detection_id: int) -> str:
    return f"{PREFIX}thumbnails/detection_{detection_id}_thumb.jpg"


def clip_url(event_id: int) -> str:
    return f"{PREFIX}clips/{event_id}_clip.mp4"
