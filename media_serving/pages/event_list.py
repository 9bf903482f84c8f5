"""The list of events: its query, its filter chips, and the events before and after one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from django.db.models import Q, QuerySet
from django.http import QueryDict
from django.urls import reverse
from django.utils.formats import date_format

from cameras.models import Camera
from media_serving.api.filters import filtered_events
from media_serving.event_words import class_label
from media_serving.local_days import DAY, MAX_DAY, MIN_DAY, TimeRange, day_range, parse_day
from media_serving.models import Event
from media_serving.pages.event_cards import Card, by_day, cards_of, with_camera
from nvr.api.pagination import KeysetPage
from nvr.audit.actor import Actor
from nvr.errors import Invalid

FILTERS = ("camera_id", "object_class", "reviewed", "day", "from", "to", "q")
MINUTE = timedelta(minutes=1)  # times are entered without seconds
PAGE_EVENTS = 30
MAX_EVENTS = 200
MAX_CHIPS = 6  # of cameras and of classes; more are offered in a list
MAX_EVENTS_FOR_CLASSES = 200
CHOSEN_BY_LIST = {"camera_id", "object_class"}
Choices = list[tuple[str, str]]
Zones = dict[str, ZoneInfo]
API_FILTERS = ("camera_id", "object_class", "reviewed", "q")
TYPED = ("day", "from", "to", "q")  # in the page's text fields


@dataclass(frozen=True)
class EventQuery:
    """The filters in the query string; empty values are ignored."""

    query: dict[str, str]

    @classmethod
    def parse(cls, query: QueryDict) -> EventQuery:
        given = ((name, query.get(name)) for name in FILTERS)
        return cls({name: value for name, value in given if value})

    def address(self, **changes: str | None) -> str:
        """Return the list's URL with `changes`; None removes a filter."""
        return f"{reverse('events')}{_query_of({**self.query, **changes})}"

    def event_address(self, event_id: int, **more: str) -> str:
        return f"{reverse('event', args=[event_id])}{_query_of(self.query | more)}"

    @property
    def suffix(self) -> str:
        """The filters as a query string."""
        return _query_of(self.query)

    def api_address(self, limit: int) -> str:
        """Return the URL that the script polls for changes of the list's first page."""
        known = {name: value for name, value in self.query.items() if name in API_FILTERS}
        return f"{reverse('api_events')}{_query_of(known | {'limit': str(limit)})}"

    def with_day(self, day: date | None) -> EventQuery:
        others = {name: value for name, value in self.query.items() if name != "day"}
        return EventQuery(others | ({"day": day.isoformat()} if day else {}))

    @property
    def day(self) -> date | None:
        return parse_day(self.query["day"]) if "day" in self.query else None

    def clock_time(self, name: str) -> datetime | None:
        """Return `from` or `to`, without a zone if it means each camera's local time. Raises `Invalid`."""
        text = self.query.get(name)
        if text is None:
            return None
        try:
            timestamp = datetime.fromisoformat(text)
        except ValueError:
            raise Invalid.field(name, "must be a date and time, as in 2026-01-31T22:00.") from None
        if not MIN_DAY <= timestamp.date() <= MAX_DAY:
            raise Invalid.field(name, f"must be from {MIN_DAY} to {MAX_DAY}.")
        return timestamp


def _query_of(query: Mapping[str, str | None]) -> str:
    given = {name: value for name, value in query.items() if value is not None}
    return f"?{urlencode(given)}" if given else ""


def matching_events(user: Actor, event_query: EventQuery) -> QuerySet[Event]:
    """Return events visible to `user`; a day is local to each camera. Raises `Invalid`."""
    rows = _of_any_day(user, event_query)
    return rows if event_query.day is None else rows.filter(_started_on(event_query.day, camera_zones(user)))


def _of_any_day(user: Actor, event_query: EventQuery) -> QuerySet[Event]:
    query = QueryDict(mutable=True)
    query.update({name: value for name, value in event_query.query.items() if name not in {"from", "to"}})
    rows = filtered_events(user, query)
    start, end = event_query.clock_time("from"), event_query.clock_time("to")
    if start is None and end is None:
        return rows
    if start and end and start.replace(tzinfo=None) > end.replace(tzinfo=None):
        raise Invalid.field("to", "must not be before `from`.")
    return rows.filter(_overlapping(start, end, camera_zones(user)))


