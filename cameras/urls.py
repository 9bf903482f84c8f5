"""URLs of the camera pages."""

from django.urls import path

from cameras.views import CameraView, LiveDataView, LivePageView

urlpatterns = [
    path("", LivePageView.as_view(), name="live"),
    path("live.json", LiveDataView.as_view(), name="live_json"),
    path("cameras/<str:camera_id>", CameraView.as_view(), name="camera"),
]
