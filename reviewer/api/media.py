"""`/api/media-thumbnail` and `/api/media-file`: what a picture or video looks like, and its bytes."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from django.http import HttpResponse, HttpResponseBase
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from media_serving.transcoding.requests import playback_version
from nvr.api.permissions import HasPermission
from nvr.api.views import BytesView
from nvr.errors import BadRequest
from nvr.media.files.cached_files import cache_folder
from nvr.media.files.content_types import FileTypeNotAllowed, extension
from nvr.media.files.paths import NoSuchFile, is_inside
from nvr.media.http.ranges import Entity
from nvr.media.http.responses import PRIVATE, bytes_response, file_response, not_modified_response
from nvr.media.images.freedesktop import FOLDER
from reviewer.api import schema
from reviewer.api.query_params import is_set, number_of, path_of
from reviewer.catalog.media_types import VIDEO, media_type_of
from reviewer.items import moment
from reviewer.non_utf8_names import text
from reviewer.path_resolution import Media, Missing, NotMedia, media_at
from reviewer.thumbnails import rendering as thumbnails
from reviewer.thumbnails.rendering import NoThumbnail, Source, Thumbnail

REVIEW = HasPermission("reviewer.review")
FOR_EVER: Final = "private, max-age=31536000, immutable"
PNG: Final = "image/png"
POLL_S: Final = 2
CONTENT_TYPES: Final = {
    ".bmp": "image/bmp",
    ".gif": "image/gif",
    ".jpeg": "image/jpeg",
    ".jpg": "image/jpeg",
    ".png": PNG,
    ".tif": "image/tiff",
    ".tiff": "image/tiff",
    ".webp": "image/webp",
    ".avi": "video/x-msvideo",
    ".m4v": "video/mp4",
    ".mov": "video/quicktime",
    ".mp4": "video/mp4",
    ".mpeg": "video/mpeg",
    ".mpg": "video/mpeg",
    ".mts": "video/mp2t",
    ".m2ts": "video/mp2t",
    ".ts": "video/mp2t",
    ".wmv": "video/x-ms-wmv",
    ".mkv": "video/x-matroska",
    ".webm": "video/webm",
    ".3gp": "video/3gpp",
}


class MediaThumbnailView(BytesView):
    """A square PNG, or one that says that there is none."""

    permission_classes = (REVIEW,)

    @extend_schema(**schema.THUMBNAIL)
    def get(self, request: Request) -> HttpResponseBase:
        place = media_at(request.user, path_of(request))
        size = number_of(request, "size", 256, least=1, most=thumbnails.LARGEST)
        try:
            source = thumbnails.source_at(place)
            return thumbnail_response(request, source, size)
        except NoSuchFile:
            raise Missing from None


def thumbnail_response(request: Request, source: Source, size: int) -> HttpResponseBase:
    """The tag says which state of the source is shown, so that it is answered before the thumbnail is looked for."""
    etag = f'"{source.mtime_ns:x}-{source.size_bytes:x}-{size}"'
    entity = Entity(etag, source.mtime_ns // 1_000_000_000, 0)
    known = not_modified_response(request._request, entity, cache_control=caching(request, source.mtime_ns))
    if known is not None:
        return known
    try:
        made = thumbnails.thumbnail_of(source, size)
    except NoThumbnail:
        data = thumbnails.placeholder(source.file, size)
        return HttpResponse(
            data, content_type=PNG, headers={"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
        )
    return sent(request, source, made, etag)


def caching(request: Request, mtime_ns: int) -> str:
    """An address that carries the time of the file's last change is another when the file is."""
    versions = {moment(mtime_ns), str(mtime_ns), str(mtime_ns // 1000)}
    return FOR_EVER if request.query_params.get("v", "") in versions else PRIVATE


def sent(request: Request, source: Source, made: Thumbnail, etag: str) -> HttpResponseBase:
    name, cache_control = f"{source.file.stem}.png", caching(request, source.mtime_ns)
    if made.path is None:
        return bytes_response(
            request._request,
            made.data,
            etag=etag.strip('"'),
            last_modified=datetime.fromtimestamp(source.mtime_ns // 1_000_000_000, UTC),
            content_type=PNG,
            filename=name,
            cache_control=cache_control,
        )
    return file_response(
        request._request,
        made.path,
        root=folder_of(made.path, source),
        filename=name,
        content_type=PNG,
        cache_control=cache_control,
        etag=etag,
    )


def folder_of(thumbnail: Path, source: Source) -> Path:
    """Where it must really lie, whatever becomes of its path in the meantime."""
    beside = source.root / FOLDER
    return beside if is_inside(thumbnail, beside) else cache_folder(thumbnails.CACHE)


class MediaFileView(BytesView):
    """The file as it is, or in a form that browsers play."""

    permission_classes = (REVIEW,)

    @extend_schema(**schema.FILE)
    def get(self, request: Request) -> HttpResponseBase:
        try:
            place = media_at(request.user, path_of(request))
            if is_set(request, "playable"):
                return playable_response(request, place)
            return original(request, place)
        except NotMedia as error:
            raise FileTypeNotAllowed(error.detail) from None
        except NoSuchFile:
            raise Missing from None


def original(request: Request, place: Media) -> HttpResponseBase:
    cache_control = caching(request, place.facts.st_mtime_ns)
    return bytes_of(request, place.file, Path(place.root.path), place.path.name, cache_control)


def bytes_of(request: Request, file: Path, root: Path, name: str, cache_control: str) -> HttpResponseBase:
    return file_response(
        request._request,
        file,
        root=root,
        filename=name,
        disposition="attachment" if is_set(request, "download") else "inline",
        content_type=CONTENT_TYPES[extension(file.name)],
        cache_control=cache_control,
    )


def playable_response(request: Request, place: Media) -> HttpResponseBase:
    """The playable form, or 202 until there is one: ask again after `Retry-After`, with HEAD if you like."""
    if media_type_of(place.path.name) != VIDEO:
        raise BadRequest("playable is for videos.")
    form = playback_version(place.file)
    if form.path is None:
        pending = {"state": form.state, "path": text(os.fsencode(place.path))}
        return Response(pending, status=202, headers={"Retry-After": str(POLL_S)})
    if form.path == place.file:
        return original(request, place)
    return bytes_of(request, form.path, form.path.parent, f"{place.path.stem}{form.path.suffix}", PRIVATE)
