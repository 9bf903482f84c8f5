"""The list of events: what its address asks for, the chips that change it, and the events before and after one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from django.db.models import Q, QuerySet
from django.http import QueryDict
from django.urls import reverse
from django.utils.formats import date_format

from cameras.models import Camera
from media_serving.api.filters import filtered_events
from media_serving.event_words import class_in_words
from media_serving.local_days import DAY, FIRST, LAST, Span, parse_day, span_of
from media_serving.models import Event
from media_serving.pages.event_cards import Card, by_day, cards_of, with_camera
from nvr.api.pagination import KeysetPage
from nvr.errors import Invalid

if TYPE_CHECKING:
    from django.contrib.auth.models import AnonymousUser, User

FILTERS = ("camera_id", "object_class", "reviewed", "day", "from", "to", "q")
MINUTE = timedelta(minutes=1)  # a time is written without its seconds
PAGE_EVENTS = 30
MAX_EVENTS = 200
MAX_CHIPS = 6  # of cameras, and of classes; more are offered by a list
EVENTS_THAT_TELL_CLASSES = 200
CHOSEN_BY_LIST = {"camera_id", "object_class"}
Choices = list[tuple[str, str]]
Zones = dict[str, ZoneInfo]
API_FILTERS = ("camera_id", "object_class", "reviewed", "q")
TYPED = ("day", "from", "to", "q")  # into the page's own fields


@dataclass(frozen=True)
class EventQuery:
    """What an address asks for, the filters only; an empty value is none."""

    query: dict[str, str]

    @classmethod
    def by(cls, query: QueryDict) -> EventQuery:
        given = ((name, query.get(name)) for name in FILTERS)
        return cls({name: value for name, value in given if value})

    def address(self, **changes: str | None) -> str:
        """The list's address with `changes`; None takes a filter away."""
        return f"{reverse('events')}{_query_of({**self.query, **changes})}"

    def event_address(self, event_id: int, **more: str) -> str:
        return f"{reverse('event', args=[event_id])}{_query_of(self.query | more)}"

    @property
    def suffix(self) -> str:
        """The filters as the end of an address."""
        return _query_of(self.query)

    def api_address(self, limit: int) -> str:
        """Where the script looks whether the list's first page is still what it was."""
        known = {name: value for name, value in self.query.items() if name in API_FILTERS}
        return f"{reverse('api_events')}{_query_of(known | {'limit': str(limit)})}"

    def with_day(self, day: date | None) -> EventQuery:
        others = {name: value for name, value in self.query.items() if name != "day"}
        return EventQuery(others | ({"day": day.isoformat()} if day else {}))

    @property
    def day(self) -> date | None:
        return parse_day(self.query["day"]) if "day" in self.query else None

    def clock_time(self, name: str) -> datetime | None:
        """`from` or `to` as the page writes it: by each camera's own clock. Raises `Invalid`."""
        text = self.query.get(name)
        if text is None:
            return None
        try:
            moment = datetime.fromisoformat(text)
        except ValueError:
            raise Invalid.field(name, "must be a date and time, as in 2026-01-31T22:00.") from None
        if not FIRST <= moment.date() <= LAST:
            raise Invalid.field(name, f"must lie from {FIRST} to {LAST}.")
        return moment


def _query_of(query: Mapping[str, str | None]) -> str:
    given = {name: value for name, value in query.items() if value is not None}
    return f"?{urlencode(given)}" if given else ""


def events_asked_for(user: User | AnonymousUser, asked: EventQuery) -> QuerySet[Event]:
    """Events of what `user` may see; a day is that of each camera's own clock. Raises `Invalid`."""
    rows = _of_any_day(user, asked)
    return rows if asked.day is None else rows.filter(_began_on(asked.day, zones_known(user)))


def _of_any_day(user: User | AnonymousUser, asked: EventQuery) -> QuerySet[Event]:
    query = QueryDict(mutable=True)
    query.update({name: value for name, value in asked.query.items() if name not in {"from", "to"}})
    rows = filtered_events(user, query)
    start, end = asked.clock_time("from"), asked.clock_time("to")
    if start is None and end is None:
        return rows
    if start and end and start.replace(tzinfo=None) > end.replace(tzinfo=None):
        raise Invalid.field("to", "must not be before `from`.")
    return rows.filter(_overlapping(start, end, zones_known(user)))


