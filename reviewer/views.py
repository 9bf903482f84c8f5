"""The review pages: choose a folder, review it, empty its trash; and the same with forms, without JavaScript."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

from django.contrib import messages
from django.contrib.auth.mixins import PermissionRequiredMixin
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.generic import View

from nvr.errors import NvrError, StorageFull, Unavailable
from reviewer import no_js_views
from reviewer.actions import act_on_many
from reviewer.catalog.scanner import PathUnavailable
from reviewer.models import ReviewPath, TrashRun
from reviewer.path_resolution import get_review_path
from reviewer.registry import add_path, known_paths, remove_path
from reviewer.trash import runs as trash_runs

GetContext = Callable[[ReviewPath, Mapping[str, str]], dict[str, Any]]

REVIEW = "reviewer.review"
MANAGE = "reviewer.change_reviewpath"
MAX_ID_DIGITS = 18  # Python refuses to parse thousands of digits
ACTION_RESULTS = {
    "seen": "marked as seen",
    "unseen": "marked as not seen",
    "lock": "locked",
    "unlock": "unlocked",
    "trash": "moved to the trash",
    "untrash": "restored from the trash",
}


class ReviewerView(PermissionRequiredMixin, View):
    """A page for users who may review. Others get 403 instead of the login page."""

    permission_required: Any = REVIEW
    raise_exception = True


class ReviewView(ReviewerView):
    """The list of review paths, or the review of `path`; with `plain=1` without JavaScript."""

    def get(self, request: HttpRequest) -> HttpResponse:
        path = request.GET.get("path")
        if not path:
            return render(request, "reviewer/pick.html", pick_context(request))
        root = get_review_path(request.user, path)
        if request.GET.get("plain") != "1":
            return render(request, "reviewer/review.html", review_context(request, root))
        if request.GET.get("file"):
            return render(request, "reviewer/plain_item.html", plain_context(root, no_js_views.file_context, request))
        return render(request, "reviewer/plain.html", plain_context(root, no_js_views.list_context, request))


def plain_context(root: ReviewPath, get_context: GetContext, request: HttpRequest) -> dict[str, Any]:
    """Return the context of a page without JavaScript, or the reason if the path or its index is unavailable."""
    common = {"root": root, "name": no_js_views.short_name(root), "here": request.get_full_path()}
    try:
        return common | get_context(root, request.GET)
    except (PathUnavailable, StorageFull, Unavailable) as error:
        return common | {"unavailable_reason": error.detail}


def pick_context(request: HttpRequest) -> dict[str, Any]:
    return {
        "roots": [
            {
                "path": root.path,
                "name": no_js_views.short_name(root),
                "url": no_js_views.review_url(root.path, filter="unseen"),
            }
            for root in known_paths(request.user)
        ],
        "may_manage": request.user.has_perm(MANAGE),
        "path": request.GET.get("add", ""),
    }


def review_context(request: HttpRequest, root: ReviewPath) -> dict[str, Any]:
    query = request.GET.copy()
    query["plain"] = "1"
    current_filter = no_js_views.filter_from(request.GET)
    return {
        "root": root,
        "name": no_js_views.short_name(root),
        "current_filter": current_filter,
        "filters": no_js_views.filter_chips(root.path, current_filter),
        "plain_url": f"{reverse('review')}?{query.urlencode()}",
    }


class MarkView(ReviewerView):
    """Applies `action` to the `files` of a form, then redirects to the page that the form names in `back`."""

    def post(self, request: HttpRequest) -> HttpResponse:
        paths = [no_js_views.decode_path(value) for value in request.POST.getlist("files")]
        if not paths:
            messages.warning(request, "Choose at least one file.")
            return redirect(return_url(request))
        action = request.POST.get("action", "")
        add_messages(request, action, act_on_many(request.user, paths, action))
        return redirect(return_url(request))


def add_messages(request: HttpRequest, action: str, results: list[dict[str, Any]]) -> None:
    """Report how many files were marked, and how many were not for each reason."""
    errors = Counter(result["error"] for result in results if result["error"])
    done = len(results) - errors.total()
    if done:
        messages.success(request, f"{done} {'file' if done == 1 else 'files'} {ACTION_RESULTS[action]}.")
    for error, count in errors.items():
        messages.error(request, f"{count} {'file was' if count == 1 else 'files were'} not changed: {error}")


def return_url(request: HttpRequest) -> str:
    """Return the page that the form names, or the list of review paths if it is not a page of the review."""
    url = request.POST.get("back", "")
    # Without allowed hosts, only paths of this server are accepted.
    is_local = url_has_allowed_host_and_scheme(url, allowed_hosts=None)
    return url if is_local and url.startswith("/review") else reverse("review")


class PathsView(ReviewerView):
    """Adds and removes review paths. A rejected path is shown again with the reason."""

    permission_required = (REVIEW, MANAGE)

    def get(self, request: HttpRequest) -> HttpResponse:
        """Ask for confirmation before removing `path`."""
        if not request.GET.get("path"):
            return redirect("review")
        root = get_review_path(request.user, request.GET["path"])
        return render(request, "reviewer/remove.html", {"root": root, "name": no_js_views.short_name(root)})

    def post(self, request: HttpRequest) -> HttpResponse:
        path = request.POST.get("path", "").strip()
        try:
            if request.POST.get("remove"):
                messages.success(request, f"{remove_path(request.user, path)} was removed from the review.")
                return redirect("review")
            review_path, _ = add_path(request.user, path)
        except NvrError as error:
            context = pick_context(request) | {"path": path, "error": error.detail}
            return render(request, "reviewer/pick.html", context, status=error.status)
        return redirect(no_js_views.review_url(review_path.path, filter="unseen"))


class TrashView(ReviewerView):
    """The trash without JavaScript: shows its size and the trash runs, starts a run or cancels one."""

    def get(self, request: HttpRequest) -> HttpResponse:
        if not request.GET.get("path"):
            return redirect("review")
        root = get_review_path(request.user, request.GET.get("path"))
        context = plain_context(root, lambda root, query: no_js_views.trash_context(request.user, root), request)
        return render(request, "reviewer/plain_trash.html", context)

    def post(self, request: HttpRequest) -> HttpResponse:
        root = get_review_path(request.user, request.POST.get("path"))
        run_id = request.POST.get("cancel", "")
        try:
            if run_id.isdecimal() and len(run_id) <= MAX_ID_DIGITS:
                trash_runs.cancel(get_object_or_404(TrashRun.objects.visible_to(request.user), pk=int(run_id)))
            elif request.POST.get("sure") == "1":
                trash_runs.start_run(request.user, root.path)
                messages.success(request, "The trash is being emptied. Reload this page to see the progress.")
        except NvrError as error:
            messages.error(request, error.detail)
        return redirect(no_js_views.trash_url(root.path))
