"""Slots in pages that other apps fill, so that a lower app's page can show panels of higher apps."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from typing import Any

from django.http import HttpRequest
from django.utils.safestring import SafeString

Panel = Callable[[HttpRequest, Any], SafeString | None]
_panels: dict[str, list[tuple[int, Panel]]] = defaultdict(list)


def add(slot: str, panel: Panel, *, order: int) -> None:
    """Add `panel(request, subject)`, which returns HTML or None, to `slot`."""
    _panels[slot].append((order, panel))
    _panels[slot].sort(key=lambda pair: pair[0])


def render(slot: str, request: HttpRequest, subject: Any) -> list[SafeString]:
    rendered = (panel(request, subject) for _, panel in _panels[slot])
    return [html for html in rendered if html]