def _overlapping(start: datetime | None, end: datetime | None, zones: Zones) -> Q:
    """Events of which some lies between these times, which each camera's clock showed, both included."""
    found = Q(pk__in=[])
    for name, zone in zones.items():
        fits = Q(camera__time_zone=name)
        if start is not None:
            fits &= Q(last_detected_at__gte=_by_clock(start, zone))
        if end is not None:
            fits &= Q(started_at__lt=_by_clock(end, zone) + MINUTE)
        found |= fits
    return found


def _by_clock(moment: datetime, zone: ZoneInfo) -> datetime:
    return moment if moment.tzinfo else moment.replace(tzinfo=zone)


def _began_on(day: date, zones: Zones) -> Q:
    spans = spans_of(day, zones)
    if not spans:
        return Q(pk__in=[])
    began = Q()
    for name, span in spans.items():
        began |= Q(camera__time_zone=name, started_at__gte=span.start, started_at__lt=span.end)
    # What is true for all zones lets the index on the time be used.
    earliest, latest = min(span.start for span in spans.values()), max(span.end for span in spans.values())
    return began & Q(started_at__gte=earliest, started_at__lt=latest)


def zones_known(user: User | AnonymousUser) -> Zones:
    """The time zones of the cameras that `user` may see, by their names as cameras have them."""
    cameras = Camera.objects.visible_to(user).order_by("time_zone", "pk").only("time_zone")
    return {camera.time_zone: camera.zone for camera in cameras}


def spans_of(day: date, zones: Zones) -> dict[str, Span]:
    return {name: span_of(day, zone) for name, zone in zones.items()}


def page_of_events(user: User | AnonymousUser, query: QueryDict) -> dict[str, Any]:
    """What the list's template shows; the number of queries does not depend on the number of events."""
    asked = EventQuery.by(query)
    page = KeysetPage(
        with_camera(events_asked_for(user, asked)),
        query,
        moment="started_at",
        default_limit=PAGE_EVENTS,
        max_limit=MAX_EVENTS,
    )
    cards = cards_of(page.items, asked.event_address)
    cameras = list(Camera.objects.visible_to(user).values_list("slug", "name"))
    zones, classes = zones_of(cards), classes_offered(user, asked)
    return {
        "days": by_day(cards),
        "zones": zones,
        "several_zones": len(zones) > 1,
        "filters": chips(asked, cameras, classes),
        "asked": asked.query,
        "choices": choices(asked, cameras, classes),
        "other_filters": [
            (name, value) for name, value in asked.query.items() if name not in {*TYPED, *CHOSEN_BY_LIST}
        ],
        "range": {"from": asked.query.get("from", ""), "to": asked.query.get("to", "")},
        "beside": [(day, asked.with_day(day).address()) if day else None for day in days_beside(user, asked)],
        "all_url": asked.address(**dict.fromkeys(FILTERS)),
        "api_url": asked.api_address(page.limit) if "cursor" not in query else "",
        "next_url": asked.address(cursor=page.next_cursor) if page.has_more else None,
        "newest_url": asked.address() if "cursor" in query else None,
    }


def days_beside(user: User | AnonymousUser, asked: EventQuery) -> list[date | None]:
    """The nearest days before and after the one asked for that have events which fit the other filters."""
    if asked.day is None:
        return []
    rows, zones = with_camera(_of_any_day(user, asked)), zones_known(user)
    return [day_beside(rows, zones, asked.day, step) for step in (-DAY, DAY)]


def day_beside(rows: QuerySet[Event], zones: Zones, day: date, step: timedelta) -> date | None:
    """The nearest day of `rows` before or after `day` (`step`: minus or plus one day)."""
    beside = day + step
    if not zones or not FIRST <= beside <= LAST:
        return None
    if rows.filter(_began_on(beside, zones)).exists():
        return beside
    spans = spans_of(beside, zones).values()
    if step < timedelta(0):
        nearest = rows.filter(started_at__lt=max(span.start for span in spans)).first()
    else:
        later = rows.filter(started_at__gte=min(span.end for span in spans))
        nearest = later.order_by("started_at", "pk").first()
    return nearest.started_at.astimezone(nearest.camera.zone).date() if nearest else None


