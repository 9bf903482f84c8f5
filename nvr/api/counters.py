"""The counters behind the rate limits: shared by all processes, and cheap where limits are high.

A process reserves numbers from the shared counter in blocks of 1/200 of the limit and uses them up itself: each
number is used once, so a limit is never exceeded, and low limits are counted one by one.

While the shared cache does not answer, each process counts separately: limits that are somewhat too high are better
than none, and than locking users out.
"""

from __future__ import annotations

import logging
import sqlite3
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, TypeVar

from django.conf import settings
from django.core.cache import caches
from django.core.cache.backends.base import BaseCache

logger = logging.getLogger(__name__)
AnswerT = TypeVar("AnswerT")

LONGEST_WINDOW_S = 86_400
BLOCKS_PER_LIMIT = 200
REMEMBERED = 4096

CACHE_FAULTS: tuple[type[Exception], ...] = (OSError, sqlite3.Error)
if settings.REDIS_URL:  # importing its client is slow
    from django_redis.exceptions import ConnectionInterrupted
    from redis.exceptions import RedisError

    CACHE_FAULTS += (ConnectionInterrupted, RedisError)

_block: ContextVar[int] = ContextVar("block", default=1)


@contextmanager
def drawn_for(limit: int) -> Iterator[None]:
    """Use a block size for `limit` requests per window within the context."""
    token = _block.set(max(1, limit // BLOCKS_PER_LIMIT))
    try:
        yield
    finally:
        _block.reset(token)


class Blocks:
    """The numbers that this process has reserved and not yet used, by counter; the least recent are dropped."""

    def __init__(self) -> None:
        self._left: OrderedDict[str, range] = OrderedDict()
        self._lock = threading.Lock()

    def knows(self, key: str) -> bool:
        with self._lock:
            return key in self._left

    def take(self, key: str) -> int | None:
        with self._lock:
            left = self._left.get(key)
            if not left:
                return None
            self._left[key] = left[1:]
            return left[0]

    def begin(self, key: str) -> None:
        """Register the counter; numbers that another thread has reserved meanwhile are kept."""
        self.keep(key, range(0), again=False)

    def keep(self, key: str, numbers: range, *, again: bool = True) -> None:
        with self._lock:
            if again or key not in self._left:
                self._left[key] = numbers
            self._left.move_to_end(key)
            while len(self._left) > REMEMBERED:
                self._left.popitem(last=False)

    def clear(self) -> None:
        with self._lock:
            self._left.clear()


_blocks = Blocks()
_drawing = [threading.Lock() for _ in range(64)]


class CounterCache(BaseCache):
    """The cache backend of django-ratelimit: `add` and `incr` as it calls them."""

    def __init__(self, location: str, params: dict[str, Any]) -> None:
        super().__init__(params)

    def add(self, key: str, value: Any, timeout: Any = None, version: int | None = None) -> bool:
        if _blocks.knows(key):
            return False
        added = bool(either(lambda cache: cache.add(key, value, timeout)))
        _blocks.begin(key)
        return added

    def incr(self, key: str, delta: int = 1, version: int | None = None) -> int:
        with _drawing[
            hash(key) % len(_drawing)
        ]:  # otherwise all threads that find a block empty would reserve one each
            number = _blocks.take(key)
            return self._drawn(key, _block.get()) if number is None else number

    def _drawn(self, key: str, size: int) -> int:
        last = either(lambda cache: raised(cache, key, size))
        _blocks.keep(key, range(last - size + 2, last + 1))
        return last - size + 1

    def get(self, key: str, default: Any = None, version: int | None = None) -> Any:
        return either(lambda cache: cache.get(key, default))

    def clear(self) -> None:
        _blocks.clear()


def raised(cache: BaseCache, key: str, size: int) -> int:
    """The counter, higher by `size`; one that was evicted, or that this cache never had, begins anew.

    Its key names its window, and nothing tells here how long that is: ending too early, it would begin again.
    """
    try:
        return cache.incr(key, size)
    except ValueError:
        return size if cache.add(key, size, LONGEST_WINDOW_S) else cache.incr(key, size)


def either(ask: Callable[[BaseCache], AnswerT]) -> AnswerT:
    """Ask the shared cache, or, while that fails, this process's memory."""
    try:
        return ask(caches["default"])
    except CACHE_FAULTS as error:
        logger.warning("cache away, limits are counted per process: %s", type(error).__name__)
    return ask(caches["process"])
