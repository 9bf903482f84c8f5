"""API keys in the admin: shown once, when they are made."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.forms import ModelForm
from django.http import HttpRequest

from nvr.accounts.models import ApiKey
from nvr.audit.record import record


@admin.register(ApiKey)
class ApiKeyAdmin(admin.ModelAdmin[ApiKey]):
    list_display = ("name", "shown_prefix", "user", "read_only", "created_at", "expires_at", "last_used_at")
    list_filter = ("read_only",)
    list_select_related = ("user",)
    search_fields = ("name", "prefix", "user__username")
    fields = ("name", "user", "read_only", "expires_at")
    actions = None  # one by one, so that each revocation has its audit entry

    @admin.display(description="key")
    def shown_prefix(self, key: ApiKey) -> str:
        return f"nvr_{key.prefix}_…"

    def get_queryset(self, request: HttpRequest) -> QuerySet[ApiKey]:
        return ApiKey.objects.visible_to(request.user)

    def get_fields(self, request: HttpRequest, obj: ApiKey | None = None) -> tuple[str, ...]:
        # Only a superuser makes keys for others: whoever holds a key acts as its user.
        return (
            ("name", "user", "read_only", "expires_at")
            if may_choose_user(request)
            else ("name", "read_only", "expires_at")
        )

    def get_readonly_fields(self, request: HttpRequest, obj: ApiKey | None = None) -> tuple[str, ...]:
        return ("user",) if obj else ()

    def save_model(self, request: HttpRequest, obj: ApiKey, form: ModelForm[ApiKey], change: bool) -> None:
        if change:
            super().save_model(request, obj, form, change)
            record(
                request.user,
                "api_key_updated",
                obj,
                {name: (form.initial.get(name), getattr(obj, name)) for name in form.changed_data},
            )
            return
        owner: Any = obj.user if may_choose_user(request) else request.user
        issued, text = ApiKey.objects.issue(
            user=owner,
            name=obj.name,
            read_only=obj.read_only,
            expires_at=obj.expires_at,
            actor=request.user,  # type: ignore[arg-type]  # the admin is for users
        )
        obj.pk, obj.prefix, obj.user = issued.pk, issued.prefix, owner
        messages.warning(request, f"Copy the key now, it is shown only once: {text}")

    def delete_model(self, request: HttpRequest, obj: ApiKey) -> None:
        record(request.user, "api_key_revoked", obj)
        super().delete_model(request, obj)


def may_choose_user(request: HttpRequest) -> bool:
    return bool(request.user.is_superuser)
