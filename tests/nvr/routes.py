"""Every address of the application with all its methods, so that tables over them can be held against the truth."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.urls import URLPattern, URLResolver, get_resolver

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
ADMIN = "admin/"  # Django's own, one entry: its pages are tested where their models are


def all_routes() -> dict[str, URLPattern]:
    """The address pattern of each route, such as `api/cameras/<str:camera_id>`; the admin is one."""
    return dict(_below(get_resolver().url_patterns, ""))


def _below(patterns: list[Any], prefix: str) -> Iterator[tuple[str, URLPattern]]:
    for entry in patterns:
        route = f"{prefix}{entry.pattern}"
        if route == ADMIN:
            yield route, entry
        elif isinstance(entry, URLResolver):
            yield from _below(entry.url_patterns, route)
        else:
            yield route, entry