def _overlapping(start: datetime | None, end: datetime | None, zones: Zones) -> Q:
    """Match events that overlap these times, local to each camera, both included."""
    found = Q(pk__in=[])
    for name, zone in zones.items():
        fits = Q(camera__time_zone=name)
        if start is not None:
            fits &= Q(last_detected_at__gte=_by_clock(start, zone))
        if end is not None:
            fits &= Q(started_at__lt=_by_clock(end, zone) + MINUTE)
        found |= fits
    return found


def _by_clock(timestamp: datetime, zone: ZoneInfo) -> datetime:
    return timestamp if timestamp.tzinfo else timestamp.replace(tzinfo=zone)


def _started_on(day: date, zones: Zones) -> Q:
    time_ranges = day_ranges(day, zones)
    if not time_ranges:
        return Q(pk__in=[])
    started = Q()
    for name, time_range in time_ranges.items():
        started |= Q(camera__time_zone=name, started_at__gte=time_range.start, started_at__lt=time_range.end)
    # A condition for all zones lets the index on the time be used.
    earliest, latest = (
        min(time_range.start for time_range in time_ranges.values()),
        max(time_range.end for time_range in time_ranges.values()),
    )
    return started & Q(started_at__gte=earliest, started_at__lt=latest)


def camera_zones(user: Actor) -> Zones:
    """Return the time zones of the cameras that `user` may see, by name."""
    cameras = Camera.objects.visible_to(user).order_by("time_zone", "pk").only("time_zone")
    return {camera.time_zone: camera.zone for camera in cameras}


def day_ranges(day: date, zones: Zones) -> dict[str, TimeRange]:
    return {name: day_range(day, zone) for name, zone in zones.items()}


def page_of_events(user: Actor, query: QueryDict) -> dict[str, Any]:
    """Return the template context of the list; the number of queries is constant."""
    event_query = EventQuery.parse(query)
    page = KeysetPage(
        with_camera(matching_events(user, event_query)),
        query,
        timestamp_field="started_at",
        default_limit=PAGE_EVENTS,
        max_limit=MAX_EVENTS,
    )
    cards = cards_of(page.items, event_query.event_address)
    cameras = list(Camera.objects.visible_to(user).values_list("slug", "name"))
    zones, classes = zones_of(cards), class_choices(user, event_query)
    return {
        "days": by_day(cards),
        "zones": zones,
        "several_zones": len(zones) > 1,
        "filters": chips(event_query, cameras, classes),
        "query": event_query.query,
        "choices": choices(event_query, cameras, classes),
        "other_filters": [
            (name, value) for name, value in event_query.query.items() if name not in {*TYPED, *CHOSEN_BY_LIST}
        ],
        "range": {"from": event_query.query.get("from", ""), "to": event_query.query.get("to", "")},
        "adjacent_days": [
            (day, event_query.with_day(day).address()) if day else None for day in adjacent_days(user, event_query)
        ],
        "all_url": event_query.address(**dict.fromkeys(FILTERS)),
        "api_url": event_query.api_address(page.limit) if "cursor" not in query else "",
        "next_url": event_query.address(cursor=page.next_cursor) if page.has_more else None,
        "newest_url": event_query.address() if "cursor" in query else None,
    }


def adjacent_days(user: Actor, event_query: EventQuery) -> list[date | None]:
    """Return the nearest days before and after the requested one with events that match the other filters."""
    if event_query.day is None:
        return []
    rows, zones = with_camera(_of_any_day(user, event_query)), camera_zones(user)
    return [adjacent_day(rows, zones, event_query.day, step) for step in (-DAY, DAY)]


