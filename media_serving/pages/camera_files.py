"""A camera's files by day and hour, from its uploads: the folder itself is not read."""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import date, datetime
from urllib.parse import urlencode

from django.db.models import Count, Exists, OuterRef, QuerySet, Value
from django.http import QueryDict
from django.urls import reverse
from django.utils import timezone

from cameras.folders.files import ListedFile, Listing, listed_file_named, page_url_of
from cameras.models import Camera
from media_serving.local_days import TimeRange, hour_ranges, parse_day, today_in
from media_serving.models import Upload, UploadState
from nvr.api.pagination import KeysetPage
from nvr.errors import Invalid

HOUR_FILES = 120
OVERWRITTEN = "Overwritten"
UNREADABLE = "Unreadable"


@dataclass(frozen=True)
class Hour:
    """The number of files captured in the hour, also as a percentage of the hour with the most files."""

    number: int
    begins_at: datetime
    count: int
    percent: int
    url: str
    is_chosen: bool

    @property
    def rest(self) -> int:
        return 100 - self.percent


def day_from_query(camera: Camera, query: QueryDict) -> date:
    """Return the day in the query, else today in the camera's zone. Raises `Invalid`."""
    text = query.get("day")
    return parse_day(text) if text else today_in(camera.zone, timezone.now())


def hour_from_query(hours: list[TimeRange], query: QueryDict) -> int | None:
    """Return the hour number in the query, counted from 0; None if absent. Raises `Invalid`."""
    text = query.get("hour")
    if not text:
        return None
    if text.isascii() and text.isdigit() and len(text) <= 2 and int(text) < len(hours):
        return int(text)
    raise Invalid.field("hour", f"must be a whole number from 0 to {len(hours) - 1}.")


def hours_with_counts(camera: Camera, day: date, chosen: int | None) -> list[Hour]:
    """Return all hours of the day; one query that reads only an index."""
    hours = hour_ranges(day, camera.zone)
    counts = dict(_counts(camera, hours))
    most = max(counts.values(), default=0) or 1
    return [
        Hour(
            number=number,
            begins_at=time_range.start.astimezone(camera.zone),
            count=counts.get(number, 0),
            percent=-(-100 * counts.get(number, 0) // most),
            url=address(camera, day, number),
            is_chosen=number == chosen,
        )
        for number, time_range in enumerate(hours)
    ]


def _counts(camera: Camera, hours: list[TimeRange]) -> QuerySet[Upload, tuple[int, int]]:
    counted = [
        _taken_in(camera, time_range)
        .order_by()
        .annotate(number=Value(number))
        .values("number")
        .annotate(count=Count("pk"))
        for number, time_range in enumerate(hours)
    ]
    # One union instead of a grouping: each part is a range of the index.
    return counted[0].union(*counted[1:], all=True).values_list("number", "count")


def address(camera: Camera, day: date, hour: int | None = None, **more: str) -> str:
    query = {"day": day.isoformat(), **({"hour": str(hour)} if hour is not None else {}), **more}
    return f"{camera.get_absolute_url()}?{urlencode(query)}"


def listing_of_hour(camera: Camera, query: QueryDict) -> Listing | None:
    """Return the files of the hour in the query, newest first; None without an hour. Raises `Invalid`."""
    day = day_from_query(camera, query)
    hours = hour_ranges(day, camera.zone)
    hour = hour_from_query(hours, query)
    if hour is None:
        return None
    rows = _taken_in(camera, hours[hour]).annotate(is_overwritten=Exists(_later_of_same_name()))
    page = KeysetPage(rows, query, timestamp_field="captured_at", default_limit=HOUR_FILES)
    begins = hours[hour].start.astimezone(camera.zone)
    return Listing(
        title=f"Files of {begins:%-d %B, %H:%M}",
        files=[_listed(camera, upload, day, hour) for upload in page.items],
        older_url=address(camera, day, hour, cursor=page.next_cursor) if page.next_cursor else "",
        newest_url=camera.get_absolute_url(),
    )


def _taken_in(camera: Camera, time_range: TimeRange) -> QuerySet[Upload]:
    return Upload.objects.filter(camera=camera, captured_at__gte=time_range.start, captured_at__lt=time_range.end)


def _later_of_same_name() -> QuerySet[Upload]:
    same = Upload.objects.filter(camera=OuterRef("camera"), path_digest=OuterRef("path_digest"))
    return same.filter(pk__gt=OuterRef("pk"))


def _listed(camera: Camera, upload: Upload, day: date, hour: int) -> ListedFile:
    name = os.fsdecode(upload.below)
    # With a kept copy, the current file may differ: contents A, B and A within the hour are two uploads.
    former = {"former": str(upload.pk)} if is_former(upload) or upload.is_kept else {}
    return listed_file_named(
        camera,
        name,
        version=f"{upload.size_bytes:x}-{upload.mtime_ns:x}",
        size_bytes=upload.size_bytes,
        at=upload.captured_at,
        page_url=page_url_of(camera, name, day=day.isoformat(), hour=str(hour), **former),
        unavailable_reason=_unavailable_reason(upload),
        former_url=reverse("api_upload_file", args=[upload.pk]) if former else "",
        **former,
    )


def is_former(upload: Upload) -> bool:
    return bool(upload.is_overwritten)  # type: ignore[attr-defined]  # annotated


def _unavailable_reason(upload: Upload) -> str:
    if is_former(upload) and not upload.is_kept:
        return OVERWRITTEN
    return UNREADABLE if upload.state == UploadState.REJECTED else ""
