"""`/api/media/…`: files that cameras stored, and files generated from them."""

from __future__ import annotations

from django.http import HttpResponseBase
from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework.request import Request
from rest_framework.response import Response

from media_serving.addresses import PREFIX
from media_serving.api import media_schema as documents
from media_serving.api.media_errors import echo_path
from media_serving.serving import StoredFile, locate
from media_serving.transcoding.requests import playback_version
from nvr.api.signed_urls import SignedUrlAuthentication, embeddable, has_valid_signature
from nvr.api.views import BytesView
from nvr.errors import BadRequest
from nvr.media.ffmpeg.video_frames import cached_frame
from nvr.media.files.content_types import is_video
from nvr.media.http.responses import file_response
from nvr.media.images.derivatives import WIDTHS, derivative_of

POLL_S = 2


class MediaView(BytesView):
    """Serve any media path. The routes differ only in their documentation."""

    authentication_classes = (SignedUrlAuthentication, *BytesView.authentication_classes)

    def get(self, request: Request, **parts: str) -> HttpResponseBase:
        response = self.respond(request)
        return embeddable(response) if has_valid_signature(request) else response

    def respond(self, request: Request) -> HttpResponseBase:
        file = locate(request.path_info.removeprefix(PREFIX), request.user)
        if query_choice(request, "playable", {"1"}):
            return playback_response(request, file)
        width = query_choice(request, "width", {str(width) for width in WIDTHS})
        return serve_file(request, resized(file, int(width)) if width else file)


def query_choice(request: Request, name: str, values: set[str]) -> str | None:
    """Return the query parameter `name`, None if absent. Raises `BadRequest` unless it is one of `values`."""
    value = request.query_params.get(name)
    if value is not None and value not in values:
        raise BadRequest(f"{name} must be {' or '.join(sorted(values, key=int))}.")
    return value


def serve_file(request: Request, file: StoredFile) -> HttpResponseBase:
    attachment = query_choice(request, "download", {"1"})
    return file_response(
        request._request,
        file.path,
        root=file.root,
        filename=file.name,
        disposition="attachment" if attachment else "inline",
    )


def resized(file: StoredFile, width: int) -> StoredFile:
    """Return a copy of the picture at most `width` pixels wide; for a video, of one of its frames."""
    picture = cached_frame(file.path) if is_video(file.path.name) else file.path
    derivative = derivative_of(picture, width)
    return StoredFile(derivative, derivative.parent, f"{file.stem}{derivative.suffix}")


def playback_response(request: Request, file: StoredFile) -> HttpResponseBase:
    """Serve the web playback version, or 202 with `Retry-After` until it is ready. Clients may poll with HEAD."""
    if not is_video(file.path.name):
        raise BadRequest("playable is for videos.")
    version = playback_version(file.path)
    if version.path is None:
        pending = {"state": version.state, "path": echo_path(request.path_info.removeprefix(PREFIX))}
        return Response(pending, status=202, headers={"Retry-After": str(POLL_S)})
    return serve_file(request, StoredFile(version.path, version.path.parent, f"{file.stem}{version.path.suffix}"))


@extend_schema_view(get=extend_schema(**documents.CAMERA_FILE))
class CameraFileView(MediaView):
    """A file from a camera's folder."""


@extend_schema_view(get=extend_schema(**documents.THUMBNAIL))
class ThumbnailView(MediaView):
    """The thumbnail of a detection."""


@extend_schema_view(get=extend_schema(**documents.DETECTION_FILE))
class DetectionFileView(MediaView):
    """The picture of a detection; for a video, the frame."""


@extend_schema_view(get=extend_schema(**documents.UPLOAD_FILE))
class UploadFileView(MediaView):
    """The content of an upload, even if the camera has reused the file name and a copy was kept."""


@extend_schema_view(get=extend_schema(**documents.CLIP))
class ClipView(MediaView):
    """The clip of an event."""


@extend_schema_view(get=extend_schema(**documents.COMPATIBILITY))
class CompatibilityView(MediaView):
    """Any of the others, by its path."""