def adjacent_day(rows: QuerySet[Event], zones: Zones, day: date, step: timedelta) -> date | None:
    """Return the nearest day of `rows` before or after `day` (`step`: minus or plus one day)."""
    adjacent = day + step
    if not zones or not MIN_DAY <= adjacent <= MAX_DAY:
        return None
    if rows.filter(_started_on(adjacent, zones)).exists():
        return adjacent
    time_ranges = day_ranges(adjacent, zones).values()
    if step < timedelta(0):
        nearest = rows.filter(started_at__lt=max(time_range.start for time_range in time_ranges)).first()
    else:
        later = rows.filter(started_at__gte=min(time_range.end for time_range in time_ranges))
        nearest = later.order_by("started_at", "pk").first()
    return nearest.started_at.astimezone(nearest.camera.zone).date() if nearest else None


def zones_of(cards: Iterable[Card]) -> list[str]:
    """Return the distinct time zones of the cards."""
    return sorted({str(card.zone) for card in cards})


def recent_classes(user: Actor) -> list[str]:
    """Return the classes of the newest events: searching all detections would take seconds."""
    newest = Event.objects.visible_to(user).values_list("object_classes", flat=True)[:MAX_EVENTS_FOR_CLASSES]
    return sorted({name for names in newest for name in names})


def class_choices(user: Actor, event_query: EventQuery) -> list[tuple[str, str]]:
    """Return the classes offered as filters, with their labels."""
    names = {
        *recent_classes(user),
        *([event_query.query["object_class"]] if "object_class" in event_query.query else []),
    }
    return [(name, class_label(name)) for name in sorted(names)]


def chips(event_query: EventQuery, cameras: Choices, classes: Choices) -> list[dict[str, Any]]:
    """Return the filter chips: each toggles its own filter and keeps the others."""
    found = [
        _all(event_query),
        _chip(event_query, "reviewed", "false", "Not reviewed"),
        *_chips(event_query, "object_class", classes),
        *(_chips(event_query, "camera_id", cameras) if len(cameras) > 1 else []),
    ]
    if event_query.day is not None:
        found.append(_chip(event_query, "day", event_query.query["day"], date_format(event_query.day, "j F Y")))
    found += [
        _chip(event_query, name, event_query.query[name], _typed(event_query, name))
        for name in ("from", "to", "q")
        if name in event_query.query
    ]
    return found[:1] + sorted(found[1:], key=lambda chip: not chip["pressed"])


def _typed(event_query: EventQuery, name: str) -> str:
    timestamp = None if name == "q" else event_query.clock_time(name)
    return (
        f"“{event_query.query[name]}”" if timestamp is None else f"{name.title()} {date_format(timestamp, 'j F, H:i')}"
    )


def choices(event_query: EventQuery, cameras: Choices, classes: Choices) -> list[dict[str, Any]]:
    """Return a list for each filter with too many values for chips; the other filters have no options."""
    found = []
    for name, label, values in (("object_class", "Class", classes), ("camera_id", "Camera", cameras)):
        options = values if len(values) > MAX_CHIPS else []
        found.append({"name": name, "label": label, "options": options, "chosen": event_query.query.get(name, "")})
    return found


def _chips(event_query: EventQuery, name: str, values: Choices) -> list[dict[str, Any]]:
    shown = values if len(values) <= MAX_CHIPS else [row for row in values if row[0] == event_query.query.get(name)]
    return [_chip(event_query, name, value, label) for value, label in shown]


def _all(event_query: EventQuery) -> dict[str, Any]:
    return {"label": "All", "url": event_query.address(**dict.fromkeys(FILTERS)), "pressed": not event_query.query}


def _chip(event_query: EventQuery, name: str, value: str, label: str) -> dict[str, Any]:
    pressed = event_query.query.get(name) == value
    return {"label": label, "url": event_query.address(**{name: None if pressed else value}), "pressed": pressed}


def newer_than(event: Event, rows: QuerySet[Event]) -> int | None:
    """Return the id of the next newer event among `rows`."""
    later = Q(started_at__gt=event.started_at) | Q(pk__gt=event.pk)
    return _first(rows.filter(later, started_at__gte=event.started_at).order_by("started_at", "pk"))


def older_than(event: Event, rows: QuerySet[Event]) -> int | None:
    earlier = Q(started_at__lt=event.started_at) | Q(pk__lt=event.pk)
    return _first(rows.filter(earlier, started_at__lte=event.started_at).order_by("-started_at", "-pk"))


def _first(rows: QuerySet[Event]) -> int | None:
    return rows.values_list("pk", flat=True).first()
