"""Error responses outside of views: JSON in the contract's format below /api/, pages everywhere else."""

from __future__ import annotations

import logging
import sys
from pathlib import PurePosixPath
from typing import Any

from django.core.exceptions import PermissionDenied, RequestDataTooBig
from django.db import DataError, InterfaceError, OperationalError
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.loader import render_to_string
from django.urls import Resolver404, resolve

from nvr.api.errors import error_response
from nvr.errors import Forbidden, NvrError, TooManyRequests
from nvr.request_context import current_origin

logger = logging.getLogger(__name__)

DATABASE_FAULTS = (OperationalError, InterfaceError)


def is_api(request: HttpRequest) -> bool:
    return request.path.startswith("/api/")


def page(
    status: int, template: str | None = None, *, request: HttpRequest | None = None, **context: Any
) -> HttpResponse:
    """Return an error page: with navigation for signed-in users, otherwise without database and session.

    If rendering the navigation fails, the page is sent without it.
    """
    template = template or f"{status}.html"
    context |= {"status": status, "request_id": current_origin.get().request_id}
    # The navigation needs the database, which is often why a page is unavailable.
    html = render_with_navigation(template, request, context) if request is not None and status != 503 else None
    if html is None:
        html = render_to_string(template, context | {"layout": "minimal.html"})
    return HttpResponse(html, status=status)


def render_with_navigation(template: str, request: HttpRequest, context: dict[str, Any]) -> str | None:
    """Return the page with navigation; None if the user is not signed in or rendering fails."""
    try:
        user = getattr(request, "user", None)
        if user is None or not user.is_authenticated:
            return None
        return render_to_string(template, context | {"layout": "framed.html"}, request)
    except Exception:
        logger.warning("error page rendered without navigation template=%s", template, exc_info=True)
        return None


def page_for(error: NvrError, request: HttpRequest | None = None) -> HttpResponse:
    """Return the page for a domain error: the template of its status, or the generic one with its message."""
    context = {"detail": error.detail} if error.detail != error.title else {}
    if isinstance(error, Forbidden):
        response = page(403, request=request, **context)
    elif isinstance(error, TooManyRequests):
        response = page(429, request=request, seconds=int(error.headers["Retry-After"]))
    elif error.status in PAGES:
        response = page(error.status, request=request)
    else:
        heading = "This cannot be done." if error.status < 500 else f"{error.title}."
        response = page(error.status, "error.html", request=request, heading=heading, detail=error.detail)
    for name, value in error.headers.items():
        response[name] = value
    return response


def response_for(error: NvrError, request: HttpRequest) -> HttpResponse:
    return error_response(error, request) if is_api(request) else page_for(error)


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    if is_api(request):
        return error_response(exception, request)
    return page(413 if isinstance(exception, RequestDataTooBig) else 400, request=request)


def permission_denied(request: HttpRequest, exception: Exception) -> HttpResponse:
    return error_response(exception, request) if is_api(request) else page(403, request=request)


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    return error_response(Http404(), request) if is_api(request) else page(404, request=request)


def server_error(request: HttpRequest) -> HttpResponse:
    exception = sys.exc_info()[1]
    error = exception if isinstance(exception, Exception) else RuntimeError("unknown")
    if is_api(request):
        return error_response(error, request)
    if isinstance(error, DATABASE_FAULTS):
        # Without the request: the navigation and the session need the database.
        response = page(503)
        response["Retry-After"] = "5"
        return response
    return page(400 if isinstance(error, DataError) else 500, request=request)


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    return (
        error_response(PermissionDenied(), request) if is_api(request) else page(403, "403_csrf.html", request=request)
    )


class DomainErrorMiddleware:
    """Turns domain errors that page views raise into error pages.

    It also adds a page to Django's empty 405 response. If a browser opens a POST-only address (`/logout` typed, a page
    reloaded after signing in), it redirects to the nearest parent page.
    """

    def __init__(self, get_response: Any) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response: HttpResponse = self.get_response(request)
        if response.status_code != 405 or is_api(request):
            return response
        if request.method in {"GET", "HEAD"}:
            return redirect(parent_page(request.path))
        error_page = page(405, request=request)
        error_page["Allow"] = response["Allow"]
        return error_page

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        if not isinstance(exception, NvrError) or is_api(request):
            return None
        return page_for(exception, request)


def parent_page(path: str) -> str:
    """Return the nearest parent of `path` that accepts GET: `/events/7` for `/events/7/clip`; `/` if there is none."""
    parents = [str(parent) for parent in PurePosixPath(path).parents]
    return next((parent for parent in parents if accepts_get(parent)), "/")


def accepts_get(path: str) -> bool:
    try:
        view = resolve(path).func
    except Resolver404:
        return False
    return hasattr(getattr(view, "view_class", None), "get")


PAGES = {404, 413, 500, 503}