def zones_of(cards: Iterable[Card]) -> list[str]:
    """The zones in which times are told, each once; of one, it is enough to tell it once."""
    return sorted({str(card.zone) for card in cards})


def classes_lately(user: User | AnonymousUser) -> list[str]:
    """The classes of the newest events: to search all detections for them would cost seconds."""
    newest = Event.objects.visible_to(user).values_list("object_classes", flat=True)[:EVENTS_THAT_TELL_CLASSES]
    return sorted({name for names in newest for name in names})


def classes_offered(user: User | AnonymousUser, asked: EventQuery) -> list[tuple[str, str]]:
    """Classes by which the list can be narrowed, with their words."""
    names = {*classes_lately(user), *([asked.query["object_class"]] if "object_class" in asked.query else [])}
    return [(name, class_in_words(name)) for name in sorted(names)]


def chips(asked: EventQuery, cameras: Choices, classes: Choices) -> list[dict[str, Any]]:
    """The filters as chips: each sets its own and leaves the others as they are; pressed ones take it back."""
    found = [
        _all(asked),
        _chip(asked, "reviewed", "false", "Not reviewed"),
        *_chips(asked, "object_class", classes),
        *(_chips(asked, "camera_id", cameras) if len(cameras) > 1 else []),
    ]
    if asked.day is not None:
        found.append(_chip(asked, "day", asked.query["day"], date_format(asked.day, "j F Y")))
    found += [
        _chip(asked, name, asked.query[name], _typed(asked, name))
        for name in ("from", "to", "q")
        if name in asked.query
    ]
    return found[:1] + sorted(found[1:], key=lambda chip: not chip["pressed"])


def _typed(asked: EventQuery, name: str) -> str:
    moment = None if name == "q" else asked.clock_time(name)
    return f"“{asked.query[name]}”" if moment is None else f"{name.title()} {date_format(moment, 'j F, H:i')}"


def choices(asked: EventQuery, cameras: Choices, classes: Choices) -> list[dict[str, Any]]:
    """What has too many values for chips is chosen from a list; what has not keeps its value."""
    found = []
    for name, label, values in (("object_class", "Class", classes), ("camera_id", "Camera", cameras)):
        options = values if len(values) > MAX_CHIPS else []
        found.append({"name": name, "label": label, "options": options, "chosen": asked.query.get(name, "")})
    return found


def _chips(asked: EventQuery, name: str, values: Choices) -> list[dict[str, Any]]:
    shown = values if len(values) <= MAX_CHIPS else [row for row in values if row[0] == asked.query.get(name)]
    return [_chip(asked, name, value, label) for value, label in shown]


def _all(asked: EventQuery) -> dict[str, Any]:
    return {"label": "All", "url": asked.address(**dict.fromkeys(FILTERS)), "pressed": not asked.query}


def _chip(asked: EventQuery, name: str, value: str, label: str) -> dict[str, Any]:
    pressed = asked.query.get(name) == value
    return {"label": label, "url": asked.address(**{name: None if pressed else value}), "pressed": pressed}


def newer_than(event: Event, rows: QuerySet[Event]) -> int | None:
    """The id of the next newer event among `rows`."""
    later = Q(started_at__gt=event.started_at) | Q(pk__gt=event.pk)
    return _first(rows.filter(later, started_at__gte=event.started_at).order_by("started_at", "pk"))


def older_than(event: Event, rows: QuerySet[Event]) -> int | None:
    earlier = Q(started_at__lt=event.started_at) | Q(pk__lt=event.pk)
    return _first(rows.filter(earlier, started_at__lte=event.started_at).order_by("-started_at", "-pk"))


def _first(rows: QuerySet[Event]) -> int | None:
    return rows.values_list("pk", flat=True).first()
