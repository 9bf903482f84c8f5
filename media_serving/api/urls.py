"""URLs of the API of detections, events, uploads and their files."""

from django.urls import path, register_converter
from django.urls.converters import StringConverter

from media_serving.api.detections import DetectionListView, DetectionView
from media_serving.api.events import EventBatchView, EventClipView, EventDetectionsView, EventListView, EventView
from media_serving.api.media import (
    CameraFileView,
    ClipView,
    CompatibilityView,
    DetectionFileView,
    ThumbnailView,
    UploadFileView,
)
from media_serving.api.signed_urls import SignedUrlView
from media_serving.api.uploads import UploadListView, UploadRetryView


class Rest(StringConverter):
    """The rest of the path, including slashes and line breaks in file names."""

    regex = r"(?s:.*)"


register_converter(Rest, "rest")

urlpatterns = [
    path("media/cameras/<str:camera_id>/<rest:filename>", CameraFileView.as_view(), name="api_camera_file"),
    path("media/thumbnails/<rest:filename>", ThumbnailView.as_view(), name="api_thumbnail"),
    path("media/detections/<rest:detection_id>", DetectionFileView.as_view(), name="api_detection_file"),
    path("media/uploads/<rest:upload_id>", UploadFileView.as_view(), name="api_upload_file"),
    path("media/clips/<rest:filename>", ClipView.as_view(), name="api_clip"),
    path("media/<rest:path>", CompatibilityView.as_view(), name="api_media"),
    path("detections", DetectionListView.as_view(), name="api_detections"),
    path("detections/<int:detection_id>", DetectionView.as_view(), name="api_detection"),
    path("events", EventListView.as_view(), name="api_events"),
    path("events/batch", EventBatchView.as_view(), name="api_events_batch"),
    path("events/<int:event_id>", EventView.as_view(), name="api_event"),
    path("events/<int:event_id>/detections", EventDetectionsView.as_view(), name="api_event_detections"),
    path("uploads", UploadListView.as_view(), name="api_uploads"),
    path("uploads/<int:upload_id>/retry", UploadRetryView.as_view(), name="api_upload_retry"),
    path("events/<int:event_id>/clip", EventClipView.as_view(), name="api_event_clip"),
    path("signed-urls", SignedUrlView.as_view(), name="api_signed_urls"),
]
