"""`/api/health` for everyone, `/api/system/health` for staff."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.models import AnonymousUser
from django.db import InterfaceError, OperationalError
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response

from nvr.api.permissions import IsStaff
from nvr.api.views import ApiView
from nvr.health.details import details_for
from nvr.health.sections import check_all, figures_for, overall

SERVICE = "mediareviewer-api"  # the contract's literal name


class HealthOut(serializers.Serializer[Any]):
    status = serializers.ChoiceField(["ok", "degraded"])
    service = serializers.CharField()
    settings = serializers.DictField(required=False, help_text="For users with `reviewer.review`.")
    deletionQueue = serializers.DictField(child=serializers.IntegerField(), required=False, help_text="The same.")


class SectionOut(serializers.Serializer[Any]):
    status = serializers.ChoiceField(["ok", "degraded", "failed"])
    detail = serializers.CharField()


class SystemHealthOut(serializers.Serializer[Any]):
    status = serializers.ChoiceField(["ok", "degraded"])
    sections = serializers.DictField(child=SectionOut())


class HealthView(ApiView):
    """Whether the service works: `ok` or `degraded`. It answers even while the database does not."""

    permission_classes = (AllowAny,)

    def perform_authentication(self, request: Request) -> None:
        try:
            super().perform_authentication(request)
        except (OperationalError, InterfaceError):
            request.user, request.auth = AnonymousUser(), None
            self._count(request, user_id=None)

    @extend_schema(operation_id="health", responses=HealthOut, tags=["health"])
    def get(self, request: Request) -> Response:
        body = {"status": overall(check_all(essential_only=True)), "service": SERVICE}
        return Response(body | details_for(request.user))


class SystemHealthView(ApiView):
    """The status of each section with a fix. Uploads are counted for the visible cameras only."""

    permission_classes = (IsStaff,)

    @extend_schema(operation_id="system_health", responses=SystemHealthOut, tags=["health"])
    def get(self, request: Request) -> Response:
        sections = check_all()
        body = {
            name: section.as_dict() | figures_for(request.user, name, section) for name, section in sections.items()
        }
        return Response({"status": overall(sections), "sections": body})
