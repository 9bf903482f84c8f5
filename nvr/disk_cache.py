"""The embedded cache: diskcache, shared by all processes of one machine, its connections kept open."""

from __future__ import annotations

from functools import cached_property, partial
from typing import Any

from diskcache import DjangoCache, FanoutCache
from django.core.cache.backends.base import BaseCache

NO_ANSWER = "The cache on disk does not answer: another process holds it, or its disk cannot be written."


class DiskCache(DjangoCache):
    """Django closes every cache at the end of each request; opening SQLite anew costs more than most requests.

    A connection belongs to its thread (and process), and ends with it. It is opened by whoever first asks, since
    opening writes: on a full disk a worker must start, and find only then that there is no cache.

    diskcache begins to write again and again until it can, which on a disk that has become read-only is for ever and
    without a pause. Here whoever writes waits for `DATABASE_TIMEOUT` once, and then gets a `TimeoutError`.
    """

    def __init__(self, directory: str, params: dict[str, Any]) -> None:
        BaseCache.__init__(self, params)
        self._opened = partial(DjangoCache, directory, params)

    @cached_property
    def _cache(self) -> FanoutCache:
        """Raises `sqlite3.Error` and OSError; who asks later tries again."""
        return self._opened()._cache

    def close(self, **kwargs: Any) -> None:
        """Keep what the next request needs."""

    def add(self, *args: Any, **kwargs: Any) -> bool:
        added: bool = super().add(*args, **{**kwargs, "retry": False})
        if not added and not self.has_key(args[0], kwargs.get("version")):
            raise TimeoutError(NO_ANSWER)
        return added

    def set(self, *args: Any, **kwargs: Any) -> None:
        if not super().set(*args, **{**kwargs, "retry": False}):
            raise TimeoutError(NO_ANSWER)

    def incr(self, *args: Any, **kwargs: Any) -> int:
        value: int | None = super().incr(*args, **{**kwargs, "retry": False})
        if value is None:
            raise TimeoutError(NO_ANSWER)
        return value

    def touch(self, *args: Any, **kwargs: Any) -> bool:
        return bool(super().touch(*args, **{**kwargs, "retry": False}))

    def delete(self, *args: Any, **kwargs: Any) -> bool:
        return bool(super().delete(*args, **{**kwargs, "retry": False}))
