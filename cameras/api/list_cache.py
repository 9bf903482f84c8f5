"""Caches the camera list. The key contains the list's version, which every write to a camera increases.

The key also contains the user's scope. If the cache is unavailable, the list is read from the database.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable

from django.conf import settings
from django.core.cache import cache
from rest_framework.request import Request

from cameras.models import ListVersion, sees_all
from nvr.api.counters import CACHE_FAULTS
from nvr.audit.actor import Actor

PARAMETERS = ("status", "fields", "limit", "offset", "ingestion_mode", "enabled", "q")


def cached_list(request: Request, build: Callable[[], bytes]) -> bytes:
    """The list's bytes for this user and query; built and cached if the cache has none for this version."""
    # 0 switches the cache off.
    if not settings.NVR_LIST_CACHE_TIME:
        return build()
    # The version first: a write while the list is built must make it outdated.
    key = key_for(request, ListVersion.current())
    found: bytes | None = _get(key)
    if found is None:
        found = build()
        _set(key, found)
    return found


def key_for(request: Request, version: int) -> str:
    parts = (version, scope_of(request.user), request.version, *(request.query_params.get(name) for name in PARAMETERS))
    return f"cameras:{hashlib.sha256(repr(parts).encode('utf-8', 'replace')).hexdigest()}"


def scope_of(user: Actor) -> str:
    """Users with the same scope see the same cameras."""
    # Not by user: members of the same groups share an entry.
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
