"""Events, detections, clips and uploads in the admin, mostly read-only.

Users can edit an event's remarks, regenerate clips, and retry rejected or failed uploads.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from functools import cached_property, partial
from typing import Any, ClassVar, TypeVar

from django.contrib import admin, messages
from django.core.paginator import Paginator
from django.db.models import QuerySet
from django.forms import ModelForm
from django.http import HttpRequest
from django.template.defaultfilters import filesizeformat

from cameras.models import Camera
from media_serving.clips.requests import request_clip
from media_serving.events import update_event
from media_serving.ingest.retry import CAN_BE_RETRIED, retry
from media_serving.models import ClipWork, Detection, Event, Upload
from media_serving.transcoding.admin import TranscodeAdmin
from nvr.errors import NvrError
from nvr.jobs.models import JobState
from nvr.model_admin import ModelAdmin

__all__ = ["ClipWorkAdmin", "DetectionAdmin", "EventAdmin", "TranscodeAdmin", "UploadAdmin"]

RowT = TypeVar("RowT", Event, Detection, ClipWork, Upload)
REMARKS = ("keep", "reviewed", "notes")
MAX_ROWS = 10_000
MAX_AT_ONCE = 1000  # rows per request: each is a transaction with its audit entry


class NewestRows(Paginator[Any]):
    """Pages of the newest rows only: counting millions would take seconds, and nobody pages that far."""

    @cached_property
    def count(self) -> int:
        rows: Any = self.object_list
        return int(rows[:MAX_ROWS].count())


class CameraFilter(admin.SimpleListFilter):
    """Filter by camera, limited to visible cameras."""

    title = parameter_name = "camera"
    slug = "camera__slug"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return list(Camera.objects.visible_to(request.user).values_list("slug", "name"))

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(**{self.slug: self.value()}) if self.value() else queryset


class CameraOfEventFilter(CameraFilter):
    slug = "event__camera__slug"


class EvidenceAdmin(ModelAdmin[RowT]):
    """Rows created by cameras and detectors and removed by retention, not edited by users."""

    paginator = NewestRows
    show_full_result_count = False
    list_select_related: ClassVar[tuple[str, ...]] = ("camera",)
    actions: Any = None

    def get_queryset(self, request: HttpRequest) -> QuerySet[RowT]:
        rows: Any = super().get_queryset(request)  # the model's queryset has `visible_to`
        visible: QuerySet[RowT] = rows.visible_to(request.user)
        return visible

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def restart(self, request: HttpRequest, rows: QuerySet[RowT], action: Callable[[RowT], object], noun: str) -> int:
        """Run `action` on the first `MAX_AT_ONCE` rows, show how many succeeded, and return that number."""
        selected = list(rows[: MAX_AT_ONCE + 1])
        restarted = sum(try_action(action, row) for row in selected[:MAX_AT_ONCE])
        if restarted:
            messages.success(request, f"Queued {restarted} {noun}{'' if restarted == 1 else 's'}.")
        if len(selected) > MAX_AT_ONCE:
            messages.warning(request, f"Only the first {MAX_AT_ONCE} were queued: repeat the action for the rest.")
        return restarted


def try_action(action: Callable[[Any], object], row: Any) -> bool:
    try:
        return bool(action(row))
    except NvrError:  # a worker or another user was faster
        return False


@admin.register(Event)
class EventAdmin(EvidenceAdmin[Event]):
    list_display = ("started_at", "camera", "classes", "detection_count", "is_over", "has_clip", "reviewed", "keep")
    list_filter = (CameraFilter, "reviewed", "keep", ("ended_at", admin.EmptyFieldListFilter), "started_at")
    search_fields = ("notes", "camera__name")
    fields = (
        "camera",
        "started_at",
        "last_detected_at",
        "ended_at",
        "classes",
        "detection_count",
        "clip_size_bytes",
        "clip_created_at",
        *REMARKS,
    )
    readonly_fields = tuple(name for name in fields if name not in REMARKS)

    @admin.display(description="found")
    def classes(self, event: Event) -> str:
        return ", ".join(event.object_classes) or "nothing"

    @admin.display(description="over", boolean=True)
    def is_over(self, event: Event) -> bool:
        return not event.is_open

    @admin.display(description="clip", boolean=True)
    def has_clip(self, event: Event) -> bool:
        return event.clip_size_bytes is not None

    def save_model(self, request: HttpRequest, obj: Event, form: ModelForm[Event], change: bool) -> None:
        update_event(request.user, obj, {name: form.cleaned_data[name] for name in REMARKS})


@admin.register(Detection)
class DetectionAdmin(EvidenceAdmin[Detection]):
    list_display = ("detected_at", "camera", "object_class", "confidence", "media_type", "source", "event")
    list_filter = (CameraFilter, "media_type", "detected_at")
    list_select_related = ("camera", "event")
    search_fields = ("object_class", "camera__name", "external_id", "file_path")

    def has_change_permission(self, request: HttpRequest, obj: Detection | None = None) -> bool:
        return False


@admin.register(Upload)
class UploadAdmin(EvidenceAdmin[Upload]):
    list_display = ("camera", "path", "state", "reason", "attempts", "size", "captured_at", "capture_clue")
    list_display_links = ("path",)
    list_filter = (CameraFilter, "state", "capture_clue", "clock_is_absurd", "received_at")
    search_fields = ("path", "reason", "camera__name")
    actions = ("retry_uploads",)
    # Non-editable fields appear only if they are listed.
    fields = readonly_fields = (
        "camera",
        "path",
        "state",
        "reason",
        "attempts",
        "retry_at",
        "size_bytes",
        "received_at",
        "captured_at",
        "capture_clue",
        "capture_note",
        "clock_is_absurd",
        "is_kept",
    )

    def has_change_permission(self, request: HttpRequest, obj: Upload | None = None) -> bool:
        return False

    def has_retry_permission(self, request: HttpRequest) -> bool:
        return bool(request.user.has_perm("media_serving.change_upload"))

    @admin.display(description="size", ordering="size_bytes")
    def size(self, upload: Upload) -> str:
        return filesizeformat(upload.size_bytes)

    @admin.action(description="Retry the selected uploads", permissions=["retry"])
    def retry_uploads(self, request: HttpRequest, uploads: QuerySet[Upload]) -> None:
        """Uploads that are done, processing or waiting are not changed."""
        failed = uploads.filter(state__in=CAN_BE_RETRIED)
        if not self.restart(request, failed, partial(retry, request.user), "upload"):
            messages.warning(request, "No selected upload was rejected or failed: nothing to retry.")


@admin.register(ClipWork)
class ClipWorkAdmin(EvidenceAdmin[ClipWork]):
    list_display = ("event", "camera", "began", "state", "reason", "attempts", "retry_at", "sent_at")
    list_filter = (CameraOfEventFilter, "state", "sent_at")
    # With a join, SQLite would start with the events and sort all clips for one page.
    list_select_related = ()
    ordering = ("-pk",)
    search_fields = ("reason", "event__camera__name")
    actions = ("regenerate",)
    fields = readonly_fields = (
        "event",
        "camera",
        "began",
        "state",
        "reason",
        "attempts",
        "leased_until",
        "retry_at",
        "sent_at",
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[ClipWork]:
        return super().get_queryset(request).prefetch_related("event__camera")

    @admin.display(description="camera", ordering="event__camera__name")
    def camera(self, work: ClipWork) -> str:
        return work.event.camera.name

    @admin.display(description="event began", ordering="event__started_at")
    def began(self, work: ClipWork) -> datetime:
        return work.event.started_at

    def has_change_permission(self, request: HttpRequest, obj: ClipWork | None = None) -> bool:
        return False

    def has_remake_permission(self, request: HttpRequest) -> bool:
        return bool(request.user.has_perm("media_serving.change_event"))

    @admin.action(description="Regenerate the selected clips", permissions=["remake"])
    def regenerate(self, request: HttpRequest, works: QuerySet[ClipWork]) -> None:
        """Clips that are waiting or in progress are not changed; the worker checks whether there is footage."""
        others = works.exclude(state=JobState.WAITING, retry_at=None)
        if not self.restart(request, others, lambda work: request_clip(request.user, work.event), "clip"):
            messages.warning(request, "All selected clips are already waiting or in progress.")
