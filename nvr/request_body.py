"""Request bodies: their size limit, and support for chunked bodies (Transfer-Encoding: chunked).

Django and DRF treat a body without Content-Length as empty: a request for one folder would act on all.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from functools import cached_property
from io import IOBase
from typing import IO, Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from gunicorn.http.errors import ParseException

from nvr.error_handlers import is_api, response_for
from nvr.errors import BadRequest, LengthRequired, NvrError, RequestTimeout, StorageFull, TooLarge

IN_MEMORY_BYTES = 64 * 1024
STEP_BYTES = 64 * 1024


class RequestBodyMiddleware:
    """Runs before anything reads a body: API views read it after authentication, but Django reads a page's form for the
    CSRF token before the view runs."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_view(self, request: HttpRequest, view: Any, args: Any, kwargs: Any) -> HttpResponse | None:
        try:
            prepare(request)
            if not is_api(request) and length_of(request) > body_limit():
                raise too_large()  # Django limits a form's fields, not its files
        except NvrError as error:
            return response_for(error, request)
        return None


def prepare(request: HttpRequest) -> None:
    """Make a chunked body readable like any other. Raises `NvrError` if that is not possible."""
    coding = request.META.get("HTTP_TRANSFER_ENCODING", "")
    if not coding:
        return
    if coding.strip().lower() != "chunked":
        raise BadRequest("The only supported Transfer-Encoding is chunked.")
    if not request.META.get("wsgi.input_terminated"):
        raise LengthRequired
    body = ChunkedBody(request.META["wsgi.input"])
    # Django wraps the input when it creates the request, with a length of 0 for a chunked body, and has no public way
    # to replace it.
    request._stream = body  # type: ignore[assignment]
    request.META["CONTENT_LENGTH"] = body


def length_of(request: HttpRequest) -> int:
    try:
        return int(request.META.get("CONTENT_LENGTH") or 0)
    except ValueError:
        return 0


class ChunkedBody(IOBase):
    """Reads the body into memory or a file at the first access to it or to its length (`int(body)`)."""

    def __init__(self, source: Any) -> None:
        self.source = source

    @cached_property
    def whole(self) -> tuple[IO[bytes], int]:
        file: IO[bytes] = tempfile.SpooledTemporaryFile(IN_MEMORY_BYTES, dir=str(settings.CACHE_DIR))  # noqa: SIM115
        size = 0
        while data := received(self.source):
            size += len(data)
            if size > body_limit():
                raise too_large()
            write(file, data)
        file.seek(0)
        return file, size

    def __int__(self) -> int:
        return self.whole[1]

    def read(self, size: int | None = -1, /) -> bytes:
        return self.whole[0].read(-1 if size is None else size)

    def readline(self, size: int | None = -1, /) -> bytes:
        return self.whole[0].readline(-1 if size is None else size)


def received(source: Any) -> bytes:
    """Return the next bytes; raises `BadRequest` for malformed chunks, `RequestTimeout` if the client stalls."""
    try:
        data: bytes = source.read(STEP_BYTES)
    except ParseException as error:
        raise BadRequest("The body's chunks are malformed.") from error
    except OSError as error:
        raise RequestTimeout from error
    return data


def write(file: IO[bytes], data: bytes) -> None:
    try:
        file.write(data)
    except OSError as error:
        raise StorageFull("The disk is full: the request body cannot be stored.") from error


def body_limit() -> int:
    limit: int = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
    return limit


def too_large() -> TooLarge:
    return TooLarge(f"The body is larger than {body_limit()} bytes.")
