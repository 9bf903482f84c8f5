"""A camera's day as a timeline: its events, and the gaps without footage with their reasons."""

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
from media_serving.event_words import duration_in_words
from media_serving.local_days import TimeRange
from media_serving.models import Event
from nvr.audit.models import AuditEntry
from nvr.health.models import outages_between

MAX_EVENTS = 5000
MAX_ENTRIES = 1000
ACTIONS = ("camera_status_changed", "camera_updated")
TRACKED = ("status", "enabled", "reason")
OUTAGE_LABELS = {CameraStatus.OFFLINE: "Offline", CameraStatus.ERROR: "Error"}
NO_FOOTAGE = "No footage"
TIMELINE_WIDTH = 1440  # in SVG units: one per minute of a 24-hour day
MIN_SCREEN_PX = 720  # the smallest width of the timeline on a screen
MIN_EVENT_SHARE = 3 / MIN_SCREEN_PX  # of the timeline: an event is at least three pixels wide there,
MIN_GAP_SHARE = 1 / MIN_SCREEN_PX  # and events less than one pixel apart are drawn as one
MIN_EVENT_WIDTH = MIN_EVENT_SHARE * TIMELINE_WIDTH
ZOOMS = {"6": 6, "1": 1}  # hours


@dataclass(frozen=True)
class Gap:
    """A time range without footage; `reason` may be empty."""

    time_range: TimeRange
    label: str
    reason: str
    level: str  # the status color
    is_ongoing: bool = False


@dataclass(frozen=True)
class EventGroup:
    """Events so close together that the timeline shows them as one; `event_id` is that of the newest."""

    time_range: TimeRange
    event_id: int
    count: int
    classes: frozenset[str]
    reviewed: bool  # all of them

    def with_earlier(self, time_range: TimeRange, classes: Iterable[str], *, reviewed: bool) -> EventGroup:
        whole = TimeRange(min(self.time_range.start, time_range.start), max(self.time_range.end, time_range.end))
        return EventGroup(
            whole, self.event_id, self.count + 1, self.classes.union(classes), reviewed=self.reviewed and reviewed
        )


@dataclass(frozen=True)
class Mark:
    """A mark on the timeline, in SVG units."""

    x: float
    width: float
    title: str
    event_id: int | None = None
    reviewed: bool = False
    level: str = ""


@dataclass(frozen=True)
class Zoom:
    """The visible part of the day: `hours` from hour number `first` on; the whole day if `hours` is 0."""

    time_range: TimeRange
    hours: int = 0
    first: int = 0

    @property
    def ticks(self) -> list[datetime]:
        """Return the times labelled on the scale."""
        count = 4 if not self.hours else 6
        return [
            self.time_range.start + number * (self.time_range.end - self.time_range.start) / count
            for number in range(count)
        ]


def zoom_from_query(day: TimeRange, hours: list[TimeRange], query: QueryDict, now: datetime) -> Zoom:
    """Return the zoom: without `at`, around now or noon. An invalid zoom shows the whole day."""
    length = ZOOMS.get(query.get("zoom", ""), 0)
    if not length:
        return Zoom(day)
    inside = next((number for number, hour in enumerate(hours) if hour.start <= now < hour.end), 12)
    text = query.get("at", "")
    requested = int(text) if text.isascii() and text.isdigit() and len(text) <= 2 else inside // length * length
    first = max(0, min(requested, len(hours) - length))
    return Zoom(TimeRange(hours[first].start, hours[first + length - 1].end), length, first)


def find_gaps(camera: Camera, day: TimeRange, now: datetime) -> list[Gap]:
    """Return gaps up to `now`, oldest first; four queries."""
    past = TimeRange(day.start, min(day.end, now))
    if past.end <= past.start:
        return []
    found = [*_before_it_was_added(camera, past), *_nvr_outages(past)]
    known = TimeRange(max(past.start, camera.created_at), past.end)
    if known.start < known.end:
        found += _camera_outages(camera, known)
    found = [replace(gap, is_ongoing=gap.time_range.end == now) for gap in found]
    return sorted(found, key=lambda gap: gap.time_range.start)


def newest_events(camera: Camera, day: TimeRange, count: int) -> list[Event]:
    """Return the newest `count` events of the day, without their notes."""
    rows = list(_events(camera, day).defer("notes")[:count])
    for row in rows:
        row.camera = camera  # avoids a query
    return rows


def event_groups(camera: Camera, day: TimeRange) -> list[EventGroup]:
    """Return the newest `MAX_EVENTS` events, newest first, grouped if the timeline cannot separate them.

    A smaller part of the day separates more events.
    """
    smallest, near = ((day.end - day.start) * share for share in (MIN_EVENT_SHARE, MIN_GAP_SHARE))
    rows = _events(camera, day).values_list("pk", "started_at", "last_detected_at", "reviewed", "object_classes")
    groups: list[EventGroup] = []
    for pk, start, end, reviewed, classes in rows[:MAX_EVENTS]:
        if groups and groups[-1].time_range.start - max(end, start + smallest) < near:
            groups[-1] = groups[-1].with_earlier(TimeRange(start, end), classes, reviewed=reviewed)
        else:
            groups.append(EventGroup(TimeRange(start, end), pk, 1, frozenset(classes), reviewed=reviewed))
    return groups


def count_events(camera: Camera, day: TimeRange, groups: Iterable[EventGroup]) -> int:
    """Return the number of events of the day, including those not in `groups`."""
    # Counting all is only needed if there are more than were read.
    drawn = sum(group.count for group in groups)
    return drawn if drawn < MAX_EVENTS else _events(camera, day).count()


