"""Review paths in the admin: added and removed as through the API; and the history of trash runs."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.http import HttpRequest

from nvr.errors import NvrError
from nvr.model_admin import ModelAdmin
from reviewer.models import ReviewPath, TrashRun
from reviewer.registry import change_groups, check_path, known_paths, put_path, remove_path


class ReviewPathForm(forms.ModelForm[ReviewPath]):
    """The path is checked as the API checks it; `asker` is who fills the form in."""

    asker: Any = None

    class Meta:
        model = ReviewPath
        fields = ("path", "groups")

    def clean_path(self) -> str:
        try:
            return check_path(self.asker, self.cleaned_data["path"])
        except NvrError as error:
            raise ValidationError(error.detail) from error


@admin.register(ReviewPath)
class ReviewPathAdmin(ModelAdmin[ReviewPath]):
    form = ReviewPathForm
    list_display = ("path", "for_whom", "added_at")
    search_fields = ("path",)
    filter_horizontal = ("groups",)
    actions = None  # one by one, so that each removal has its audit entry

    def get_queryset(self, request: HttpRequest) -> QuerySet[ReviewPath]:
        visible = [row.pk for row in known_paths(request.user)]
        return ReviewPath.objects.filter(pk__in=visible).prefetch_related("groups")

    def get_readonly_fields(self, request: HttpRequest, obj: ReviewPath | None = None) -> tuple[str, ...]:
        return ("path", "added_at") if obj else ()

    def get_form(
        self, request: HttpRequest, obj: ReviewPath | None = None, change: bool = False, **options: Any
    ) -> Any:
        form: Any = super().get_form(request, obj, change, **options)
        return type("AskedForm", (form,), {"asker": request.user})

    @admin.display(description="for")
    def for_whom(self, row: ReviewPath) -> str:
        return ", ".join(group.name for group in row.groups.all()) or "who manages the paths"

    def save_model(self, request: HttpRequest, obj: ReviewPath, form: Any, change: bool) -> None:
        if not change:
            row, _ = put_path(request.user, obj.path)
            obj.pk, obj.mount = row.pk, row.mount

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        change_groups(request.user, ReviewPath.objects.get(pk=form.instance.pk), form.cleaned_data["groups"])

    def delete_model(self, request: HttpRequest, obj: ReviewPath) -> None:
        remove_path(request.user, obj.path)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("reviewer.change_reviewpath")

    def has_delete_permission(self, request: HttpRequest, obj: ReviewPath | None = None) -> bool:
        return request.user.has_perm("reviewer.change_reviewpath")


@admin.register(TrashRun)
class TrashRunAdmin(ModelAdmin[TrashRun]):
    list_display = ("started_at", "started_by_name", "where", "state", "deleted", "skipped", "errors", "bytes_freed")
    list_filter = ("state",)
    actions = None

    @admin.display(description="path")
    def where(self, run: TrashRun) -> str:
        return run.path or "all"

    def get_queryset(self, request: HttpRequest) -> QuerySet[TrashRun]:
        return TrashRun.objects.visible_to(request.user)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: TrashRun | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: TrashRun | None = None) -> bool:
        return False
