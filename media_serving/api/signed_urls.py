"""`POST /api/signed-urls`: creates URLs that work without credentials for a limited time."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any
from urllib.parse import unquote, urlsplit

from django.http import QueryDict
from django.utils import timezone
from drf_spectacular.utils import extend_schema, inline_serializer
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from cameras.models import Camera
from media_serving.addresses import PREFIX
from media_serving.serving import locate
from nvr.api.fields import Text, Whole
from nvr.api.signed_urls import signed_url
from nvr.api.views import ApiView
from nvr.audit.actor import Actor
from nvr.errors import BadRequest, Forbidden, Invalid, NotFound, UriTooLong

MAX_LIFETIME_S = 3600
MAX_PATH_LENGTH = 16_384  # 4096 characters, most of them percent-encoded
SNAPSHOT = re.compile(r"/api/cameras/([^/]+)/snapshot")


class SignedUrlRequest(serializers.Serializer[Any]):
    path = Text(max_length=MAX_PATH_LENGTH, help_text="Percent-encoded, such as /api/media/clips/1_clip.mp4.")
    expires_in = Whole(min_value=1, max_value=MAX_LIFETIME_S, default=MAX_LIFETIME_S, help_text="Seconds.")


SIGNED_URL = inline_serializer("SignedUrl", {"url": serializers.CharField(), "expires_at": serializers.DateTimeField()})


class SignedUrlView(ApiView):
    """Sign URLs of media and snapshots that the user may see."""

    body_keys = {"post": SignedUrlRequest}

    @extend_schema(operation_id="sign_url", tags=["media"], request=SignedUrlRequest, responses={200: SIGNED_URL})
    def post(self, request: Request) -> Response:
        body = SignedUrlRequest(data=request.data)
        body.is_valid(raise_exception=True)
        path, query = split_url(body.validated_data["path"])
        check_visible(path, request.user)
        expires_at = (timezone.now() + timedelta(seconds=body.validated_data["expires_in"])).replace(microsecond=0)
        url = signed_url(request.user, path, query, expires_at)
        return Response({"url": url, "expires_at": expires_at})


def split_url(url: str) -> tuple[str, QueryDict]:
    """Return the decoded path and query of a URL on this site. Raises `Invalid` for anything else."""
    if not url.startswith("/") or url.startswith("//") or "#" in url:
        raise Invalid.field("path", "must be an absolute path on this site, without a host.")
    parts = urlsplit(url)
    try:
        path, _ = unquote(parts.path, errors="strict"), unquote(parts.query, errors="strict")
    except UnicodeDecodeError:
        raise Invalid.field("path", "is not UTF-8.") from None
    return path, QueryDict(parts.query)


def check_visible(path: str, user: Actor) -> None:
    """Raise `NotFound` if `user` may not see the path or it does not exist, `Invalid` for an invalid path."""
    try:
        if path.startswith(PREFIX):
            locate(path.removeprefix(PREFIX), user)
        else:
            check_snapshot(path, user)
    except (BadRequest, Forbidden, UriTooLong) as error:
        raise Invalid.field("path", error.detail) from error


def check_snapshot(path: str, user: Actor) -> None:
    match = SNAPSHOT.fullmatch(path)
    if match is None:
        raise Invalid.field("path", f"must begin with {PREFIX}, or be a camera's snapshot.")
    if "\0" in path or not Camera.objects.visible_to(user).identified_by(match[1]).exists():
        raise NotFound("Camera not found")
