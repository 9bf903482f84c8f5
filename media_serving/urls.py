"""Addresses of the pages of events and of ingest."""

from django.urls import path

from media_serving.views import ClipView, EventsView, EventView, IngestView, RetryView

urlpatterns = [
    path("events", EventsView.as_view(), name="events"),
    path("events/<int:event_id>", EventView.as_view(), name="event"),
    path("events/<int:event_id>/clip", ClipView.as_view(), name="event_clip"),
    path("ingest", IngestView.as_view(), name="ingest"),
    path("ingest/uploads/<int:upload_id>/retry", RetryView.as_view(), name="upload_retry"),
]
