"""The files of a camera, as its page lists them: the newest, or what a higher app chooses by the address."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from urllib.parse import quote, urlencode

from django.http import QueryDict
from django.utils import timezone

from cameras.folder_index import MediaFile
from cameras.folders import folder_of, newest_files
from cameras.models import Camera
from nvr.errors import NvrError
from nvr.media.files.content_types import is_image

MAX_LISTED = 60
RENAME_HINT = "Rename it"


@dataclass(frozen=True)
class ListedFile:
    """One file with its addresses; `name` is its path below the camera's folder.

    A file whose name is not UTF-8 has no URLs, because a URL cannot contain it. `unavailable_reason` is a short label
    for such a file.
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
    unavailable_reason: str = ""
    former: str = ""  # which of the contents that the name had before, if it is not the one of now

    @property
    def is_video(self) -> bool:
        return self.kind == "video"


@dataclass(frozen=True)
class Listing:
    """Files, newest first, under `title`. `older_url` leads on, `newest_url` back to the newest of all."""

    title: str
    files: list[ListedFile]
    older_url: str = ""
    newest_url: str = ""

    @property
    def openable(self) -> list[ListedFile]:
        return [file for file in self.files if file.url]

    @property
    def has_non_utf8_names(self) -> bool:
        return any(file.unavailable_reason == RENAME_HINT for file in self.files)


Source = Callable[[Camera, QueryDict], Listing | None]
_sources: list[Source] = []


def register_source(source: Source) -> None:
    """Let `source` choose the files by the page's address; None leaves it to the others."""
    _sources.append(source)


def listing_for(camera: Camera, query: QueryDict) -> Listing:
    """What the address asks for, else the newest files. Raises what a source raises."""
    asked = (source(camera, query) for source in _sources)
    return next((listing for listing in asked if listing is not None), None) or _newest(camera)


def newest_listed(camera: Camera) -> list[ListedFile]:
    """The camera's newest 60 files, newest first. Raises what `newest_files` raises."""
    folder = folder_of(camera)
    return [listed_file(camera, folder, file) for file in newest_files(camera)[:MAX_LISTED]]


def _newest(camera: Camera) -> Listing:
    """No files when the folder fails, which the camera's status tells."""
    try:
        files = newest_listed(camera)
    except (NvrError, OSError):
        files = []
    return Listing("Newest files", files)


def listed_file(camera: Camera, folder: Path, file: MediaFile) -> ListedFile:
    name = str(Path(file.path).relative_to(folder))
    return listed_file_named(
        camera,
        name,
        version=file.identity,
        size_bytes=file.size,
        at=file.at,
        page_url=page_url_of(camera, name),
    )


def listed_file_named(
    camera: Camera,
    name: str,
    *,
    version: str,
    size_bytes: int,
    at: datetime,
    page_url: str,
    unavailable_reason: str = "",
    former: str = "",
    former_url: str = "",
) -> ListedFile:
    """The file `name` (as the disk has it, below the camera's folder) of this `version`, taken `at`.

    A content that the name had before is served at `former_url`, and its page tells it by `former`.
    """
    readable = os.fsencode(name).decode("utf-8", "replace")
    if readable != name:
        unavailable_reason = unavailable_reason or RENAME_HINT
    url = "" if unavailable_reason else former_url or f"/api/media/cameras/{quote(camera.slug)}/{quote(readable)}"
    picture = is_image(readable)
    return ListedFile(
        name=readable,
        kind="image" if picture else "video",
        url=url,
        page_url=page_url if url else "",
        thumb_url=f"{url}?v={version}&width=320" if url else "",
        playable_url=f"{url}?playable=1" if url and not picture else "",
        download_url=f"{url}?download=1" if url else "",
        size_bytes=size_bytes,
        modified_at=at.astimezone(camera.zone or timezone.get_default_timezone()),
        unavailable_reason=unavailable_reason,
        former=former,
    )


def page_url_of(camera: Camera, name: str, **query: str) -> str:
    """The page that shows the file `name`."""
    return f"{camera.get_absolute_url()}?{urlencode(query | {'file': name}, errors='surrogateescape')}"
