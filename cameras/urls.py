"""Addresses of the cameras' pages."""

from django.urls import path

from cameras.views import CameraView, LiveView, WallView

urlpatterns = [
    path("", WallView.as_view(), name="wall"),
    path("live.json", LiveView.as_view(), name="live_json"),
    path("cameras/<str:camera_id>", CameraView.as_view(), name="camera"),
]
