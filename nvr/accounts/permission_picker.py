"""Check boxes for permissions in the admin: only those that NVR uses, grouped by model.

Django has four permissions for every table, including its own (sessions, content types, the admin's log) and internal
ones; from a list of 120, administrators would choose too many or the wrong ones.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from typing import Any

from django import forms
from django.apps import apps
from django.contrib import admin
from django.contrib.auth.models import Group, Permission
from django.contrib.contenttypes.models import ContentType
from django.db.models import Model, Q, QuerySet
from django.forms.models import ModelChoiceIterator
from django.http import HttpRequest
from django.utils.text import capfirst

DEFAULT_VERBS = ("add_", "change_", "delete_", "view_")


def offered_permissions(holder: Model | None = None) -> QuerySet[Permission]:
    """Return the permissions of models in the admin, custom permissions, and those that `holder` already has."""
    shown = [model for model in apps.get_models() if admin.site.is_registered(model) and not model._meta.proxy]
    types = ContentType.objects.get_for_models(*shown).values()
    custom = ~Q(content_type__app_label__in=("admin", "contenttypes", "sessions"))
    for verb in DEFAULT_VERBS:
        custom &= ~Q(codename__startswith=verb)
    # Permissions that a user already has stay listed, or saving the form would revoke them.
    offered = Q(content_type__in=[kind.pk for kind in types]) | custom
    if holder is not None and holder.pk:
        offered |= Q(**{"group" if isinstance(holder, Group) else "user": holder.pk})
    ordered = ("content_type__app_label", "content_type__model", "codename")
    return Permission.objects.filter(offered).select_related("content_type").order_by(*ordered).distinct()


class PermissionsByModel(ModelChoiceIterator):  # type: ignore[type-arg]  # not generic at run time
    """Groups the choices by model, under its plural name."""

    def __iter__(self) -> Iterator[Any]:
        for kind, permissions in groupby(self.queryset, lambda permission: permission.content_type):
            model = kind.model_class()
            title = capfirst(str(model._meta.verbose_name_plural if model else kind.name))
            yield title, [self.choice(permission) for permission in permissions]


class PermissionField(forms.ModelMultipleChoiceField[Permission]):
    iterator = PermissionsByModel
    widget = forms.CheckboxSelectMultiple

    def label_from_instance(self, obj: Any) -> str:
        return capfirst(str(obj.name).removeprefix("Can "))


class PermissionPicker(admin.ModelAdmin[Any]):
    """Shows check boxes for groups and permissions in the admin of users and groups."""

    filter_horizontal = ()

    def formfield_for_manytomany(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        kwargs["widget"] = forms.CheckboxSelectMultiple
        if db_field.remote_field.model is Permission:
            kwargs |= {"form_class": PermissionField, "queryset": offered_permissions()}
        field = super().formfield_for_manytomany(db_field, request, **kwargs)
        if field is not None:
            field.help_text = ""  # Django's help text explains multiple selection in lists
        return field

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        form: Any = super().get_form(request, obj, change=change, **kwargs)
        for name in ("permissions", "user_permissions"):
            if name in form.base_fields:
                form.base_fields[name].queryset = offered_permissions(obj)
        return form
