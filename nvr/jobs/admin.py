"""The list of failed jobs in the admin: all kinds in one list, with the reason and a retry."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import NoReverseMatch, URLPattern, path, reverse

from nvr.errors import NvrError
from nvr.jobs.failed import FailedJobs, FailedRow, failed_rows, fetch, visible_kinds
from nvr.jobs.models import FailedJob
from nvr.model_admin import ModelAdmin

PAGE_SIZE = 50
MAX_SHOWN_ERRORS = 5


@admin.register(FailedJob)
class FailedJobAdmin(ModelAdmin[FailedJob]):
    """A list over the tables of all jobs; it has no table and no pages of its own."""

    def get_urls(self) -> list[URLPattern]:
        return [path("", self.admin_site.admin_view(self.changelist_view), name="jobs_failedjob_changelist")]

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        user: Any = request.user  # the admin admits signed-in users only
        kinds = visible_kinds(user)
        if not kinds:
            raise PermissionDenied
        if request.method == "POST":
            retry_selected(request, user, kinds)
            return redirect(request.get_full_path())
        chosen = [kind for kind in kinds if kind.name == request.GET.get("kind")]
        page = Paginator(failed_rows(user, chosen or kinds), PAGE_SIZE).get_page(request.GET.get("p"))
        context = {
            **self.admin_site.each_context(request),
            "title": "Failed jobs",
            "opts": self.opts,
            "kinds": kinds,
            "chosen": chosen[0] if chosen else None,
            "page": page,
            "rows": [shown(row, user) for row in fetch(user, list(page))],
        }
        return TemplateResponse(request, "admin/jobs/failed_jobs.html", context)

    def has_module_permission(self, request: HttpRequest) -> bool:
        user: Any = request.user
        return bool(visible_kinds(user))

    def has_view_permission(self, request: HttpRequest, obj: FailedJob | None = None) -> bool:
        return self.has_module_permission(request)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: FailedJob | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: FailedJob | None = None) -> bool:
        return False


def shown(row: FailedRow, user: User) -> dict[str, Any]:
    return {
        "key": f"{row.kind.name}:{row.job.pk}",
        "kind": row.kind.label,
        "text": row.kind.describe(row.job),
        "url": admin_url(row),
        "reason": row.job.reason,
        "attempts": row.job.attempts,
        "failed_at": row.job.failed_at,
        "may_retry": row.kind.may_retry(user),
    }


def admin_url(row: FailedRow) -> str:
    """The job's page in the admin; empty if its model has none."""
    try:
        return reverse(f"admin:{row.job._meta.app_label}_{row.kind.name}_change", args=[row.job.pk])
    except NoReverseMatch:
        return ""


def retry_selected(request: HttpRequest, user: User, kinds: list[FailedJobs]) -> None:
    """Retry the jobs that the form names as `kind:key`, and report how many were queued and why others were not."""
    queued, errors = 0, list[str]()
    by_kind: dict[str, list[int]] = {}
    for key in request.POST.getlist("job")[:PAGE_SIZE]:
        name, _, pk = key.partition(":")
        if pk.isdecimal() and pk.isascii() and len(pk) < 19:
            by_kind.setdefault(name, []).append(int(pk))
    for kind in kinds:
        if kind.name not in by_kind or not kind.may_retry(user):
            continue
        for job in kind.failed_for(user).filter(pk__in=by_kind[kind.name]):
            try:
                kind.retry(user, job)
            except NvrError as error:
                errors.append(f"{kind.describe(job)}: {error.detail}")
            else:
                queued += 1
    if queued:
        messages.success(request, f"Queued {queued} job{'' if queued == 1 else 's'} for retry.")
    elif not errors:
        messages.warning(request, "No job was retried: select failed jobs that you may retry.")
    for text in errors[:MAX_SHOWN_ERRORS]:
        messages.error(request, text)
