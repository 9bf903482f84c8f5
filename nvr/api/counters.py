"""The cache in which django-ratelimit counts: what it and the shared cache do not do themselves.

- Errors: django-ratelimit passes an error of its cache on, so that every request would fail. Here each process counts
  for itself while the shared cache does not answer: limits that are somewhat too high are better than none, and than
  locking users out.
- Cost: a request that is counted in the shared cache writes to the disk, which costs a tenth of a short response
  with one process, and a third when several wait for each other. So a process reserves numbers in blocks of 1/200 of
  the limit and uses them up itself. Each number is used once, so a limit is never exceeded, and limits below 400 are
  counted one by one.
"""

from __future__ import annotations

import logging
import sqlite3
import threading
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any, TypeVar

from django.conf import settings
from django.core.cache import caches
from django.core.cache.backends.base import BaseCache

logger = logging.getLogger(__name__)
ResultT = TypeVar("ResultT")

LONGEST_WINDOW_S = 86_400
BLOCKS_PER_LIMIT = 200

CACHE_FAULTS: tuple[type[Exception], ...] = (OSError, sqlite3.Error)
if settings.REDIS_URL:  # importing its client is slow
    from django_redis.exceptions import ConnectionInterrupted
    from redis.exceptions import RedisError

    CACHE_FAULTS += (ConnectionInterrupted, RedisError)

# The limit of the request that is being counted: django-ratelimit does not pass it to the cache.
current_limit: ContextVar[int] = ContextVar("current_limit", default=1)
_reserving = [threading.Lock() for _ in range(64)]


class CounterCache(BaseCache):
    """The methods that django-ratelimit calls. The numbers that a process has reserved are in its `process` cache."""

    def __init__(self, location: str, params: dict[str, Any]) -> None:
        super().__init__(params)

    def add(self, key: str, value: Any, timeout: Any = None, version: int | None = None) -> bool:
        if f"reserved:{key}" in caches["process"]:
            return False
        return shared_or_local(lambda cache: cache.add(key, value, timeout))

    def incr(self, key: str, delta: int = 1, version: int | None = None) -> int:
        process = caches["process"]
        # Without a lock, each of the threads that find no number left would reserve a block; one lock for all
        # counters would make every client wait while the shared cache does not answer.
        with _reserving[hash(key) % len(_reserving)]:
            numbers = process.get(f"reserved:{key}")
            if not numbers:
                size = max(1, current_limit.get() // BLOCKS_PER_LIMIT)
                last = shared_or_local(lambda cache: increased(cache, key, size))
                numbers = range(last - size + 1, last + 1)
            process.set(f"reserved:{key}", numbers[1:], LONGEST_WINDOW_S)
        return int(numbers[0])

    def get(self, key: str, default: Any = None, version: int | None = None) -> Any:
        return shared_or_local(lambda cache: cache.get(key, default))


def increased(cache: BaseCache, key: str, size: int) -> int:
    """Increase the counter and return it; one that was evicted, or that this cache never had, starts at `size`.

    Its window's length is not known here: a counter that expired before its window ends would start again.
    """
    try:
        return cache.incr(key, size)
    except ValueError:
        return size if cache.add(key, size, LONGEST_WINDOW_S) else cache.incr(key, size)


def shared_or_local(use: Callable[[BaseCache], ResultT]) -> ResultT:
    """Use the shared cache, or, while that fails, this process's memory."""
    try:
        return use(caches["default"])
    except CACHE_FAULTS as error:
        logger.warning("cache away, limits are counted per process: %s", type(error).__name__)
    return use(caches["process"])
