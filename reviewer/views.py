"""The page `/review`: choosing a folder, reviewing it, and the same by forms where no script runs."""

from __future__ import annotations

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
from reviewer.path_resolution import exactly
from reviewer.registry import add_path, known_paths, remove_path
from reviewer.trash import runs as trash_runs

REVIEW = "reviewer.review"
MANAGE = "reviewer.change_reviewpath"
LONGEST_NUMBER = 18  # digits; Python refuses to read some thousands, and no run has more
DONE = {
    "seen": "seen",
    "unseen": "not seen",
    "lock": "locked",
    "unlock": "unlocked",
    "trash": "moved to the trash",
    "untrash": "taken out of the trash",
}


class Reviewing(PermissionRequiredMixin, View):
    """For whoever may review; others are told so, not sent to sign in again."""

    permission_required: Any = REVIEW
    raise_exception = True


class ReviewView(Reviewing):
    """Without `path` the choice of a folder, with it its review; `plain=1` is the one without scripts."""

    def get(self, request: HttpRequest) -> HttpResponse:
        given = request.GET.get("path")
        if not given:
            return render(request, "reviewer/pick.html", choice_for(request))
        root = exactly(request.user, given)
        if request.GET.get("plain") != "1":
            return render(request, "reviewer/review.html", review_of(request, root))
        if request.GET.get("file"):
            return render(request, "reviewer/plain_item.html", context(root, no_js_views.one, request))
        return render(request, "reviewer/plain.html", context(root, no_js_views.page, request))


def context(root: ReviewPath, asked: Any, request: HttpRequest) -> dict[str, Any]:
    """What `asked` finds; when the path is away, or its index, only why."""
    common = {"root": root, "name": no_js_views.short_name(root), "here": request.get_full_path()}
    try:
        found: dict[str, Any] = asked(root, request.GET)
    except (PathUnavailable, StorageFull, Unavailable) as error:
        found = {"away": error.detail}
    return common | found


def choice_for(request: HttpRequest) -> dict[str, Any]:
    roots = known_paths(request.user)
    return {
        "roots": [
            {
                "path": root.path,
                "name": no_js_views.short_name(root),
                "url": no_js_views.address(root.path, filter="unseen"),
            }
            for root in roots
        ],
        "may_manage": request.user.has_perm(MANAGE),
        "typed": request.GET.get("add", ""),
    }


def review_of(request: HttpRequest, root: ReviewPath) -> dict[str, Any]:
    query = request.GET.copy()
    query["plain"] = "1"
    chosen = no_js_views.filter_from(request.GET)
    return {
        "root": root,
        "name": no_js_views.short_name(root),
        "chosen": chosen,
        "filters": no_js_views.chips(root.path, chosen),
        "plain_url": f"{reverse('review')}?{query.urlencode()}",
    }


class MarkView(Reviewing):
    """A form's `action` on its `files`; then to the page that it names."""

    def post(self, request: HttpRequest) -> HttpResponse:
        paths = [no_js_views.path_from(value) for value in request.POST.getlist("files")]
        if not paths:
            messages.warning(request, "Choose at least one file.")
            return redirect(back_from(request))
        action = request.POST.get("action", "")
        tell(request, action, act_on_many(request.user, paths, action))
        return redirect(back_from(request))


def tell(request: HttpRequest, action: str, rows: list[dict[str, Any]]) -> None:
    refused = [row for row in rows if row["error"]]
    done = len(rows) - len(refused)
    if done:
        messages.success(request, f"{done} {'file' if done == 1 else 'files'} {DONE[action]}.")
    for why in dict.fromkeys(row["error"] for row in refused):
        count = sum(row["error"] == why for row in refused)
        messages.error(request, f"{count} {'file was' if count == 1 else 'files were'} left as before: {why}")


def back_from(request: HttpRequest) -> str:
    """The page that the form names, if it is one of ours."""
    given = request.POST.get("back", "")
    is_ours = url_has_allowed_host_and_scheme(given, allowed_hosts=None)
    return given if is_ours and given.startswith("/review") else reverse("review")


class PathsView(Reviewing):
    """Adding and removing review paths by forms; a refused one comes back with its reason and what was typed."""

    permission_required = (REVIEW, MANAGE)

    def get(self, request: HttpRequest) -> HttpResponse:
        """Asks for a confirmation before `path` is removed."""
        if not request.GET.get("path"):
            return redirect("review")
        root = exactly(request.user, request.GET["path"])
        return render(request, "reviewer/remove.html", {"root": root, "name": no_js_views.short_name(root)})

    def post(self, request: HttpRequest) -> HttpResponse:
        given = request.POST.get("path", "").strip()
        try:
            if request.POST.get("remove"):
                messages.success(request, f"{remove_path(request.user, given)} is no longer reviewed.")
                return redirect("review")
            row, _ = add_path(request.user, given)
        except NvrError as error:
            return render(
                request,
                "reviewer/pick.html",
                choice_for(request) | {"typed": given, "refusal": error.detail},
                status=error.status,
            )
        return redirect(no_js_views.address(row.path, filter="unseen"))


class TrashView(Reviewing):
    """How much there is to delete, the emptying itself, and those before; by forms."""

    def get(self, request: HttpRequest) -> HttpResponse:
        if not request.GET.get("path"):
            return redirect("review")
        root = exactly(request.user, request.GET.get("path"))
        found = context(root, lambda root, query: no_js_views.trash_of(request.user, root), request)
        return render(request, "reviewer/plain_trash.html", found)

    def post(self, request: HttpRequest) -> HttpResponse:
        root = exactly(request.user, request.POST.get("path"))
        number = request.POST.get("cancel", "")
        try:
            if number.isdecimal() and len(number) <= LONGEST_NUMBER:
                trash_runs.cancel(get_object_or_404(TrashRun.objects.visible_to(request.user), pk=int(number)))
            elif request.POST.get("sure") == "1":
                trash_runs.start_run(request.user, root.path)
                messages.success(request, "The trash is being emptied. Load this page again to see how far it is.")
        except NvrError as error:
            messages.error(request, error.detail)
        return redirect(no_js_views.trash_address(root.path))
