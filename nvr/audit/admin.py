"""The read-only admin of the audit log."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from nvr.audit.models import AuditEntry, known_actions, known_targets
from nvr.model_admin import ModelAdmin


class RegisteredValuesFilter(admin.SimpleListFilter):
    """Filters by registered values; Django's own filter would search all rows for them."""

    def queryset(self, request: HttpRequest, queryset: QuerySet[AuditEntry]) -> QuerySet[AuditEntry]:
        return queryset.filter(**{self.parameter_name or "": self.value()}) if self.value() else queryset


class ActionFilter(RegisteredValuesFilter):
    title, parameter_name = "action", "action"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(action, action.replace("_", " ")) for action in known_actions()]


class TargetFilter(RegisteredValuesFilter):
    title, parameter_name = "target type", "target_type"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(target, target) for target in known_targets()]


@admin.register(AuditEntry)
class AuditEntryAdmin(ModelAdmin[AuditEntry]):
    list_display = ("at", "actor_name", "action", "target_type", "target_name", "address")
    list_filter = (ActionFilter, TargetFilter, "at")
    search_fields = ("actor_name", "target_name", "address")
    # `at` is not editable, so Django would omit it.
    fields = readonly_fields = (
        "at",
        "actor_name",
        "action",
        "target_type",
        "target_name",
        "changes",
        "address",
        "client",
        "request_id",
    )
    show_full_result_count = False  # counting a table that only grows would take longer and longer

    def get_queryset(self, request: HttpRequest) -> QuerySet[AuditEntry]:
        return AuditEntry.objects.visible_to(request.user)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: AuditEntry | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: AuditEntry | None = None) -> bool:
        return False
