"""Answers outside of any view: JSON in the contract's shape below /api/, a page everywhere else."""

from __future__ import annotations

import sys
from typing import Any

from django.core.exceptions import PermissionDenied, RequestDataTooBig
from django.db import DataError, InterfaceError, OperationalError
from django.http import Http404, HttpRequest, HttpResponse
from django.template.loader import render_to_string

from nvr.api.errors import error_response
from nvr.errors import NvrError

DATABASE_FAULTS = (OperationalError, InterfaceError)


def is_api(request: HttpRequest) -> bool:
    return request.path.startswith("/api/")


def page(status: int, template: str | None = None) -> HttpResponse:
    """An error page drawn without database or session: it must work when nothing else does."""
    return HttpResponse(render_to_string(template or f"{status}.html"), status=status)


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    if is_api(request):
        return error_response(exception, request)
    return page(413 if isinstance(exception, RequestDataTooBig) else 400, "400.html")


def permission_denied(request: HttpRequest, exception: Exception) -> HttpResponse:
    return error_response(exception, request) if is_api(request) else page(403)


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    return error_response(Http404(), request) if is_api(request) else page(404)


def server_error(request: HttpRequest) -> HttpResponse:
    exception = sys.exc_info()[1]
    error = exception if isinstance(exception, Exception) else RuntimeError("unknown")
    if is_api(request):
        return error_response(error, request)
    if isinstance(error, DATABASE_FAULTS):
        response = page(503)
        response["Retry-After"] = "5"
        return response
    return page(400 if isinstance(error, DataError) else 500)


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    return error_response(PermissionDenied(), request) if is_api(request) else page(403, "403_csrf.html")


class DomainErrorMiddleware:
    """A page's view raises the same domain errors as the API: here they become pages."""

    def __init__(self, get_response: Any) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        answer: HttpResponse = self.get_response(request)
        return answer

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        if not isinstance(exception, NvrError) or is_api(request):
            return None
        response = page(exception.status, f"{exception.status}.html" if exception.status in PAGES else "500.html")
        for name, value in exception.headers.items():
            response[name] = value
        return response


PAGES = {403, 404, 429, 503}
