"""Events and detections in the admin: to be looked at; of an event, one's own remarks can be changed."""

from __future__ import annotations

from functools import cached_property
from typing import Any, ClassVar, TypeVar

from django.contrib import admin
from django.core.paginator import Paginator
from django.db.models import QuerySet
from django.forms import ModelForm
from django.http import HttpRequest

from cameras.models import Camera
from media_serving.events import update_event
from media_serving.models import Detection, Event
from media_serving.playable_admin import PlayableFormAdmin

__all__ = ["DetectionAdmin", "EventAdmin", "PlayableFormAdmin"]

RowT = TypeVar("RowT", Event, Detection)
REMARKS = ("keep", "reviewed", "notes")
MOST_ROWS = 10_000


class NewestRows(Paginator[Any]):
    """Pages of the newest rows only: counting millions would cost seconds, and nobody leafs that far."""

    @cached_property
    def count(self) -> int:
        rows: Any = self.object_list
        return int(rows[:MOST_ROWS].count())


class CameraFilter(admin.SimpleListFilter):
    """By camera, offering those that one may see."""

    title = parameter_name = "camera"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return list(Camera.objects.visible_to(request.user).values_list("slug", "name"))

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(camera__slug=self.value()) if self.value() else queryset


class EvidenceAdmin(admin.ModelAdmin[RowT]):
    """Rows that are made by detectors and removed by retention, not by hand."""

    paginator = NewestRows
    show_full_result_count = False
    list_select_related: ClassVar[tuple[str, ...]] = ("camera",)
    actions = None

    def get_queryset(self, request: HttpRequest) -> QuerySet[RowT]:
        rows: Any = super().get_queryset(request)  # of a model whose queryset has `visible_to`
        visible: QuerySet[RowT] = rows.visible_to(request.user)
        return visible

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
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
