"""Cache-aside for the camera list, exact: the key holds the list's version, which every write to a camera raises.

What a user may see is part of the key as well. While the cache does not answer, the database does.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable

from django.conf import settings
from django.contrib.auth.models import AnonymousUser, User
from django.core.cache import cache
from rest_framework.request import Request

from cameras.models import ListVersion, sees_all
from nvr.api.counters import CACHE_FAULTS

PARAMETERS = ("status", "fields", "limit", "offset", "ingestion_mode", "enabled", "q")


def cached_list(request: Request, build: Callable[[], bytes]) -> bytes:
    """The list's bytes for this reader and query; built and kept when the cache has none of this version."""
    if not settings.NVR_LIST_CACHE_TIME:
        return build()
    key = key_for(request, ListVersion.current())
    found: bytes | None = _get(key)
    if found is None:
        found = build()
        _set(key, found)
    return found


def key_for(request: Request, version: int) -> str:
    parts = (version, scope_of(request.user), request.version, *(request.query_params.get(name) for name in PARAMETERS))
    return f"cameras:{hashlib.sha256(repr(parts).encode('utf-8', 'replace')).hexdigest()}"


def scope_of(user: User | AnonymousUser) -> str:
    """Readers of the same scope see the same cameras."""
    return "all" if sees_all(user) else ",".join(map(str, sorted(user.groups.values_list("pk", flat=True))))


def _get(key: str) -> bytes | None:
    try:
        value: bytes | None = cache.get(key)
    except CACHE_FAULTS:
        return None
    return value


def _set(key: str, value: bytes) -> None:
    try:
        cache.set(key, value, settings.NVR_LIST_CACHE_TIME.total_seconds())
    except CACHE_FAULTS:
        return
