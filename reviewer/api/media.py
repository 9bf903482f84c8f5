"""`/api/media-thumbnail` and `/api/media-file`: thumbnails and files."""

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
from nvr.api.views import BytesView
from nvr.errors import BadRequest
from nvr.media.files.cached_files import cache_folder
from nvr.media.files.content_types import FileTypeNotAllowed, extension
from nvr.media.files.paths import NoSuchFile, is_inside
from nvr.media.http.ranges import Entity
from nvr.media.http.responses import PRIVATE, bytes_response, file_response, not_modified_response
from nvr.media.images.freedesktop import FOLDER
from reviewer.api import schema
from reviewer.api.permissions import REVIEW
from reviewer.api.query_params import is_set, number_of, path_of
from reviewer.catalog.media_types import VIDEO, media_type_of
from reviewer.items import iso_timestamp
from reviewer.non_utf8_names import text
from reviewer.path_resolution import MediaFile, Missing, NotMedia, resolve_media
from reviewer.thumbnails import rendering as thumbnails
from reviewer.thumbnails.rendering import NoThumbnail, Source, Thumbnail

IMMUTABLE: Final = "private, max-age=31536000, immutable"
PNG: Final = "image/png"
RETRY_AFTER_S: Final = 2
# An allow-list: with a guessed type, a browser could run a file as HTML.
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
    """A square PNG thumbnail, or a placeholder."""

    permission_classes = (REVIEW,)

    @extend_schema(**schema.THUMBNAIL)
    def get(self, request: Request) -> HttpResponseBase:
        file = resolve_media(request.user, path_of(request))
        size = number_of(request, "size", 256, minimum=1, maximum=thumbnails.MAX_SIZE)
        try:
            return thumbnail_response(request, thumbnails.source_of(file), size)
        except NoSuchFile:
            raise Missing from None


def thumbnail_response(request: Request, source: Source, size: int) -> HttpResponseBase:
    # The ETag is computed from the source, so that a 304 needs no access to the thumbnail.
    etag = f'"{source.mtime_ns:x}-{source.size_bytes:x}-{size}"'
    entity = Entity(etag, source.mtime_ns // 1_000_000_000, 0)
    cache_control = cache_control_of(request, source.mtime_ns)
    not_modified = not_modified_response(request._request, entity, cache_control=cache_control)
    if not_modified is not None:
        return not_modified
    try:
        thumbnail = thumbnails.get_thumbnail(source, size)
    except NoThumbnail:
        # Not cached, because the next request may succeed.
        data = thumbnails.placeholder(source.file, size)
        return HttpResponse(
            data, content_type=PNG, headers={"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
        )
    return png_response(request, source, thumbnail, etag, cache_control)


def cache_control_of(request: Request, mtime_ns: int) -> str:
    """Return `immutable` for URLs that contain the file's mtime: they change whenever the file does."""
    versions = {iso_timestamp(mtime_ns), str(mtime_ns), str(mtime_ns // 1000)}
    return IMMUTABLE if request.query_params.get("v", "") in versions else PRIVATE


def png_response(
    request: Request, source: Source, thumbnail: Thumbnail, etag: str, cache_control: str
) -> HttpResponseBase:
    name = f"{source.file.stem}.png"
    if thumbnail.path is None:
        return bytes_response(
            request._request,
            thumbnail.data,
            etag=etag.strip('"'),
            last_modified=datetime.fromtimestamp(source.mtime_ns // 1_000_000_000, UTC),
            content_type=PNG,
            filename=name,
            cache_control=cache_control,
        )
    return file_response(
        request._request,
        thumbnail.path,
        root=thumbnail_root(thumbnail.path, source),
        filename=name,
        content_type=PNG,
        cache_control=cache_control,
        etag=etag,
    )


def thumbnail_root(thumbnail: Path, source: Source) -> Path:
    """Return the folder that the opened file must be in, even if a part of its path is replaced with a link."""
    shared = source.root / FOLDER
    return shared if is_inside(thumbnail, shared) else cache_folder(thumbnails.CACHE)


class MediaFileView(BytesView):
    """The original file, or the web playback version of a video."""

    permission_classes = (REVIEW,)

    @extend_schema(**schema.FILE)
    def get(self, request: Request) -> HttpResponseBase:
        try:
            file = resolve_media(request.user, path_of(request))
            if is_set(request, "playable"):
                return playback_response(request, file)
            return original_response(request, file)
        except NotMedia as error:
            raise FileTypeNotAllowed(error.detail) from None
        except NoSuchFile:
            raise Missing from None


def original_response(request: Request, media: MediaFile) -> HttpResponseBase:
    cache_control = cache_control_of(request, media.file_stat.st_mtime_ns)
    return media_response(request, media.file, Path(media.root.path), media.path.name, cache_control)


def media_response(request: Request, file: Path, root: Path, name: str, cache_control: str) -> HttpResponseBase:
    return file_response(
        request._request,
        file,
        root=root,
        filename=name,
        disposition="attachment" if is_set(request, "download") else "inline",
        content_type=CONTENT_TYPES[extension(file.name)],
        cache_control=cache_control,
    )


def playback_response(request: Request, media: MediaFile) -> HttpResponseBase:
    """Return the web playback version, or 202 until it is ready: clients then poll after `Retry-After`."""
    if media_type_of(media.path.name) != VIDEO:
        raise BadRequest("playable is for videos.")
    version = playback_version(media.file)
    if version.path is None:
        pending = {"state": version.state, "path": text(os.fsencode(media.path))}
        return Response(pending, status=202, headers={"Retry-After": str(RETRY_AFTER_S)})
    if version.path == media.file:
        return original_response(request, media)
    return media_response(
        request, version.path, version.path.parent, f"{media.path.stem}{version.path.suffix}", PRIVATE
    )
