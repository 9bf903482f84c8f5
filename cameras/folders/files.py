"""The files that a camera's page lists: the newest ones, or those that an app above selects by query parameters."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from urllib.parse import quote, urlencode

from django.http import QueryDict
from django.utils import timezone

from cameras.folders.access import folder_of, newest_files
from cameras.folders.index import MediaFile
from cameras.models import Camera
from nvr.errors import NvrError
from nvr.media.files.content_types import is_image

MAX_LISTED = 60
RENAME_HINT = "Rename it"


@dataclass(frozen=True)
class ListedFile:
    """One file with its URLs; `name` is its path below the camera's folder.

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
    former: str = ""  # id of an overwritten version of the file; empty for the current one

    @property
    def is_video(self) -> bool:
        return self.kind == "video"


@dataclass(frozen=True)
class Listing:
    """Files, newest first, under `title`. `older_url` is the next page, `newest_url` the first one."""

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
    """Register `source`, which selects files by the page's query parameters; it returns None to let others do so."""
    _sources.append(source)


def listing_for(camera: Camera, query: QueryDict) -> Listing:
    """The files that the query selects, else the newest ones. Raises what a source raises."""
    listings = (source(camera, query) for source in _sources)
    return next((listing for listing in listings if listing is not None), None) or _newest(camera)


def newest_listed(camera: Camera) -> list[ListedFile]:
    """The camera's newest 60 files, newest first. Raises what `newest_files` raises."""
    folder = folder_of(camera)
    return [listed_file(camera, folder, file) for file in newest_files(camera)[:MAX_LISTED]]


def _newest(camera: Camera) -> Listing:
    """The newest files; none if the folder cannot be read, which the camera's status reports."""
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
        version=str(file.identity),
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
    """The file `name` (as on disk, below the camera's folder) in this `version`, taken `at`.

    An overwritten version is served at `former_url`; its page identifies it by `former`.
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
    """URL of the page that shows the file `name`."""
    return f"{camera.get_absolute_url()}?{urlencode(query | {'file': name}, errors='surrogateescape')}"
