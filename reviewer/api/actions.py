"""`/api/media-actions` and `/api/media-items/batch`: lock, trash, mark as seen, and the reverse."""

from __future__ import annotations

import os

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from nvr.api.views import ApiView
from reviewer.actions import act, act_on_many, checked_action
from reviewer.api import schema
from reviewer.api.permissions import REVIEW
from reviewer.api.query_params import body_of
from reviewer.non_utf8_names import text


class MediaActionsView(ApiView):
    """Mark one picture or video."""

    permission_classes = (REVIEW,)
    body_keys = {"post": ("path", "action")}

    @extend_schema(**schema.ACT)
    def post(self, request: Request) -> Response:
        body = body_of(request)
        action = checked_action(body.get("action"))
        file, status = act(request.user, body.get("path"), action)
        return Response({"path": text(os.fsencode(file.path)), "action": action, "status": status.as_json()})


class BatchView(ApiView):
    """Mark many pictures and videos; each has its own result."""

    permission_classes = (REVIEW,)
    body_keys = {"post": ("paths", "action")}

    @extend_schema(**schema.BATCH)
    def post(self, request: Request) -> Response:
        body = body_of(request)
        return Response({"results": act_on_many(request.user, body.get("paths"), body.get("action"))}, status=207)
