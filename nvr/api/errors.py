"""Turns exceptions into error responses, in the format that each API's contract requires.

`describe` determines status, message and headers; the format depends on the path, so that a view's 405, a rate limit
in a middleware and an unknown path below it have the same format. Apps register formats by path prefix.
"""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

from django.core.exceptions import PermissionDenied, RequestDataTooBig, SuspiciousOperation
from django.db import DataError, InterfaceError, OperationalError
from django.http import Http404, HttpRequest, HttpResponse, UnreadablePostError
from rest_framework import exceptions
from rest_framework.response import Response

from nvr.api.json import dumps
from nvr.errors import BadRequest, FieldError, Invalid, NvrError

logger = logging.getLogger(__name__)

PROBLEM = "application/problem+json"


@dataclass(frozen=True)
class Problem:
    """An error; `errors` is set only for invalid fields."""

    status: int
    detail: str
    headers: dict[str, str] = field(default_factory=dict)
    errors: list[FieldError] = field(default_factory=list)


Shape = Callable[[Problem, HttpRequest], dict[str, Any]]
_shapes: list[tuple[str, Shape]] = []
_without_422: set[str] = set()


def register_shape(prefix: str, shape: Shape, *, has_422: bool = True) -> None:
    """Format errors below `prefix` with `shape`; the longest prefix wins. Without 422, invalid input returns 400."""
    _shapes.append((prefix, shape))
    _shapes.sort(key=lambda pair: -len(pair[0]))
    if not has_422:
        _without_422.add(prefix)


def input_error(path: str, errors: list[FieldError]) -> NvrError:
    """Return the error for invalid input at `path`: 422 with its fields, or 400 with a message."""
    if path.startswith(tuple(_without_422)):
        return BadRequest(" ".join(f"{error['field']} {error['message']}" for error in errors))
    return Invalid(errors=errors)


def problem_shape(problem: Problem, request: HttpRequest) -> dict[str, Any]:
    """Return the body as of RFC 9457, for APIs without their own format."""
    body: dict[str, Any] = {
        "type": "about:blank",
        "title": HTTPStatus(problem.status).phrase,
        "status": problem.status,
        "detail": problem.detail,
        "instance": printable(request.path),
    }
    return body | ({"errors": problem.errors} if problem.status == HTTPStatus.UNPROCESSABLE_ENTITY else {})


def printable(text: str) -> str:
    """Return `text` without lone surrogates, which JSON cannot contain."""
    return text.encode("utf-8", "replace").decode()


def shape_for(path: str) -> Shape:
    return next((shape for prefix, shape in _shapes if path.startswith(prefix)), problem_shape)


def body_and_type(problem: Problem, request: HttpRequest) -> tuple[dict[str, Any], str]:
    shape = shape_for(request.path)
    return shape(problem, request), PROBLEM if shape is problem_shape else "application/json"


def exception_handler(exception: Exception, context: Mapping[str, Any]) -> Response:
    """DRF's exception handler; unexpected exceptions are logged and return 500 without details."""
    problem = describe(exception)
    request = context["request"]
    data, content_type = body_and_type(problem, request)
    return Response(data, status=problem.status, headers=problem.headers, content_type=content_type)


def error_response(exception: Exception, request: HttpRequest) -> HttpResponse:
    """Return the same response outside of DRF: in middleware and for unknown paths."""
    problem = describe(exception)
    data, content_type = body_and_type(problem, request)
    return HttpResponse(dumps(data), status=problem.status, content_type=content_type, headers=problem.headers)


def describe(exception: Exception) -> Problem:
    if isinstance(exception, NvrError):
        errors = exception.errors if isinstance(exception, Invalid) else []
        return Problem(exception.status, exception.detail, exception.headers, errors)
    if isinstance(exception, exceptions.APIException):
        return _describe_drf(exception)
    if is_disk_full(exception):
        logger.error("the database's disk is full")
        return Problem(507, "The disk is full: free space on the database's disk.")
    if isinstance(exception, DataError):  # the client's fault, such as a NUL in a cookie, or an error in our code
        logger.warning("the database rejected a value", exc_info=exception)
    for kind, status, detail in FOREIGN:
        if isinstance(exception, kind):
            return Problem(status, detail, {"Retry-After": "5"} if status == 503 else {})
    logger.error("unexpected error", exc_info=exception)
    return Problem(500, "Internal error. The log contains the details, with this response's X-Request-Id.")


def is_disk_full(exception: Exception) -> bool:
    """Return whether SQLite or PostgreSQL ran out of disk space, for which a retry does not help."""
    cause = exception.__cause__
    full = getattr(cause, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL or getattr(cause, "sqlstate", "") == "53100"
    return isinstance(exception, OperationalError) and full


FOREIGN: tuple[tuple[type[Exception], int, str], ...] = (
    (Http404, 404, "Not found"),
    (PermissionDenied, 403, "You may not do this."),
    (RequestDataTooBig, 413, "The body is too large."),
    (UnreadablePostError, 408, "The body did not arrive completely, or not in time."),
    (SuspiciousOperation, 400, "The request is malformed."),
    (UnicodeError, 400, "The request contains text that is not UTF-8."),
    (DataError, 400, "The request contains a value that cannot be stored."),
    (OperationalError, 503, "The database does not respond. Try again in a few seconds."),
    (InterfaceError, 503, "The database does not respond. Try again in a few seconds."),
)


def _describe_drf(exception: exceptions.APIException) -> Problem:
    headers = {}
    if challenge := getattr(exception, "auth_header", None):
        headers["WWW-Authenticate"] = challenge
    if isinstance(exception, exceptions.ValidationError):
        errors = field_errors(exception.detail)
        return Problem(422, "; ".join(f"{e['field']}: {e['message']}" for e in errors), headers, errors)
    if isinstance(exception, exceptions.ParseError):  # the contract calls broken JSON a validation error
        detail = str(exception.detail)
        return Problem(422, detail, headers, [{"field": "body", "message": detail}])
    return Problem(exception.status_code, _sentence(exception.detail), headers)


def _sentence(detail: Any) -> str:
    if isinstance(detail, Mapping):
        return _sentence(detail.get("detail", next(iter(detail.values()), "")))
    return " ".join(map(str, detail)) if isinstance(detail, list) else str(detail)


def field_errors(detail: Any, prefix: str = "") -> list[FieldError]:
    """Flatten DRF's nested messages to one row per message."""
    if isinstance(detail, Mapping):
        return [
            row
            for name, inner in detail.items()
            for row in field_errors(inner, prefix if name == "non_field_errors" else _join(prefix, str(name)))
        ]
    if isinstance(detail, list):
        return [row for inner in detail for row in field_errors(inner, prefix)]
    return [{"field": prefix or "body", "message": str(detail)}]


def _join(prefix: str, name: str) -> str:
    return f"{prefix}.{name}" if prefix else name
