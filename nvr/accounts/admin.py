"""The admin of API keys, which are shown once when created, and of users and groups, with audit entries."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any, TypeVar

from django.contrib import admin, messages
from django.contrib.admin.utils import unquote
from django.contrib.auth.admin import GroupAdmin as DjangosGroupAdmin
from django.contrib.auth.admin import UserAdmin as DjangosUserAdmin
from django.contrib.auth.models import Group, User
from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Model, QuerySet
from django.forms import ModelForm
from django.http import HttpRequest, HttpResponse
from django.utils import timezone

from nvr.accounts.models import ApiKey
from nvr.accounts.permission_picker import PermissionPicker
from nvr.accounts.rights import Facts, difference, facts_of_group, facts_of_user, may_manage
from nvr.audit.record import record
from nvr.model_admin import ModelAdmin

RowT = TypeVar("RowT", bound=Model)
AUDIT_ACTIONS: dict[tuple[str, str], str] = {
    ("user", "created"): "user_created",
    ("user", "updated"): "user_updated",
    ("user", "deleted"): "user_deleted",
    ("group", "created"): "group_created",
    ("group", "updated"): "group_updated",
    ("group", "deleted"): "group_deleted",
}
RIGHTS = ("is_staff", "is_superuser", "groups", "user_permissions")  # only superusers can change them


class ApiKeyForm(ModelForm[ApiKey]):
    def clean_expires_at(self) -> datetime | None:
        expires_at: datetime | None = self.cleaned_data["expires_at"]
        if expires_at and expires_at <= timezone.now() and "expires_at" in self.changed_data:
            raise ValidationError("This time is in the past: choose a later one. To revoke a key now, delete it.")
        return expires_at


@admin.register(ApiKey)
class ApiKeyAdmin(ModelAdmin[ApiKey]):
    form = ApiKeyForm
    list_display = ("name", "shown_prefix", "user", "read_only", "created_at", "expires_at", "last_used_at")
    list_filter = ("read_only",)
    list_select_related = ("user",)
    search_fields = ("name", "prefix", "user__username")
    fields = ("name", "user", "read_only", "expires_at")
    actions = None  # no bulk deletion, so that each revocation has its audit entry

    @admin.display(description="key")
    def shown_prefix(self, key: ApiKey) -> str:
        return f"nvr_{key.prefix}_…"

    def get_queryset(self, request: HttpRequest) -> QuerySet[ApiKey]:
        return ApiKey.objects.visible_to(request.user)

    def get_fields(self, request: HttpRequest, obj: ApiKey | None = None) -> tuple[str, ...]:
        # Only superusers create keys for other users, since a key has the permissions of its user.
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
        # Not saved as an ordinary object: only `issue` knows the secret, and records the audit entry.
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


class RecordedAdmin(ModelAdmin[RowT]):
    """Records each change of permissions with old and new values, in the same transaction."""

    facts: Callable[[Any], Facts]

    def save_model(self, request: HttpRequest, obj: RowT, form: ModelForm[RowT], change: bool) -> None:
        form.facts_before = self.facts(obj)  # type: ignore[attr-defined]  # ours, for `save_related`
        super().save_model(request, obj, form, change)

    def save_related(self, request: HttpRequest, form: ModelForm[RowT], formsets: Any, change: bool) -> None:
        super().save_related(request, form, formsets, change)
        changes = difference(form.facts_before, self.facts(form.instance))  # type: ignore[attr-defined]
        if changes or not change:
            action = AUDIT_ACTIONS[str(self.opts.model_name), "updated" if change else "created"]
            record(request.user, action, form.instance, changes)

    def delete_model(self, request: HttpRequest, obj: RowT) -> None:
        action = AUDIT_ACTIONS[str(self.opts.model_name), "deleted"]
        record(request.user, action, obj, difference(self.facts(obj), {}))
        super().delete_model(request, obj)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[RowT]) -> None:
        with transaction.atomic():
            # One by one, as the bulk deletion of Django's admin does not call `delete_model`.
            for obj in queryset:
                self.delete_model(request, obj)


admin.site.unregister([User, Group])


@admin.register(User)
class UserAdmin(RecordedAdmin[User], PermissionPicker, DjangosUserAdmin[User]):
    """Django's own, except that only superusers grant permissions, and nobody manages users with more permissions."""

    facts = staticmethod(facts_of_user)

    def get_readonly_fields(self, request: HttpRequest, obj: User | None = None) -> Any:
        shown = super().get_readonly_fields(request, obj)
        return shown if request.user.is_superuser else (*shown, *RIGHTS)

    def has_change_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        return super().has_change_permission(request, obj) and (obj is None or may_manage(request.user, obj))

    def has_delete_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        return super().has_delete_permission(request, obj) and (obj is None or may_manage(request.user, obj))

    def user_change_password(self, request: HttpRequest, id: str, form_url: str = "") -> HttpResponse:
        user = self.get_object(request, unquote(id))
        with transaction.atomic():
            response: HttpResponse = super().user_change_password(request, id, form_url)
            # Only the database shows whether the password has changed: the response to a rejected form is 200, too.
            changed = User.objects.filter(pk=user.pk).exclude(password=user.password).first() if user else None
            if changed is not None:
                kept = changed.has_usable_password()
                record(request.user, "password_changed" if kept else "password_disabled", changed)
        return response


@admin.register(Group)
class GroupAdmin(RecordedAdmin[Group], PermissionPicker, DjangosGroupAdmin):  # type: ignore[misc]  # a signature of the stubs
    """Django's own, except that only superusers change its permissions or delete it."""

    facts = staticmethod(facts_of_group)

    def get_readonly_fields(self, request: HttpRequest, obj: Group | None = None) -> Any:
        return () if request.user.is_superuser else ("permissions",)

    def has_delete_permission(self, request: HttpRequest, obj: Group | None = None) -> bool:
        return bool(request.user.is_superuser)
