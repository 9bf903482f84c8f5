"""`GET /api/audit`: the audit log, for staff, newest first."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import OpenApiParameter, extend_schema, inline_serializer
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from nvr.api.fields import milliseconds
from nvr.api.pagination import KeysetPage
from nvr.api.permissions import IsStaff
from nvr.api.views import ApiView
from nvr.audit.models import AuditEntry


class CursorPagination(serializers.Serializer[Any]):
    next_cursor = serializers.CharField(allow_null=True)
    has_more = serializers.BooleanField()
    limit = serializers.IntegerField()


class AuditEntryOut(serializers.Serializer[Any]):
    id = serializers.IntegerField()
    at = serializers.DateTimeField()
    actor = serializers.CharField()
    action = serializers.CharField()
    target_type = serializers.CharField()
    target = serializers.CharField()
    changes = serializers.DictField(child=serializers.ListField(child=serializers.JSONField()))
    address = serializers.CharField()


CURSOR_PARAMETERS = [
    OpenApiParameter("limit", int, description="1 to 1000, default 50."),
    OpenApiParameter("cursor", str, description="`next_cursor` of the previous page."),
]


def entry_as_json(entry: AuditEntry) -> dict[str, Any]:
    return {
        "id": entry.pk,
        "at": milliseconds(entry.at),
        "actor": entry.actor_name,
        "action": entry.action,
        "target_type": entry.target_type,
        "target": entry.target_name,
        "changes": entry.changes,
        "address": entry.address,
    }


class AuditListView(ApiView):
    """Who changed what, with old and new values. Lists only entries about objects that the user may see."""

    permission_classes = (IsStaff,)

    @extend_schema(
        operation_id="audit",
        tags=["audit"],
        parameters=[
            *CURSOR_PARAMETERS,
            OpenApiParameter("action", str, description="Only this action, such as camera_updated."),
        ],
        responses=inline_serializer("AuditPage", {"items": AuditEntryOut(many=True), "pagination": CursorPagination()}),
    )
    def get(self, request: Request) -> Response:
        entries = AuditEntry.objects.visible_to(request.user)
        if action := request.query_params.get("action"):
            entries = entries.filter(action=action.replace("\0", ""))
        page = KeysetPage(entries, request.query_params, timestamp_field="at")
        return Response(page.envelope([entry_as_json(entry) for entry in page.items]))
