"""Transcodes in the admin: state, reason of failure, and retry."""

from __future__ import annotations

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest

from media_serving.models import Transcode
from media_serving.transcoding.requests import reset, shown_source
from nvr.jobs.models import JobState
from nvr.model_admin import ModelAdmin


@admin.register(Transcode)
class TranscodeAdmin(ModelAdmin[Transcode]):
    """For superusers only: rows show files of all cameras."""

    list_display = ("video", "state", "reason", "attempts", "size_bytes", "created_at", "used_at")
    list_filter = ("state",)
    actions = ("retry_transcodes",)
    show_full_result_count = False

    @admin.display(description="video")
    def video(self, row: Transcode) -> str:
        return shown_source(row)

    @admin.action(description="Retry the selected transcodes")
    def retry_transcodes(self, request: HttpRequest, rows: QuerySet[Transcode]) -> None:
        failed = list(rows.filter(state=JobState.FAILED))
        for row in failed:
            reset(row)
        messages.success(request, f"Queued {len(failed)} transcode{'' if len(failed) == 1 else 's'} for retry.")

    def has_module_permission(self, request: HttpRequest) -> bool:
        return bool(request.user.is_superuser)

    def has_view_permission(self, request: HttpRequest, obj: Transcode | None = None) -> bool:
        return bool(request.user.is_superuser)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Transcode | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Transcode | None = None) -> bool:
        return False