def event_marks(groups: Iterable[EventGroup], day: TimeRange, camera: Camera) -> list[Mark]:
    return [_event_mark(group, day, camera) for group in groups]


def gap_marks(gaps: Iterable[Gap], day: TimeRange) -> list[Mark]:
    shown = (gap for gap in gaps if gap.time_range.start < day.end and gap.time_range.end > day.start)
    return [Mark(*_position(gap.time_range, day), title=gap.label, level=gap.level) for gap in shown]


def legend(marks: Iterable[Mark]) -> dict[str, list[str]]:
    """Return the legend of the visible gaps: each meaning with the levels that color it."""
    found: dict[str, list[str]] = {}
    for mark in marks:
        levels = found.setdefault(mark.title if mark.level == "none" else NO_FOOTAGE, [])
        if mark.level not in levels:
            levels.append(mark.level)
    return found


def now_mark(now: datetime, day: TimeRange) -> float | None:
    """Return the position of `now` on the timeline; None on another day."""
    return _position(TimeRange(now, now), day)[0] if day.start <= now < day.end else None


def _events(camera: Camera, day: TimeRange) -> QuerySet[Event]:
    return Event.objects.filter(camera=camera).overlapping(day.start, day.end)


def _event_mark(group: EventGroup, day: TimeRange, camera: Camera) -> Mark:
    x, width = _position(group.time_range, day)
    width = max(width, MIN_EVENT_WIDTH)
    return Mark(min(x, TIMELINE_WIDTH - width), width, _title(group, camera), group.event_id, reviewed=group.reviewed)


def _title(group: EventGroup, camera: Camera) -> str:
    found = ", ".join(sorted(group.classes))
    begin, end = (timestamp.astimezone(camera.zone) for timestamp in (group.time_range.start, group.time_range.end))
    if group.count == 1:
        return f"{begin:%H:%M:%S}, {duration_in_words(end - begin)}: {found}"
    return f"{begin:%H:%M} to {end:%H:%M}, {group.count} events: {found}"


def _position(time_range: TimeRange, day: TimeRange) -> tuple[float, float]:
    """Return x and width on the timeline, clipped to the day."""
    scale = TIMELINE_WIDTH / (day.end - day.start).total_seconds()
    start, end = (min(max(at, day.start), day.end) for at in (time_range.start, time_range.end))
    return round((start - day.start).total_seconds() * scale, 2), round((end - start).total_seconds() * scale, 2)


def _before_it_was_added(camera: Camera, day: TimeRange) -> Iterator[Gap]:
    if camera.created_at > day.start:
        yield Gap(
            TimeRange(day.start, min(camera.created_at, day.end)),
            "Not added yet",
            "The camera was added later.",
            "none",
        )


def _nvr_outages(day: TimeRange) -> list[Gap]:
    spans = outages_between(day.start, day.end)
    return [Gap(TimeRange(start, end), "NVR was not running", "", "warn") for start, end in spans]


def _camera_outages(camera: Camera, day: TimeRange) -> Iterator[Gap]:
    """Reconstruct the gaps from the audit: old values of changes give the earlier state, else the current one."""
    entries = list(_changes(camera, day.start))
    # Backwards from the current state, as the audit contains only changes.
    state = {"status": camera.status, "enabled": camera.enabled, "reason": camera.status_reason}
    for _, changes in reversed(entries):
        state |= {name: before for name, (before, _) in changes.items()}
    states = [(day.start, dict(state))]
    for at, changes in entries:
        state |= {name: after for name, (_, after) in changes.items()}
        states.append((at, dict(state)))
    ends = [*(at for at, _ in states[1:]), day.end]
    yield from _joined(day, [(TimeRange(at, end), state) for (at, state), end in zip(states, ends, strict=True)])


def _changes(camera: Camera, since: datetime) -> Iterator[tuple[datetime, dict[str, list[Any]]]]:
    rows = AuditEntry.objects.filter(target_type="camera", target_pk=camera.pk, at__gte=since).order_by("at", "pk")
    # A query per action: an unstable camera has thousands of status changes, which would hide changes by users.
    found = (rows.filter(action=action).values_list("at", "pk", "changes")[:MAX_ENTRIES] for action in ACTIONS)
    for at, _, changes in merge(*found, key=itemgetter(0, 1)):
        tracked = {name: changes[name] for name in TRACKED if name in changes}
        if tracked:
            yield at, tracked


def _joined(day: TimeRange, states: list[tuple[TimeRange, dict[str, Any]]]) -> Iterator[Gap]:
    """Yield the gaps among `states` within the day; adjacent equal gaps are merged."""
    last: Gap | None = None
    for time_range, state in states:
        gap = _gap(TimeRange(max(time_range.start, day.start), min(time_range.end, day.end)), state)
        if (
            gap
            and last
            and (last.label, last.reason, last.time_range.end) == (gap.label, gap.reason, gap.time_range.start)
        ):
            last = Gap(TimeRange(last.time_range.start, gap.time_range.end), gap.label, gap.reason, gap.level)
            continue
        if last:
            yield last
        last = gap
    if last:
        yield last


def _gap(time_range: TimeRange, state: dict[str, Any]) -> Gap | None:
    if time_range.end <= time_range.start:
        return None
    if not state["enabled"]:
        return Gap(time_range, "Disabled", "", "none")
    if state["status"] not in OUTAGE_LABELS:
        return None
    level = "bad" if state["status"] == CameraStatus.ERROR else "warn"
    return Gap(time_range, OUTAGE_LABELS[state["status"]], str(state["reason"] or ""), level)
