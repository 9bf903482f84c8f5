"""URLs of the pages of events and uploads."""

from django.urls import path
from django.views.generic import RedirectView

from media_serving.views import ClipView, EventsView, EventView, RetryView, UploadsView

urlpatterns = [
    path("events", EventsView.as_view(), name="events"),
    path("events/<int:event_id>", EventView.as_view(), name="event"),
    path("events/<int:event_id>/clip", ClipView.as_view(), name="event_clip"),
    path("uploads", UploadsView.as_view(), name="uploads"),
    path("uploads/<int:upload_id>/retry", RetryView.as_view(), name="upload_retry"),
    path("ingest", RedirectView.as_view(pattern_name="uploads", http_method_names=["get", "head"]), name="ingest"),
]
