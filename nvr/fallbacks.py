"""Answers outside of any view: JSON in the contract's shape below /api/, a page everywhere else."""

from __future__ import annotations

import sys
from typing import Any

from django.core.exceptions import PermissionDenied, RequestDataTooBig
from django.db import DataError, InterfaceError, OperationalError
from django.http import Http404, HttpRequest, HttpResponse
from django.template.loader import render_to_string

from nvr.api.errors import error_response
from nvr.errors import Forbidden, NvrError, TooManyRequests
from nvr.origin import current_origin

DATABASE_FAULTS = (OperationalError, InterfaceError)


def is_api(request: HttpRequest) -> bool:
    return request.path.startswith("/api/")


def page(status: int, template: str | None = None, **words: Any) -> HttpResponse:
    """An error page drawn without database or session: it must work when nothing else does."""
    words |= {"status": status, "request_id": current_origin.get().request_id}
    return HttpResponse(render_to_string(template or f"{status}.html", words), status=status)


def page_for(error: NvrError) -> HttpResponse:
    """A domain error as a page: one of those with words of their own, else its own sentence."""
    told = {"detail": error.detail} if error.detail != error.title else {}
    if isinstance(error, Forbidden):
        response = page(403, **told)
    elif isinstance(error, TooManyRequests):
        response = page(429, seconds=int(error.headers["Retry-After"]))
    elif error.status in PAGES:
        response = page(error.status)
    else:
        heading = "This cannot be done." if error.status < 500 else f"{error.title}."
        response = page(error.status, "refused.html", heading=heading, detail=error.detail)
    for name, value in error.headers.items():
        response[name] = value
    return response


def answer_for(error: NvrError, request: HttpRequest) -> HttpResponse:
    return error_response(error, request) if is_api(request) else page_for(error)


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    if is_api(request):
        return error_response(exception, request)
    return page(413 if isinstance(exception, RequestDataTooBig) else 400)


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
    """A page's view raises the same domain errors as the API: here they become pages.

    So does its refusal of a method (`/logout` typed into the browser), which is an empty answer in Django.
    """

    def __init__(self, get_response: Any) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        answer: HttpResponse = self.get_response(request)
        if answer.status_code != 405 or is_api(request):
            return answer
        refusal = page(405)
        refusal["Allow"] = answer["Allow"]
        return refusal

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        if not isinstance(exception, NvrError) or is_api(request):
            return None
        return page_for(exception)


PAGES = {404, 500, 503}
