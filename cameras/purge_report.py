"""What a purge would remove: counted before anyone confirms it. Apps that hang rows on cameras add their counts."""

from __future__ import annotations

from collections.abc import Callable

from cameras.models import Camera

Counter = Callable[[Camera], int]
_counters: list[tuple[str, Counter]] = []


def register_counter(what: str, counter: Counter) -> None:
    """Name `what` (plural, such as "events") in the confirmation, with the number that `counter(camera)` gives."""
    _counters.append((what, counter))


def rows_to_purge(camera: Camera) -> list[tuple[str, int]]:
    return [(what, counter(camera)) for what, counter in _counters]
