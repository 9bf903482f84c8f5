"""A camera's day as one band: its events, and the spans in which nothing could be seen, with their reasons."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from heapq import merge
from operator import itemgetter
from typing import Any

from django.db.models import QuerySet
from django.http import QueryDict

from cameras.models import Camera, CameraStatus
from media_serving.event_words import length_in_words
from media_serving.local_days import Span
from media_serving.models import Event
from nvr.audit.models import AuditEntry
from nvr.health.models import outages_between

MAX_EVENTS = 5000
MAX_ENTRIES = 1000
ACTIONS = ("camera_status_changed", "camera_updated")
TRACKED = ("status", "enabled", "reason")
AWAY = {CameraStatus.OFFLINE: "Offline", CameraStatus.ERROR: "Error"}
COULD_NOT_SEE = "Could not see"
BAND_PX = 1440  # the band's own units: a minute of a plain day
NARROWEST_PX = 720  # on a screen, where the band is as narrow as it gets
SMALLEST_SHARE = 3 / NARROWEST_PX  # of the band: an event is at least three pixels wide there,
NEAR_SHARE = 1 / NARROWEST_PX  # and one apart from the next, or they are drawn as one
SMALLEST_PX = SMALLEST_SHARE * BAND_PX
ZOOMS = {"6": 6, "1": 1}  # hours


@dataclass(frozen=True)
class Gap:
    """A span of the day in which nothing could be seen; `reason` may be empty."""

    span: Span
    word: str
    reason: str
    level: str  # which colour, of those that mean a state
    goes_on: bool = False


@dataclass(frozen=True)
class Spell:
    """Events so close together that the band shows them as one; `event_id` is the newest one's."""

    span: Span
    event_id: int
    count: int
    classes: frozenset[str]
    reviewed: bool  # all of them

    def with_earlier(self, span: Span, classes: Iterable[str], *, reviewed: bool) -> Spell:
        whole = Span(min(self.span.start, span.start), max(self.span.end, span.end))
        return Spell(
            whole, self.event_id, self.count + 1, self.classes.union(classes), reviewed=self.reviewed and reviewed
        )


@dataclass(frozen=True)
class Mark:
    """Where a span lies in the band, in its own units."""

    x: float
    width: float
    title: str
    event_id: int | None = None
    reviewed: bool = False
    level: str = ""


@dataclass(frozen=True)
class Zoom:
    """The part of the day that the band shows: `hours` from the hour number `first` on; all of it if `hours` is 0."""

    span: Span
    hours: int = 0
    first: int = 0

    @property
    def ticks(self) -> list[datetime]:
        """Where the scale below the band has its numbers."""
        count = 4 if not self.hours else 6
        return [self.span.start + number * (self.span.end - self.span.start) / count for number in range(count)]


def zoom_asked_for(day: Span, hours: list[Span], query: QueryDict, now: datetime) -> Zoom:
    """Without `at`, around now, or from the day's middle on. A value that makes no sense shows the whole day."""
    length = ZOOMS.get(query.get("zoom", ""), 0)
    if not length:
        return Zoom(day)
    inside = next((number for number, hour in enumerate(hours) if hour.start <= now < hour.end), 12)
    text = query.get("at", "")
    wanted = int(text) if text.isascii() and text.isdigit() and len(text) <= 2 else inside // length * length
    first = max(0, min(wanted, len(hours) - length))
    return Zoom(Span(hours[first].start, hours[first + length - 1].end), length, first)


def gaps_of(camera: Camera, day: Span, now: datetime) -> list[Gap]:
    """Oldest first; what lies ahead of `now` is no gap. Four queries."""
    past = Span(day.start, min(day.end, now))
    if past.end <= past.start:
        return []
    found = [*_before_it_was_added(camera, past), *_outages(past)]
    known = Span(max(past.start, camera.created_at), past.end)
    if known.start < known.end:
        found += _camera_away(camera, known)
    found = [replace(gap, goes_on=gap.span.end == now) for gap in found]
    return sorted(found, key=lambda gap: gap.span.start)


def newest_of(camera: Camera, day: Span, count: int) -> list[Event]:
    """The newest `count` events of the day, without their notes."""
    rows = list(_events(camera, day).defer("notes")[:count])
    for row in rows:
        row.camera = camera  # known: it need not be asked for
    return rows


def spells_of(camera: Camera, day: Span) -> list[Spell]:
    """The day's events, newest first, those that the band cannot tell apart together; of very many the newest.

    Of a part of the day, the band can tell more of them apart.
    """
    smallest, near = ((day.end - day.start) * share for share in (SMALLEST_SHARE, NEAR_SHARE))
    rows = _events(camera, day).values_list("pk", "started_at", "last_detected_at", "reviewed", "object_classes")
    spells: list[Spell] = []
    for pk, start, end, reviewed, classes in rows[:MAX_EVENTS]:
        if spells and spells[-1].span.start - max(end, start + smallest) < near:
            spells[-1] = spells[-1].with_earlier(Span(start, end), classes, reviewed=reviewed)
        else:
            spells.append(Spell(Span(start, end), pk, 1, frozenset(classes), reviewed=reviewed))
    return spells


