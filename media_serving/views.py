"""The pages about events and about the state of ingest."""

from __future__ import annotations

import re
from typing import Any

from django.contrib import messages
from django.contrib.auth.mixins import UserPassesTestMixin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import get_object_or_404, redirect, render
from django.views.generic import TemplateView, View

from media_serving.clips.requests import regenerate_clip
from media_serving.events import update_event, update_events
from media_serving.ingest.retry import retry
from media_serving.models import Event, Upload
from media_serving.pages.event_list import MAX_EVENTS, EventQuery, page_of_events
from media_serving.pages.event_page import CHANGE, NotesForm, find_event, page_of_event
from media_serving.pages.uploads import RETRY, ingest_status
from nvr.errors import Invalid, NvrError

MAX_ID = 2**63 - 1
DECIMAL = re.compile(r"[0-9]{1,30}")  # `int` refuses very long numbers
FLAGS = {"true": True, "false": False}
CONFIRMATIONS = {
    ("reviewed", True): "Reviewed.",
    ("reviewed", False): "No longer reviewed.",
    ("keep", True): "Marked as worth keeping.",
    ("keep", False): "No longer kept.",
}


class EventsView(TemplateView):
    """The list of events, newest first, grouped by day."""

    template_name = "events/events.html"

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        may_change = self.request.user.has_perm(CHANGE)
        found = page_of_events(self.request.user, self.request.GET)
        return super().get_context_data(may_change=may_change, here=self.request.get_full_path(), **found, **kwargs)

    def post(self, request: HttpRequest) -> HttpResponse:
        """Mark the selected events as reviewed or not, and return to the same list."""
        if not request.user.has_perm(CHANGE):
            raise PermissionDenied
        reviewed, ids = flag_in(request.POST, "reviewed"), ids_in(request.POST)
        count = len(update_events(request.user, ids, {"reviewed": reviewed}))
        messages.success(
            request, f"{count} event{'' if count == 1 else 's'}: {CONFIRMATIONS['reviewed', reviewed].lower()}"
        )
        return redirect(request.get_full_path())


class EventView(View):
    """One event. Its forms set `reviewed`, `keep` or the notes."""

    def get(self, request: HttpRequest, event_id: int) -> HttpResponse:
        return render(request, "events/event.html", page_of_event(request, find_event(request, event_id)))

    def post(self, request: HttpRequest, event_id: int) -> HttpResponse:
        event = find_event(request, event_id)
        if not request.user.has_perm(CHANGE):
            raise PermissionDenied
        if "notes" in request.POST:
            return self.write_notes(request, event)
        for name, value in flags_in(request.POST).items():
            update_event(request.user, event, {name: value})
            messages.success(request, CONFIRMATIONS[name, value])
        return redirect(request.get_full_path())

    def write_notes(self, request: HttpRequest, event: Event) -> HttpResponse:
        form = NotesForm(request.POST)
        if not form.is_valid():
            return render(request, "events/event.html", page_of_event(request, event, form), status=422)
        update_event(request.user, event, {"notes": form.cleaned_data["notes"]})
        messages.success(request, "Notes saved.")
        return redirect(request.get_full_path())


class ClipView(View):
    """Regenerate the clip; an error is shown on the event's page."""

    def post(self, request: HttpRequest, event_id: int) -> HttpResponse:
        event = find_event(request, event_id)
        if not request.user.has_perm(CHANGE):
            raise PermissionDenied
        try:
            regenerate_clip(request.user, event)
            messages.success(request, "The clip will be regenerated.")
        except NvrError as error:
            messages.error(request, error.detail)
        return redirect(EventQuery.parse(request.GET).event_address(event.pk))


def flags_in(form: QueryDict) -> dict[str, bool]:
    """Return the flags in the form. Raises `Invalid` for a value that is neither true nor false."""
    return {name: flag_in(form, name) for name in ("reviewed", "keep") if name in form}


def ids_in(form: QueryDict) -> list[int]:
    ids = form.getlist("ids")
    if not 1 <= len(ids) <= MAX_EVENTS or not all(DECIMAL.fullmatch(pk) for pk in ids):
        raise Invalid.field("ids", f"must be 1 to {MAX_EVENTS} events: choose some of the list first.")
    return [min(int(pk), MAX_ID) for pk in ids]


def flag_in(form: QueryDict, name: str) -> bool:
    value = FLAGS.get(form.get(name) or "")
    if value is None:
        raise Invalid.field(name, "must be true or false.")
    return value


class StaffRequired(UserPassesTestMixin):
    """Staff only; other users get 403 instead of the sign-in page."""

    raise_exception = True
    request: HttpRequest

    def test_func(self) -> bool:
        return bool(self.request.user.is_staff)


class UploadsView(StaffRequired, TemplateView):
    """The status of ingest."""

    template_name = "events/ingest.html"

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        may_retry = self.request.user.has_perm(RETRY)
        return super().get_context_data(may_retry=may_retry, **ingest_status(self.request.user), **kwargs)


class RetryView(StaffRequired, View):
    """Retry a rejected or failed upload; an error is shown on the page."""

    def post(self, request: HttpRequest, upload_id: int) -> HttpResponse:
        upload = get_object_or_404(Upload.objects.visible_to(request.user), pk=min(upload_id, MAX_ID))
        if not request.user.has_perm(RETRY):
            raise PermissionDenied
        try:
            retry(request.user, upload)
            messages.success(request, f"{upload.path} will be retried.")
        except NvrError as error:
            messages.error(request, error.detail)
        return redirect("uploads")
