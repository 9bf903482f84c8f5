"""The version of the API, chosen by `Accept: application/json; version=1`; byte views take any Accept."""

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
    """Reads `version` from the accepted media type, or, for bytes, from any part of `Accept` that names one."""

    def determine_version(self, request: Request, *args: Any, **kwargs: Any) -> str:
        version = _asked_version(request)
        if not self.is_allowed_version(version):
            raise NotAcceptable(f"There is no version {version[:20]!r} of this API: use {' or '.join(self.allowed)}.")
        return version

    @property
    def allowed(self) -> list[str]:
        return list(self.allowed_versions or ())


def _asked_version(request: Request) -> str:
    accepted = getattr(request, "accepted_media_type", None) or ""  # what the schema's generator sets
    header = request.META.get("HTTP_ACCEPT", "")
    if "version" not in (accepted + header).lower():  # spares most requests the parsing
        return "2"
    for part in [accepted, *header.split(",")[:20]]:
        with suppress(ValueError):  # a parameter in an unknown encoding
            _, parameters = parse_header_parameters(part.strip())
            if "version" in parameters:
                return str(parameters["version"])
    return "2"


class Negotiation(DefaultContentNegotiation):
    """DRF's own, which answers those who take anything without parsing what they say."""

    def select_renderer(
        self, request: Request, renderers: Any, format_suffix: str | None = None
    ) -> tuple[BaseRenderer, str]:
        asked = request.META
        if asked.get("HTTP_ACCEPT", "*/*") == "*/*" and not (format_suffix or "format" in asked["QUERY_STRING"]):
            return renderers[0], renderers[0].media_type
        chosen: tuple[BaseRenderer, str] = super().select_renderer(request, renderers, format_suffix)
        return chosen


class AnyAccept(BaseContentNegotiation):
    """For views that answer with bytes or NDJSON: whatever the client accepts, it gets what there is."""

    def select_parser(self, request: Request, parsers: Any) -> Any:
        given = request.content_type.partition(";")[0].strip().lower()
        return next((parser for parser in parsers if parser.media_type == given), None)

    def select_renderer(
        self, request: Request, renderers: Any, format_suffix: str | None = None
    ) -> tuple[BaseRenderer, str]:
        return renderers[0], renderers[0].media_type
