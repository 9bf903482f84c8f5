"""The camera list's filters."""

from __future__ import annotations

from typing import Any

import django_filters
from django.db.models import QuerySet
from django.http import QueryDict
from rest_framework.request import Request

from cameras.api.representation import SPARSE_FIELDS
from cameras.models import Camera, CameraStatus, IngestionMode
from nvr.errors import BadRequest, Invalid


class CameraFilter(django_filters.FilterSet):
    """An unknown `status` matches no camera; other invalid values return 422."""

    status = django_filters.CharFilter(method="with_status")
    ingestion_mode = django_filters.ChoiceFilter(choices=IngestionMode.choices)
    enabled = django_filters.BooleanFilter()
    q = django_filters.CharFilter(field_name="name", lookup_expr="icontains", label="Part of the name.")

    class Meta:
        model = Camera
        fields = ("status", "ingestion_mode", "enabled", "q")

    def with_status(self, cameras: QuerySet[Camera], name: str, value: str) -> QuerySet[Camera]:
        return cameras.filter(status__in=self._stored_statuses(value))

    def _stored_statuses(self, value: str) -> list[str]:
        """The stored statuses for an API status. Version 1 has no `unknown` and returns such cameras as offline."""
        if getattr(self.request, "version", "2") == "1":
            return ["offline", "unknown"] if value == "offline" else [value] if value != CameraStatus.UNKNOWN else []
        return [value]


def filtered(cameras: QuerySet[Camera], request: Request) -> QuerySet[Camera]:
    found = CameraFilter(without_nul(request.query_params), queryset=cameras, request=request)
    if not found.is_valid():
        raise Invalid(
            errors=[
                {"field": field, "message": " ".join(map(str, messages))} for field, messages in found.errors.items()
            ]
        )
    rows: QuerySet[Camera] = found.qs
    return rows


def without_nul(query: QueryDict) -> QueryDict:
    """The query itself. Raises `Invalid` (422) for NUL and lone surrogates, which PostgreSQL would reject."""
    for name, values in query.lists():
        for value in values:
            if "\0" in value or (not value.isprintable() and value.encode("utf-8", "replace").decode() != value):
                raise Invalid.field(name[:50].replace("\0", ""), "must not contain control characters.")
    return query


def sparse_fields(query: QueryDict) -> list[str] | None:
    """The keys requested by `fields`, or None for all. Raises `BadRequest` with the valid keys for an unknown one."""
    requested = [word.strip().lower() for word in query.get("fields", "").split(",") if word.strip()]
    unknown = sorted(set(requested) - set(SPARSE_FIELDS))
    if unknown:
        raise BadRequest(f"There is no field {unknown[0][:50]!r}. Valid fields: {', '.join(SPARSE_FIELDS)}.")
    return [field for field in SPARSE_FIELDS if field in requested] if requested else None


def select_fields(camera: dict[str, Any], fields: list[str] | None) -> dict[str, Any]:
    return camera if fields is None else {field: camera[field] for field in fields}
