"""Event cards for lists: a picture, a sentence, the time and the duration."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from django.db.models import Case, Count, F, IntegerField, Q, QuerySet, Value, When, Window
from django.db.models.functions import RowNumber
from django.utils import timezone

from media_serving.addresses import thumbnail_url
from media_serving.event_words import MOTION, describe_objects, duration_in_words, sentence
from media_serving.models import Detection, Event

THUMBNAIL_TIMEOUT = timedelta(minutes=10)  # an external report about an old picture may never get one


@dataclass(frozen=True)
class EventSummary:
    """The largest number of each class in one picture, and the best detection.

    `thumbnail_size_bytes` belongs to that detection: None if not made yet, 0 if it cannot be made.
    """

    counts: dict[str, int]
    best_id: int | None = None
    thumbnail_size_bytes: int | None = None


@dataclass(frozen=True)
class Card:
    """One event in a list, with times in its camera's zone. `thumbnail_url` is empty until there is a thumbnail."""

    event_id: int
    url: str
    sentence: str
    short_sentence: str
    zone: ZoneInfo
    started_at: datetime
    last_detected_at: datetime
    length: str
    is_open: bool
    reviewed: bool
    keep: bool
    has_clip: bool
    thumbnail_url: str
    awaits_thumbnail: bool


def with_camera(events: QuerySet[Event]) -> QuerySet[Event]:
    """Fetch what `cards_of` needs in the same query, without the notes, which may be long."""
    return events.select_related("camera").defer("notes", "camera__notes")


def cards_of(events: Sequence[Event], address: Callable[[int], str]) -> list[Card]:
    """Return cards, with two queries for any number of events. `address` returns an event's page URL by id."""
    summaries = summarize(events)
    return [_card(event, summaries[event.pk], address(event.pk)) for event in events]


def by_day(cards: Iterable[Card]) -> list[tuple[date, list[Card]]]:
    """Group cards by day in their cameras' zones, keeping their order."""
    days: dict[date, list[Card]] = defaultdict(list)
    for card in cards:
        days[card.started_at.date()].append(card)
    return list(days.items())


def summarize(events: Iterable[Event]) -> dict[int, EventSummary]:
    known = {event.pk: dict.fromkeys(event.object_classes, 1) for event in events}
    for event_id, name, count in _largest_counts(known):
        known[event_id][name] = max(count, known[event_id].get(name, 1))
    best = {event_id: (pk, size) for event_id, pk, size in _best_detections(known)}
    return {pk: EventSummary(counts, *best.get(pk, ())) for pk, counts in known.items()}


def _largest_counts(event_ids: Iterable[int]) -> Iterable[tuple[int, str, int]]:
    """Return event, class and count for each picture that shows several objects of a class.

    Grouped by upload too, because pictures of a burst may be taken in the same second.
    """
    pictures = Detection.objects.order_by().filter(event__in=list(event_ids)).exclude(object_class=MOTION)
    groups = pictures.values("event_id", "object_class", "detected_at", "upload_id", "file_path")
    groups = groups.annotate(number=Count("pk"))
    return groups.filter(number__gt=1).values_list("event_id", "object_class", "number").distinct()


def _best_detections(event_ids: Iterable[int]) -> Iterable[tuple[int, int, int | None]]:
    """Return event, detection and thumbnail size; prefers a thumbnail, then an object over motion, then confidence.

    With equal confidence the largest box wins: it was nearest to the camera.
    """
    without = Case(When(thumbnail_size_bytes__gt=0, then=Value(0)), default=Value(1), output_field=IntegerField())
    motion = Case(When(Q(object_class=MOTION), then=Value(1)), default=Value(0), output_field=IntegerField())
    largest = (F("bbox_width") * F("bbox_height")).desc(nulls_last=True)
    order = (without, motion, F("confidence").desc(), largest, F("pk").asc())
    rank = Window(RowNumber(), partition_by=F("event_id"), order_by=order)
    ranked = Detection.objects.order_by().filter(event__in=list(event_ids)).annotate(rank=rank)
    return ranked.filter(rank=1).values_list("event_id", "pk", "thumbnail_size_bytes")


def _card(event: Event, summary: EventSummary, url: str) -> Card:
    zone = event.camera.zone
    picture = thumbnail_url(summary.best_id) if summary.best_id is not None and summary.thumbnail_size_bytes else ""
    return Card(
        event_id=event.pk,
        url=url,
        sentence=sentence(summary.counts, event.camera.name),
        short_sentence=describe_objects(summary.counts),
        zone=zone,
        started_at=event.started_at.astimezone(zone),
        last_detected_at=event.last_detected_at.astimezone(zone),
        length=duration_in_words(event.last_detected_at - event.started_at),
        is_open=event.is_open,
        reviewed=event.reviewed,
        keep=event.keep,
        has_clip=event.clip_size_bytes is not None,
        thumbnail_url=picture,
        awaits_thumbnail=_awaits_thumbnail(event, summary),
    )


def _awaits_thumbnail(event: Event, summary: EventSummary) -> bool:
    return summary.thumbnail_size_bytes is None and timezone.now() - event.last_detected_at < THUMBNAIL_TIMEOUT
