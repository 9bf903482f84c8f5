"""Domain errors: a message and the matching HTTP status.

`nvr.api.errors` and the error pages turn them into responses in the format that each contract requires.
"""

from __future__ import annotations

import errno
from typing import Final, TypedDict

FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT})  # a full disk or an exceeded quota


class FieldError(TypedDict):
    field: str
    message: str


class NvrError(Exception):
    """The base of all domain errors; `detail` is one sentence that a user can act on."""

    status = 500
    title = "Internal error"

    def __init__(self, detail: str = "", *, headers: dict[str, str] | None = None) -> None:
        self.detail = detail or self.title
        self.headers = headers or {}
        super().__init__(self.detail)


class BadRequest(NvrError):
    status = 400
    title = "Bad request"


class Unauthorized(NvrError):
    status = 401
    title = "Sign in first"


class Forbidden(NvrError):
    status = 403
    title = "Not allowed"


class NotFound(NvrError):
    status = 404
    title = "Not found"


class RequestTimeout(NvrError):
    status = 408
    title = "The request did not arrive completely, or not in time"


class Conflict(NvrError):
    status = 409
    title = "Conflict"


class LengthRequired(NvrError):
    status = 411
    title = "The length of the body is required: send Content-Length"


class TooLarge(NvrError):
    status = 413
    title = "Too large"


class UriTooLong(NvrError):
    status = 414
    title = "Address too long"


class Invalid(NvrError):
    """Well-formed input with invalid values; `errors` lists the fields, never their values."""

    status = 422
    title = "Invalid input"

    def __init__(self, detail: str = "", *, errors: list[FieldError] | None = None) -> None:
        self.errors: list[FieldError] = errors or []
        super().__init__(detail or "; ".join(f"{e['field']}: {e['message']}" for e in self.errors))

    @classmethod
    def field(cls, field: str, message: str) -> Invalid:
        return cls(errors=[{"field": field, "message": message}])


class TooManyRequests(NvrError):
    status = 429
    title = "Too many requests"

    def __init__(self, detail: str = "", *, retry_after: int = 60, headers: dict[str, str] | None = None) -> None:
        super().__init__(detail, headers={"Retry-After": str(max(1, retry_after)), **(headers or {})})


class Unavailable(NvrError):
    """A dependency does not respond; `retry_after` is in seconds."""

    status = 503
    title = "Temporarily unavailable"

    def __init__(self, detail: str = "", *, retry_after: int = 5) -> None:
        super().__init__(detail, headers={"Retry-After": str(max(1, retry_after))})


class StorageFull(NvrError):
    status = 507
    title = "The disk is full"
