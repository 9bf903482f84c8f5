"""An event's page: its clip or one of its pictures, its details, and its neighbors in the list."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.http import HttpRequest
from django.urls import reverse

from media_serving.addresses import clip_url
from media_serving.models import MAX_NOTES, ClipWork, Event
from media_serving.pages.clip_boxes import box_overlays
from media_serving.pages.event_cards import cards_of
from media_serving.pages.event_list import EventQuery, matching_events, newer_than, older_than
from media_serving.pages.event_stills import Still, best_still, find_still, stills_of
from nvr.api.fields import has_control_characters
from nvr.api.pagination import whole_number
from nvr.errors import NotFound
from nvr.jobs.models import JobState

CHANGE = "media_serving.change_event"
IN_PROGRESS = {JobState.WAITING, JobState.WORKING}


class NotesForm(forms.Form):
    notes = forms.CharField(
        required=False,
        max_length=MAX_NOTES,
        widget=forms.Textarea(attrs={"rows": 3}),
        label="Notes",
    )

    def clean_notes(self) -> str:
        text = str(self.cleaned_data["notes"]).replace("\r\n", "\n").replace("\r", "\n")
        if has_control_characters(text.replace("\n", "").replace("\t", "")):
            raise ValidationError("Notes must not contain control characters.")
        return text


@dataclass(frozen=True)
class ClipStatus:
    """`url` is empty until there is a complete clip; `message` describes the state of the clip."""

    url: str
    message: str
    reason: str
    is_in_progress: bool
    has_failed: bool
    can_regenerate: bool
    size_bytes: int | None


def find_event(request: HttpRequest, event_id: int) -> Event:
    """Return the event with its camera and clip job. Raises `NotFound`, also if the user may not see it."""
    rows = Event.objects.visible_to(request.user).select_related("camera", "clip_work")
    event = rows.filter(pk=event_id).first() if event_id < 2**63 else None
    if event is None:
        raise NotFound("Event not found")
    return event


def page_of_event(request: HttpRequest, event: Event, notes: NotesForm | None = None) -> dict[str, Any]:
    event_query = EventQuery.parse(request.GET)
    rows = matching_events(request.user, event_query)
    newer, older = newer_than(event, rows), older_than(event, rows)
    clip, stills = clip_status(event), stills_of(event, first_detection(request))
    shows = event.clip_work.shows if clip.url and hasattr(event, "clip_work") else []
    best = best_still(stills.shown)
    # Without a clip, the best picture is shown in its place.
    still = find_still(stills.shown, request.GET.get("still")) or (None if clip.url else best)
    page = {"pictures": str(stills.first)} if stills.first else {}

    def address_of(still: Still) -> str:
        return event_query.event_address(event.pk, still=str(still.detection_id), **page)

    return {
        "event": event,
        "zone": event.camera.zone,
        "card": cards_of([event], event_query.event_address)[0],
        "clip": clip,
        "poster": best.large_url if best else "",
        "stills": [(one, address_of(one)) for one in stills.shown],
        "still": still,
        "clip_boxes": [] if still else box_overlays(shows, stills.shown),
        "clip_length_ms": sum(length for _, length in shows) if len(shows) > 1 else None,
        "still_url": address_of(still) if still else "",
        "earlier_url": event_query.event_address(event.pk) if stills.first else None,
        "later_url": event_query.event_address(event.pk, pictures=str(stills.following)) if stills.following else None,
        "may_change": request.user.has_perm(CHANGE),
        "notes_form": notes or NotesForm({"notes": event.notes}),
        "newer_url": event_query.event_address(newer) if newer else None,
        "older_url": event_query.event_address(older) if older else None,
        "list_url": event_query.address(),
        "clip_form_url": f"{reverse('event_clip', args=[event.pk])}{event_query.suffix}",
        "here": event_query.event_address(event.pk, **page),
    }


def first_detection(request: HttpRequest) -> int:
    """Return the number of the first detection on the page. Raises `Invalid`."""
    return whole_number(request.GET, "pictures", 0, minimum=0)


def clip_status(event: Event) -> ClipStatus:
    work: ClipWork | None = getattr(event, "clip_work", None)
    url = clip_url(event.pk) if event.clip_size_bytes is not None else ""
    state = work.state if work is not None else ""
    return ClipStatus(
        url=f"{url}?v={int(event.clip_created_at.timestamp())}" if url and event.clip_created_at else url,
        message=_clip_message(event, state, has_clip=bool(url)),
        reason=work.reason if work is not None else "",  # a waiting clip may have a reason too, such as a full disk
        is_in_progress=event.is_open or state in IN_PROGRESS,
        has_failed=state == JobState.FAILED,
        can_regenerate=not event.is_open and state not in IN_PROGRESS,
        size_bytes=event.clip_size_bytes,
    )


def _clip_message(event: Event, state: str, *, has_clip: bool) -> str:
    if event.is_open and not has_clip:
        return "The clip is made when the event is over"
    if state == JobState.FAILED:
        return "A newer clip could not be made" if has_clip else "The clip could not be made"
    if state == JobState.WAITING:
        return "A newer clip is waiting" if has_clip else "The clip is waiting"
    if state == JobState.WORKING:
        return "A newer clip is being made" if has_clip else "The clip is being made"
    return "" if has_clip else "There is no clip of this event"
