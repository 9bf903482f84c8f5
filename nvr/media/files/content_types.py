"""The allow-list of served file types: extension to content type. Extensions are case-insensitive."""

from __future__ import annotations

from nvr.errors import Forbidden

CONTENT_TYPES = {
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".png": "image/png",
    ".gif": "image/gif",
    ".mp4": "video/mp4",
    ".avi": "video/x-msvideo",
    ".webm": "video/webm",
    ".mov": "video/quicktime",
    ".mkv": "video/x-matroska",
}
IMAGE_EXTENSIONS = frozenset(ext for ext, kind in CONTENT_TYPES.items() if kind.startswith("image/"))
VIDEO_EXTENSIONS = frozenset(ext for ext, kind in CONTENT_TYPES.items() if kind.startswith("video/"))


class FileTypeNotAllowed(Forbidden):
    title = "File type not allowed"


def extension(name: str) -> str:
    """Return the extension with its dot, in lower case; empty if the name has none."""
    _, dot, last = name.rpartition("/")[2].lstrip(".").rpartition(".")
    return dot + last.lower() if dot else ""


def is_image(name: str) -> bool:
    return extension(name) in IMAGE_EXTENSIONS


def is_video(name: str) -> bool:
    return extension(name) in VIDEO_EXTENSIONS


def content_type_for(name: str) -> str:
    """Raises `FileTypeNotAllowed`, which names the extension."""
    try:
        return CONTENT_TYPES[extension(name)]
    except KeyError:
        raise FileTypeNotAllowed(f"File type not allowed: {extension(name)[:20] or '(none)'}") from None
