"""The list of events: what its address asks for, the chips that change it, and the events before and after one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from django.db.models import Q, QuerySet
from django.http import QueryDict
from django.urls import reverse
from django.utils.formats import date_format

from cameras.models import Camera
from media_serving.api.filters import filtered_events
from media_serving.days import parse_day, span_of
from media_serving.event_cards import Card, by_day, cards_of, with_camera
from media_serving.event_words import class_in_words
from media_serving.models import Event
from nvr.api.pagination import KeysetPage

if TYPE_CHECKING:
    from django.contrib.auth.models import AnonymousUser, User

FILTERS = ("camera_id", "object_class", "reviewed", "day")
PAGE_EVENTS = 30
MOST_EVENTS = 200
MOST_CHIPS = 6  # of cameras; more are offered by a list
EVENTS_THAT_TELL_CLASSES = 200
API_FILTERS = ("camera_id", "object_class", "reviewed")


@dataclass(frozen=True)
class Asked:
    """What an address asks for, the filters only; an empty value is none."""

    query: dict[str, str]

    @classmethod
    def by(cls, query: QueryDict) -> Asked:
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

    @property
    def day(self) -> date | None:
        return parse_day(self.query["day"]) if "day" in self.query else None


def _query_of(query: Mapping[str, str | None]) -> str:
    given = {name: value for name, value in query.items() if value is not None}
    return f"?{urlencode(given)}" if given else ""


def events_asked_for(user: User | AnonymousUser, asked: Asked) -> QuerySet[Event]:
    """Events of what `user` may see; a day is that of each camera's own clock. Raises `Invalid`."""
    query = QueryDict(mutable=True)
    query.update(asked.query)
    rows = filtered_events(user, query)
    return rows if asked.day is None else rows.filter(_began_on(asked.day, user))


def _began_on(day: date, user: User | AnonymousUser) -> Q:
    cameras = Camera.objects.visible_to(user).order_by("time_zone", "pk").only("time_zone")
    began = Q(pk__in=[])
    for zone in {camera.time_zone: camera.zone for camera in cameras}.items():
        span = span_of(day, zone[1])
        began |= Q(camera__time_zone=zone[0], started_at__gte=span.start, started_at__lt=span.end)
    return began


def page_of_events(user: User | AnonymousUser, query: QueryDict) -> dict[str, Any]:
    """What the list's template shows; the number of queries does not depend on the number of events."""
    asked = Asked.by(query)
    page = KeysetPage(
        with_camera(events_asked_for(user, asked)),
        query,
        moment="started_at",
        default_limit=PAGE_EVENTS,
        max_limit=MOST_EVENTS,
    )
    cards = cards_of(page.items, asked.event_address)
    cameras = list(Camera.objects.visible_to(user).values_list("slug", "name"))
    zones = zones_of(cards)
    return {
        "days": by_day(cards),
        "zones": zones,
        "several_zones": len(zones) > 1,
        "filters": chips(asked, cameras, classes_lately(user)),
        "asked": asked.query,
        "other_filters": [(name, value) for name, value in asked.query.items() if name not in {"day", "camera_id"}],
        "cameras": cameras if len(cameras) > MOST_CHIPS else [],
        "all_url": asked.address(**dict.fromkeys(FILTERS)),
        "api_url": asked.api_address(page.limit) if "cursor" not in query else "",
        "next_url": asked.address(cursor=page.next_cursor) if page.has_more else None,
        "newest_url": asked.address() if "cursor" in query else None,
    }


def zones_of(cards: Iterable[Card]) -> list[str]:
    """The zones in which times are told, each once; of one, it is enough to tell it once."""
    return sorted({str(card.zone) for card in cards})


def classes_lately(user: User | AnonymousUser) -> list[str]:
    """The classes of the newest events: to search all detections for them would cost seconds."""
    newest = Event.objects.visible_to(user).values_list("object_classes", flat=True)[:EVENTS_THAT_TELL_CLASSES]
    return sorted({name for names in newest for name in names})


def chips(asked: Asked, cameras: list[tuple[str, str]], classes: list[str]) -> list[dict[str, Any]]:
    """The filters as chips: each sets its own and leaves the others as they are; pressed ones take it back."""
    chosen_class = asked.query.get("object_class")
    if chosen_class and chosen_class not in classes:
        classes = [*classes, chosen_class]
    shown = (
        cameras if len(cameras) <= MOST_CHIPS else [row for row in cameras if row[0] == asked.query.get("camera_id")]
    )
    found = [
        _all(asked),
        _chip(asked, "reviewed", "false", "Not reviewed"),
        *(_chip(asked, "object_class", name, class_in_words(name)) for name in classes),
        *(_chip(asked, "camera_id", slug, name) for slug, name in (shown if len(cameras) > 1 else [])),
    ]
    if asked.day is not None:
        found.append(_chip(asked, "day", asked.query["day"], date_format(asked.day, "j F Y")))
    return found


def _all(asked: Asked) -> dict[str, Any]:
    return {"label": "All", "url": asked.address(**dict.fromkeys(FILTERS)), "pressed": not asked.query}


def _chip(asked: Asked, name: str, value: str, label: str) -> dict[str, Any]:
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