def count_of(camera: Camera, day: Span, spells: Iterable[Spell]) -> int:
    """How many events the day has, also those that are not among its `spells`."""
    drawn = sum(spell.count for spell in spells)
    return drawn if drawn < MAX_EVENTS else _events(camera, day).count()


def event_marks(spells: Iterable[Spell], day: Span, camera: Camera) -> list[Mark]:
    return [_event_mark(spell, day, camera) for spell in spells]


def gap_marks(gaps: Iterable[Gap], day: Span) -> list[Mark]:
    shown = (gap for gap in gaps if gap.span.start < day.end and gap.span.end > day.start)
    return [Mark(*_place(gap.span, day), title=gap.word, level=gap.level) for gap in shown]


def legend_of(marks: Iterable[Mark]) -> dict[str, list[str]]:
    """What the band's gaps mean, of those that it shows, each meaning with the levels it is coloured by."""
    found: dict[str, list[str]] = {}
    for mark in marks:
        levels = found.setdefault(mark.title if mark.level == "none" else COULD_NOT_SEE, [])
        if mark.level not in levels:
            levels.append(mark.level)
    return found


def now_mark(now: datetime, day: Span) -> float | None:
    """Where the band is now; None on another day."""
    return _place(Span(now, now), day)[0] if day.start <= now < day.end else None


def _events(camera: Camera, day: Span) -> QuerySet[Event]:
    return Event.objects.filter(camera=camera).overlapping(day.start, day.end)


def _event_mark(spell: Spell, day: Span, camera: Camera) -> Mark:
    x, width = _place(spell.span, day)
    width = max(width, SMALLEST_PX)
    return Mark(min(x, BAND_PX - width), width, _title(spell, camera), spell.event_id, reviewed=spell.reviewed)


def _title(spell: Spell, camera: Camera) -> str:
    found = ", ".join(sorted(spell.classes))
    begin, end = (moment.astimezone(camera.zone) for moment in (spell.span.start, spell.span.end))
    if spell.count == 1:
        return f"{begin:%H:%M:%S}, {length_in_words(end - begin)}: {found}"
    return f"{begin:%H:%M} to {end:%H:%M}, {spell.count} events: {found}"


def _place(span: Span, day: Span) -> tuple[float, float]:
    scale = BAND_PX / (day.end - day.start).total_seconds()
    start, end = (min(max(at, day.start), day.end) for at in (span.start, span.end))
    return round((start - day.start).total_seconds() * scale, 2), round((end - start).total_seconds() * scale, 2)


def _before_it_was_added(camera: Camera, day: Span) -> Iterator[Gap]:
    if camera.created_at > day.start:
        yield Gap(Span(day.start, min(camera.created_at, day.end)), "Not here yet", "It was added later.", "none")


def _outages(day: Span) -> list[Gap]:
    spans = outages_between(day.start, day.end)
    return [Gap(Span(start, end), "NVR was not running", "", "warn") for start, end in spans]


def _camera_away(camera: Camera, day: Span) -> Iterator[Gap]:
    """From the audit: what a change says it changed from tells how it was before, else it is as it is now."""
    entries = list(_changes(camera, day.start))
    state = {"status": camera.status, "enabled": camera.enabled, "reason": camera.status_reason}
    for _, changes in reversed(entries):
        state |= {name: before for name, (before, _) in changes.items()}
    moments = [(day.start, dict(state))]
    for at, changes in entries:
        state |= {name: after for name, (_, after) in changes.items()}
        moments.append((at, dict(state)))
    ends = [*(at for at, _ in moments[1:]), day.end]
    yield from _joined(day, [(Span(at, end), state) for (at, state), end in zip(moments, ends, strict=True)])


def _changes(camera: Camera, since: datetime) -> Iterator[tuple[datetime, dict[str, list[Any]]]]:
    rows = AuditEntry.objects.filter(target_type="camera", target_pk=camera.pk, at__gte=since).order_by("at", "pk")
    # Each by itself: a camera that comes and goes has thousands of the one, and what people changed is the other.
    found = (rows.filter(action=action).values_list("at", "pk", "changes")[:MAX_ENTRIES] for action in ACTIONS)
    for at, _, changes in merge(*found, key=itemgetter(0, 1)):
        tracked = {name: changes[name] for name in TRACKED if name in changes}
        if tracked:
            yield at, tracked


def _joined(day: Span, states: list[tuple[Span, dict[str, Any]]]) -> Iterator[Gap]:
    """The gaps among `states`; neighbours that say the same are one, and what lies outside the day is left out."""
    last: Gap | None = None
    for span, state in states:
        gap = _gap(Span(max(span.start, day.start), min(span.end, day.end)), state)
        if gap and last and (last.word, last.reason, last.span.end) == (gap.word, gap.reason, gap.span.start):
            last = Gap(Span(last.span.start, gap.span.end), gap.word, gap.reason, gap.level)
            continue
        if last:
            yield last
        last = gap
    if last:
        yield last


def _gap(span: Span, state: dict[str, Any]) -> Gap | None:
    if span.end <= span.start:
        return None
    if not state["enabled"]:
        return Gap(span, "Disabled", "", "none")
    if state["status"] not in AWAY:
        return None
    level = "bad" if state["status"] == CameraStatus.ERROR else "warn"
    return Gap(span, AWAY[state["status"]], str(state["reason"] or ""), level)
