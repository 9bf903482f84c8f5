"""The embedded cache: diskcache with persistent connections, shared by all processes of one machine."""

from __future__ import annotations

from functools import cached_property, partial
from typing import Any

from diskcache import DjangoCache, FanoutCache
from django.core.cache.backends.base import BaseCache

UNAVAILABLE = "The cache on disk is unavailable: another process has locked it, or its disk cannot be written."


class DiskCache(DjangoCache):
    """Keeps connections open: Django closes caches after each request, but opening SQLite costs more than most of them.

    Each thread has its own connection, opened at the first access. Opening writes to the disk, and a worker must be
    able to start on a full disk.

    diskcache retries writes without a pause until they succeed, which on a read-only disk is forever. Here a write
    waits once for `DATABASE_TIMEOUT` and then raises `TimeoutError`.
    """

    def __init__(self, directory: str, params: dict[str, Any]) -> None:
        BaseCache.__init__(self, params)
        self._opened = partial(DjangoCache, directory, params)

    @cached_property
    def _cache(self) -> FanoutCache:
        """Open the cache. Raises `sqlite3.Error` and OSError; a later access retries."""
        return self._opened()._cache

    def close(self, **kwargs: Any) -> None:
        """Keep the connection open for the next request."""

    def add(self, *args: Any, **kwargs: Any) -> bool:
        added: bool = super().add(*args, **{**kwargs, "retry": False})
        if not added and not self.has_key(args[0], kwargs.get("version")):
            raise TimeoutError(UNAVAILABLE)
        return added

    def set(self, *args: Any, **kwargs: Any) -> None:
        if not super().set(*args, **{**kwargs, "retry": False}):
            raise TimeoutError(UNAVAILABLE)

    def incr(self, *args: Any, **kwargs: Any) -> int:
        value: int | None = super().incr(*args, **{**kwargs, "retry": False})
        if value is None:
            raise TimeoutError(UNAVAILABLE)
        return value

    def touch(self, *args: Any, **kwargs: Any) -> bool:
        return bool(super().touch(*args, **{**kwargs, "retry": False}))

    def delete(self, *args: Any, **kwargs: Any) -> bool:
        return bool(super().delete(*args, **{**kwargs, "retry": False}))
