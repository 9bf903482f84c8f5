"""Listing detections, and reports from external detectors."""

from __future__ import annotations

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from cameras.api.views import find
from cameras.models import Camera
from media_serving.api import schema
from media_serving.api.filters import filtered_detections
from media_serving.api.representation import detection_as_json, detection_rows
from media_serving.api.serializers import DetectionIn, columns_for
from media_serving.detections import report_detection
from media_serving.models import Detection
from nvr.api.pagination import KeysetPage
from nvr.api.permissions import ModelPermissions
from nvr.api.views import ApiView
from nvr.errors import NotFound


class DetectionListView(ApiView):
    """Detections of the cameras that you may see, newest first."""

    permission_classes = (ModelPermissions,)
    body_keys = {"post": DetectionIn}
    queryset = Detection.objects.none()  # ModelPermissions takes the model from it

    @extend_schema(**schema.LIST_DETECTIONS)
    def get(self, request: Request) -> Response:
        rows = detection_rows(filtered_detections(request.user, request.query_params))
        page = KeysetPage(rows, request.query_params, timestamp_field="detected_at")
        return Response(page.envelope([detection_as_json(row) for row in page.items]))

    @extend_schema(**schema.REPORT_DETECTION)
    def post(self, request: Request) -> Response:
        """Report a detection; it joins or starts an event. With an `external_id`, a report can be repeated."""
        body = DetectionIn(data=request.data)
        body.is_valid(raise_exception=True)
        camera = find(Camera.objects.visible_to(request.user), body.validated_data["camera_id"])
        detection, is_new = report_detection(camera, columns_for(camera, body.validated_data))
        row = detection_rows(Detection.objects.filter(pk=detection.pk)).first()
        if row is None:  # its camera was purged meanwhile
            raise NotFound("Camera not found")
        return Response(detection_as_json(row), status=201 if is_new else 200)


class DetectionView(ApiView):
    permission_classes = (ModelPermissions,)
    queryset = Detection.objects.none()

    @extend_schema(**schema.RETRIEVE_DETECTION)
    def get(self, request: Request, detection_id: int) -> Response:
        row = detection_rows(Detection.objects.visible_to(request.user).filter(pk=detection_id)).first()
        if row is None:
            raise NotFound("Detection not found")
        return Response(detection_as_json(row))
