"""JSON responses to malformed requests; gunicorn's own are HTML and echo what the client sent."""

from __future__ import annotations

import json
from http import HTTPStatus

from gunicorn.http import errors

STATUS_OF: dict[type[Exception], HTTPStatus] = {
    errors.LimitRequestLine: HTTPStatus.REQUEST_URI_TOO_LONG,
    errors.LimitRequestHeaders: HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
    errors.ExpectationFailed: HTTPStatus.EXPECTATION_FAILED,
    errors.UnsupportedTransferCoding: HTTPStatus.NOT_IMPLEMENTED,
}
OUR_FAULT = (errors.InvalidResponseHeader, errors.InvalidResponseHeaderName, errors.ConfigurationProblem)


def status_for(error: Exception) -> HTTPStatus:
    if isinstance(error, OUR_FAULT) or not isinstance(error, errors.ParseException):
        return HTTPStatus.INTERNAL_SERVER_ERROR
    return STATUS_OF.get(type(error), HTTPStatus.BAD_REQUEST)


def error_response(status: HTTPStatus) -> bytes:
    """Return a complete problem JSON response that closes the connection."""
    body = json.dumps({"type": "about:blank", "title": status.phrase, "status": status.value}).encode()
    lines = [
        f"HTTP/1.1 {status.value} {status.phrase}",
        "Connection: close",
        "Content-Type: application/problem+json",
        "X-Content-Type-Options: nosniff",
        f"Content-Length: {len(body)}",
        *(["Retry-After: 5"] if status is HTTPStatus.SERVICE_UNAVAILABLE else []),
    ]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body
