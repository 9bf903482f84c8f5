"""Slots in a page that apps above fill: a lower app's page asks for its panels without knowing who brings them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from typing import Any

from django.http import HttpRequest
from django.utils.safestring import SafeString

Panel = Callable[[HttpRequest, Any], SafeString | None]
_panels: dict[str, list[tuple[int, Panel]]] = defaultdict(list)


def add(slot: str, panel: Panel, *, order: int) -> None:
    """Fill `slot` with what `panel(request, subject)` renders; None leaves it out."""
    _panels[slot].append((order, panel))
    _panels[slot].sort(key=lambda pair: pair[0])


def render(slot: str, request: HttpRequest, subject: Any) -> list[SafeString]:
    rendered = (panel(request, subject) for _, panel in _panels[slot])
    return [html for html in rendered if html]
