"""A WSGI application that serves one file with `file_response`, for tests with a real gunicorn."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

import django
from django.conf import settings
from django.core.handlers.wsgi import WSGIHandler
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.urls import path

settings.configure(
    ALLOWED_HOSTS=["*"],
    ROOT_URLCONF=__name__,
    MIDDLEWARE=[],
    NVR_ACCEL_REDIRECT={},
    NVR_WEB_THREADS=4,
    USE_TZ=True,
)
django.setup(set_prefix=False)

from nvr.errors import NvrError  # noqa: E402  (settings come first)
from nvr.media.http.responses import bytes_response, file_response  # noqa: E402
from nvr.media.http.stream_limits import slots  # noqa: E402

SERVED = Path(os.environ["SERVED_FILE"])
sent_by_the_kernel: list[int] = []
kernel_sendfile = os.sendfile


def counting_sendfile(out: int, source: int, offset: int, count: int) -> int:
    sent = kernel_sendfile(out, source, offset, count)
    sent_by_the_kernel.append(sent)
    return sent


os.sendfile = counting_sendfile


def serve(request: HttpRequest, kind: str) -> HttpResponseBase:
    if kind == "slots":
        return HttpResponse(str(slots.taken))
    if kind == "kernel":
        return HttpResponse(str(sum(sent_by_the_kernel)))
    try:
        return answer(request, kind)
    except NvrError as error:
        return HttpResponse(error.detail, status=error.status, headers=error.headers)


def answer(request: HttpRequest, kind: str) -> HttpResponseBase:
    if kind == "bytes":
        data = SERVED.read_bytes()
        moment = datetime(2026, 1, 1, tzinfo=UTC)
        return bytes_response(
            request, data, etag="t", last_modified=moment, content_type="image/jpeg", filename="a.jpg"
        )
    response = file_response(request, SERVED)
    if kind == "shrinking":
        os.truncate(SERVED, 1000)
    return response


urlpatterns = [path("<str:kind>", serve)]
application = WSGIHandler()
