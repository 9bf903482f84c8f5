"""Listing events, and updating their keep and reviewed flags and notes."""

from __future__ import annotations

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from media_serving.api import schema
from media_serving.api.filters import filtered_events
from media_serving.api.representation import detection_as_json, detection_rows, event_as_json, event_rows
from media_serving.api.serializers import EventBatch, EventOut, EventUpdate
from media_serving.clips.requests import regenerate_clip
from media_serving.events import update_event, update_events
from media_serving.models import Detection, Event
from nvr.api.known_input import keys_of_both
from nvr.api.pagination import KeysetPage
from nvr.api.permissions import HasPermission, ModelPermissions
from nvr.api.views import ApiView
from nvr.errors import NotFound


def find_event(request: Request, event_id: int) -> Event:
    event = Event.objects.visible_to(request.user).filter(pk=event_id).first()
    if event is None:
        raise NotFound("Event not found")
    return event


def event_response(event_id: int) -> Response:
    event = event_rows(Event.objects.filter(pk=event_id)).first()
    if event is None:
        raise NotFound("Event not found")
    return Response(event_as_json(event))


class EventListView(ApiView):
    permission_classes = (ModelPermissions,)
    queryset = Event.objects.none()  # ModelPermissions takes the model from it

    @extend_schema(**schema.LIST_EVENTS)
    def get(self, request: Request) -> Response:
        found = event_rows(filtered_events(request.user, request.query_params))
        page = KeysetPage(found, request.query_params, timestamp_field="started_at")
        return Response(page.envelope([event_as_json(row) for row in page.items]))


class EventBatchView(ApiView):
    """Update many events at once; each has its own result."""

    permission_classes = (HasPermission("media_serving.change_event"),)
    body_keys = {"post": EventBatch}

    @extend_schema(**schema.UPDATE_EVENTS)
    def post(self, request: Request) -> Response:
        body = EventBatch(data=request.data)
        body.is_valid(raise_exception=True)
        values = dict(body.validated_data)
        ids = list(dict.fromkeys(values.pop("ids")))
        changed = update_events(request.user, ids, values)
        results = [{"id": pk, "status": 200 if pk in changed else 404, "changed": changed.get(pk, False)} for pk in ids]
        return Response({"results": results}, status=207)


class EventView(ApiView):
    permission_classes = (ModelPermissions,)
    body_keys = {"patch": keys_of_both(EventUpdate, EventOut)}
    queryset = Event.objects.none()

    @extend_schema(**schema.RETRIEVE_EVENT)
    def get(self, request: Request, event_id: int) -> Response:
        return event_response(find_event(request, event_id).pk)

    @extend_schema(**schema.UPDATE_EVENT)
    def patch(self, request: Request, event_id: int) -> Response:
        """Set `keep`, `reviewed` or `notes`."""
        event = find_event(request, event_id)
        body = EventUpdate(data=request.data)
        body.is_valid(raise_exception=True)
        update_event(request.user, event, body.validated_data)
        return event_response(event.pk)


class EventClipView(ApiView):
    permission_classes = (HasPermission("media_serving.change_event"),)

    @extend_schema(**schema.MAKE_CLIP)
    def post(self, request: Request, event_id: int) -> Response:
        """Regenerate the clip: after a failure, or when better footage is available."""
        regenerate_clip(request.user, find_event(request, event_id))
        response = event_response(event_id)
        response.status_code = 202
        return response


class EventDetectionsView(ApiView):
    """Detections of the event, newest first."""

    permission_classes = (ModelPermissions,)
    queryset = Event.objects.none()

    @extend_schema(**schema.LIST_DETECTIONS_OF_EVENT)
    def get(self, request: Request, event_id: int) -> Response:
        found = detection_rows(Detection.objects.filter(event=find_event(request, event_id)))
        page = KeysetPage(found, request.query_params, timestamp_field="detected_at")
        return Response(page.envelope([detection_as_json(row) for row in page.items]))
