"""URLs of the cameras API."""

from django.urls import path

from cameras.api.views import CameraViewSet, PathValidationView, SnapshotView

urlpatterns = [
    path("cameras", CameraViewSet.as_view({"get": "list", "post": "create"}), name="api_cameras"),
    path("cameras/deleted", CameraViewSet.as_view({"get": "deleted"}), name="api_cameras_deleted"),
    path("cameras/validation/paths", PathValidationView.as_view(), name="api_cameras_validation"),
    path(
        "cameras/<str:camera_id>",
        CameraViewSet.as_view({"get": "retrieve", "patch": "partial_update", "delete": "destroy"}),
        name="api_camera",
    ),
    path(
        "cameras/<str:camera_id>/restore",
        CameraViewSet.as_view({"post": "restore"}),
        name="api_camera_restore",
    ),
    path("cameras/<str:camera_id>/purge", CameraViewSet.as_view({"post": "purge"}), name="api_camera_purge"),
    path("cameras/<str:camera_id>/snapshot", SnapshotView.as_view(), name="api_camera_snapshot"),
]
