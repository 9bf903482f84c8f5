"""The API version, selected by `Accept: application/json; version=1`; views that return files accept any `Accept`."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from django.utils.http import parse_header_parameters
from rest_framework.exceptions import NotAcceptable
from rest_framework.negotiation import BaseContentNegotiation, DefaultContentNegotiation
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request
from rest_framework.versioning import AcceptHeaderVersioning


class AcceptVersion(AcceptHeaderVersioning):
    """Reads `version` from the accepted media type, or, for files, from the first part of `Accept` with one."""

    def determine_version(self, request: Request, *args: Any, **kwargs: Any) -> str:
        version = _requested_version(request)
        if not self.is_allowed_version(version):
            allowed = " or ".join(self.allowed_versions or ())
            raise NotAcceptable(f"There is no version {version[:20]!r} of this API: use {allowed}.")
        return version


def _requested_version(request: Request) -> str:
    accepted = getattr(request, "accepted_media_type", None) or ""  # set by the schema generator
    header = request.META.get("HTTP_ACCEPT", "")
    if "version" not in (accepted + header).lower():  # saves parsing for most requests
        return "2"
    # At most 20: a long header must not cost much time.
    for part in [accepted, *header.split(",")[:20]]:
        with suppress(ValueError):  # a parameter in an unknown encoding
            _, parameters = parse_header_parameters(part.strip())
            if "version" in parameters:
                return str(parameters["version"])
    return "2"


class Negotiation(DefaultContentNegotiation):
    """DRF's negotiation, without parsing `Accept` for clients that accept anything."""

    def select_renderer(
        self, request: Request, renderers: Any, format_suffix: str | None = None
    ) -> tuple[BaseRenderer, str]:
        meta = request.META
        if meta.get("HTTP_ACCEPT", "*/*") == "*/*" and not (format_suffix or "format" in meta["QUERY_STRING"]):
            return renderers[0], renderers[0].media_type
        chosen: tuple[BaseRenderer, str] = super().select_renderer(request, renderers, format_suffix)
        return chosen


class AnyAccept(BaseContentNegotiation):
    """For views that return files or NDJSON: the response does not depend on `Accept`."""

    def select_parser(self, request: Request, parsers: Any) -> Any:
        content_type = request.content_type.partition(";")[0].strip().lower()
        return next((parser for parser in parsers if parser.media_type == content_type), None)

    def select_renderer(
        self, request: Request, renderers: Any, format_suffix: str | None = None
    ) -> tuple[BaseRenderer, str]:
        return renderers[0], renderers[0].media_type
