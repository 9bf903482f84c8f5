"""Review paths, with the same checks and audit entries as in the API, and the trash runs."""

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
from reviewer.registry import change_groups, check_path, known_paths, remove_path, save_path


class ReviewPathForm(forms.ModelForm[ReviewPath]):
    """Checks the path as the API does; `user` is set by `ReviewPathAdmin.get_form`."""

    user: Any = None

    class Meta:
        model = ReviewPath
        fields = ("path", "groups")

    def clean_path(self) -> str:
        try:
            return check_path(self.user, self.cleaned_data["path"])
        except NvrError as error:
            raise ValidationError(error.detail) from error


@admin.register(ReviewPath)
class ReviewPathAdmin(ModelAdmin[ReviewPath]):
    form = ReviewPathForm
    list_display = ("path", "group_names", "added_at")
    search_fields = ("path",)
    filter_horizontal = ("groups",)
    actions = None  # deleted one by one, so that each deletion has its audit entry

    def get_queryset(self, request: HttpRequest) -> QuerySet[ReviewPath]:
        visible = [review_path.pk for review_path in known_paths(request.user)]
        return ReviewPath.objects.filter(pk__in=visible).prefetch_related("groups")

    def get_readonly_fields(self, request: HttpRequest, obj: ReviewPath | None = None) -> tuple[str, ...]:
        return ("path", "added_at") if obj else ()

    def get_form(
        self, request: HttpRequest, obj: ReviewPath | None = None, change: bool = False, **options: Any
    ) -> Any:
        form: Any = super().get_form(request, obj, change, **options)
        return type("UserReviewPathForm", (form,), {"user": request.user})

    @admin.display(description="groups")
    def group_names(self, review_path: ReviewPath) -> str:
        return ", ".join(group.name for group in review_path.groups.all()) or "none: only managers of review paths"

    def save_model(self, request: HttpRequest, obj: ReviewPath, form: Any, change: bool) -> None:
        if not change:
            review_path, _ = save_path(request.user, obj.path)
            # `save_path` has stored its own row: the admin goes on with that one.
            obj.pk, obj.mount = review_path.pk, review_path.mount

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
    list_display = (
        "started_at",
        "started_by_name",
        "path_or_all",
        "state",
        "deleted",
        "skipped",
        "errors",
        "bytes_freed",
    )
    list_filter = ("state",)
    actions = None

    @admin.display(description="path")
    def path_or_all(self, run: TrashRun) -> str:
        return run.path or "all"

    def get_queryset(self, request: HttpRequest) -> QuerySet[TrashRun]:
        return TrashRun.objects.visible_to(request.user)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: TrashRun | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: TrashRun | None = None) -> bool:
        return False
