"""Counts the rows that a purge would delete, for its confirmation page. Apps register counters for their own rows."""

from __future__ import annotations

from collections.abc import Callable

from cameras.models import Camera

Counter = Callable[[Camera], int]
_counters: list[tuple[str, Counter]] = []


def register_counter(what: str, counter: Counter) -> None:
    """Show the number that `counter(camera)` returns in the confirmation; `what` is its label, such as "events"."""
    _counters.append((what, counter))


def rows_to_purge(camera: Camera) -> list[tuple[str, int]]:
    return [(what, counter(camera)) for what, counter in _counters]
