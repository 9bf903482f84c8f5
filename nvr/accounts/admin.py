"""API keys in the admin, shown once, when they are made; and users, whose passwords are set on the record."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.utils import unquote
from django.contrib.auth.admin import GroupAdmin as DjangosGroupAdmin
from django.contrib.auth.admin import UserAdmin as DjangosUserAdmin
from django.contrib.auth.models import Group, User
from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import QuerySet
from django.forms import ModelForm
from django.http import HttpRequest, HttpResponse
from django.utils import timezone

from nvr.accounts.models import ApiKey
from nvr.accounts.permission_picker import PermissionPicker
from nvr.audit.record import record


class ApiKeyForm(ModelForm[ApiKey]):
    def clean_expires_at(self) -> datetime | None:
        expires_at: datetime | None = self.cleaned_data["expires_at"]
        if expires_at and expires_at <= timezone.now() and "expires_at" in self.changed_data:
            raise ValidationError("This time has passed: choose one to come. To end a key now, delete it.")
        return expires_at


@admin.register(ApiKey)
class ApiKeyAdmin(admin.ModelAdmin[ApiKey]):
    form = ApiKeyForm
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


admin.site.unregister([User, Group])


@admin.register(User)
class UserAdmin(PermissionPicker, DjangosUserAdmin[User]):
    """Django's own, but that a password set for somebody leaves an audit entry, as one's own change does."""

    def user_change_password(self, request: HttpRequest, id: str, form_url: str = "") -> HttpResponse:
        user = self.get_object(request, unquote(id))
        with transaction.atomic():
            response: HttpResponse = super().user_change_password(request, id, form_url)
            changed = User.objects.filter(pk=user.pk).exclude(password=user.password).first() if user else None
            if changed is not None:
                kept = changed.has_usable_password()
                record(request.user, "password_changed" if kept else "password_disabled", changed)
        return response


@admin.register(Group)
class GroupAdmin(PermissionPicker, DjangosGroupAdmin):  # type: ignore[misc]  # a signature of the stubs alone
    """Django's own, but for the permissions that it offers."""
