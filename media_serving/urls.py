"""Addresses of the pages of events and of ingest."""

from django.urls import path

from media_serving.views import EventsView, EventView, IngestView

urlpatterns = [
    path("events", EventsView.as_view(), name="events"),
    path("events/<int:event_id>", EventView.as_view(), name="event"),
    path("ingest", IngestView.as_view(), name="ingest"),
]
