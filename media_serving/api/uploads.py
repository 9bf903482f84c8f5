"""Uploads, for staff: files that cameras delivered, their state, and retry."""

from __future__ import annotations

from typing import Any, TypeVar

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from media_serving.api import schema
from media_serving.api.filters import filtered_uploads
from media_serving.api.representation import upload_as_json, upload_rows
from media_serving.ingest.retry import retry
from media_serving.models import Upload
from nvr.api.pagination import KeysetPage
from nvr.api.permissions import HasPermission, IsStaff
from nvr.api.views import ApiView
from nvr.errors import NotFound

RowT = TypeVar("RowT")


class UploadListView(ApiView):
    """Uploads of the cameras that you may see, newest first."""

    permission_classes = (IsStaff,)

    @extend_schema(**schema.LIST_UPLOADS)
    def get(self, request: Request) -> Response:
        found = upload_rows(filtered_uploads(request.user, request.query_params))
        page = KeysetPage(found, request.query_params, timestamp_field="received_at")
        return Response(page.envelope([upload_as_json(row) for row in page.items]))


class UploadRetryView(ApiView):
    permission_classes = (IsStaff, HasPermission("media_serving.change_upload"))

    @extend_schema(**schema.RETRY_UPLOAD)
    def post(self, request: Request, upload_id: int) -> Response:
        """Retry a rejected or failed upload; a waiting one is not changed."""
        found = Upload.objects.visible_to(request.user).filter(pk=upload_id)
        retry(request.user, first_or_404(found))
        # Fetch again: a worker may have processed it, or deleted the row because another camera now owns the file.
        return Response(upload_as_json(first_or_404(upload_rows(found))), status=202)


def first_or_404(uploads: QuerySet[Any, RowT]) -> RowT:
    upload = uploads.first()
    if upload is None:
        raise NotFound("Upload not found")
    return upload
