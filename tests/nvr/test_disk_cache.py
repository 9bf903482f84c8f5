"""The cache on disk: what it does while nobody can write to it."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.core.cache import caches
from rest_framework.test import APIClient

from nvr.api.counters import CACHE_FAULTS, CounterCache
from nvr.disk_cache import DiskCache
from tests.disks import fill, small_disk

TIMEOUT_S = 0.1


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "cache"


@pytest.fixture
def cache(folder: Path) -> Iterator[DiskCache]:
    cache = DiskCache(str(folder), {"SHARDS": 1, "DATABASE_TIMEOUT": TIMEOUT_S})
    yield cache
    cache._cache.close()


@pytest.fixture
def held(cache: DiskCache, folder: Path) -> Iterator[None]:
    """Another process has begun to write, and was stopped."""
    cache.set("old", 1)
    with_lock = sqlite3.connect(folder / "000/cache.db", isolation_level=None)
    with_lock.execute("BEGIN IMMEDIATE")
    yield
    with_lock.execute("ROLLBACK")
    with_lock.close()


@pytest.mark.parametrize("method", ["add", "set", "incr"])
def test_a_failed_write_raises_an_error_soon(cache: DiskCache, held: None, method: str) -> None:
    arguments: tuple[Any, ...] = ("old",) if method == "incr" else ("new", 1)
    started = time.monotonic()

    with pytest.raises(TimeoutError, match="is unavailable"):
        getattr(cache, method)(*arguments)

    assert time.monotonic() - started < 10 * TIMEOUT_S


def test_delete_and_touch_fail_without_an_error(cache: DiskCache, held: None) -> None:
    assert not cache.delete("old")
    assert not cache.touch("old", 60)


def test_reads_still_work(cache: DiskCache, held: None) -> None:
    assert cache.get("old") == 1
    assert cache.add("old", 2) is False


def test_the_cache_works_again_without_a_restart(cache: DiskCache, folder: Path) -> None:
    cache.set("key", 0)
    other = sqlite3.connect(folder / "000/cache.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(TimeoutError):
        cache.set("key", 1)

    other.execute("ROLLBACK")
    cache.set("key", 2)

    assert cache.get("key") == 2
    assert cache.incr("key") == 3


def test_limits_are_counted_while_the_cache_is_locked(
    cache: DiskCache, held: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nvr.api.counters.caches", {"default": cache, "process": caches["process"]})
    limits = CounterCache("", {})

    limits.add("held", 1, 60)

    assert [limits.incr("held") for _ in range(3)] == [2, 3, 4]


def test_an_existing_count_continues_while_the_cache_is_locked(
    cache: DiskCache, held: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nvr.api.counters.caches", {"default": cache, "process": caches["process"]})
    limits = CounterCache("", {})

    assert [limits.incr("old") for _ in range(3)] == [1, 2, 3]  # neither refused nor uncounted


def test_requests_are_answered_while_the_cache_is_locked(
    cache: DiskCache, held: None, api: APIClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(caches._connections, "default", cache, raising=False)

    assert api.get("/api/cameras").status_code == 200
    assert api.get("/api/cameras").status_code == 200


def test_a_process_starts_on_a_full_disk_and_caches_later(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", megabytes=1) as disk:
        rubbish = fill(disk)
        cache = DiskCache(str(disk / "cache"), {"SHARDS": 1, "DATABASE_TIMEOUT": TIMEOUT_S})  # as any worker does
        with pytest.raises(CACHE_FAULTS):
            cache.get("key")

        rubbish.unlink()
        cache.set("key", 1)

        assert cache.get("key") == 1
        cache._cache.close()
