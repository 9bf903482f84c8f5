"""The main navigation: apps add entries in `ready()`; users see the entries that they can open."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from django.http import HttpRequest
from django.urls import reverse


@dataclass(frozen=True)
class Entry:
    """A navigation entry. `order` is ascending; `count` can return the number of pending items."""

    label: str
    url_name: str
    icon: str
    order: int
    below: str = ""  # path prefix that also counts as this entry
    allowed: Callable[[HttpRequest], bool] = lambda request: True
    count: Callable[[HttpRequest], int | None] = lambda request: None


@dataclass(frozen=True)
class Item:
    label: str
    url: str
    icon: str
    current: bool
    count: int | None


_entries: list[Entry] = []


def add(entry: Entry) -> None:
    _entries.append(entry)
    _entries.sort(key=lambda e: e.order)


def items_for(request: HttpRequest) -> list[Item]:
    return [_item(entry, request) for entry in _entries if entry.allowed(request)]


def _item(entry: Entry, request: HttpRequest) -> Item:
    url = reverse(entry.url_name)
    # The live view is at `/`, which all paths begin with.
    below = entry.below or (f"{url.rstrip('/')}/" if url != "/" else "")
    current = request.path == url or bool(below and request.path.startswith(below))
    return Item(entry.label, url, entry.icon, current, entry.count(request))


def is_staff(request: HttpRequest) -> bool:
    return bool(request.user.is_authenticated and request.user.is_staff)


add(Entry("Manage", "admin:index", "manage", order=90, allowed=is_staff))
