"""Responses whose body is a file or bytes in memory.

Conditional requests and ranges; the kernel sends a file (`sendfile`), or nginx does (`X-Accel-Redirect`).
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import BinaryIO
from urllib.parse import quote

from django.conf import settings
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.utils.http import http_date

from nvr.media.files.content_types import content_type_for
from nvr.media.files.identity import FileIdentity
from nvr.media.files.paths import is_inside, open_regular
from nvr.media.http.ranges import Entity, ResponsePlan, is_not_modified, plan_response
from nvr.media.http.stream_limits import StreamSlot, take_stream_slot

BLOCK_BYTES = 64 * 1024
MAX_TIMESTAMP_S = 253_402_300_799  # the last second of the year 9999; some file systems store later times, HTTP cannot
PRIVATE = "private, no-cache"
INVALID_IN_HEADER = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff\u2028\u2029]")
NEEDS_ENCODING = re.compile(r"[^\x20-\x7e]|%")


class FileShrank(OSError):
    """A file became shorter while it was sent; the connection must not be used for another response."""


class FileSlice:
    """`length` bytes of an open file from `start` on, for `wsgi.file_wrapper`.

    gunicorn sends Content-Length bytes from the descriptor's position with sendfile.
    """

    def __init__(self, file: BinaryIO, start: int, length: int) -> None:
        self.file = file
        self.end = start + length
        self.close: Callable[[], None] = file.close
        file.seek(start)

    def fileno(self) -> int:
        return self.file.fileno()

    def seek(self, offset: int) -> int:
        return self.file.seek(offset)

    def read(self, size: int = BLOCK_BYTES) -> bytes:
        """At most `size` bytes and never past the slice; empty at its end."""
        length = min(size, self.end - self.file.tell())
        block = self.file.read(length) if length > 0 else b""
        if length > 0 and not block:
            raise FileShrank("The file became shorter while it was sent.")
        return block

    def is_short(self) -> bool:
        return os.fstat(self.fileno()).st_size < self.end


class FileBody(StreamingHttpResponse):
    """A response that sends a slice; `close` releases the slot and closes the file once, whatever happened."""

    block_size = BLOCK_BYTES

    def __init__(self, part: FileSlice, slot: StreamSlot, *, status: int) -> None:
        super().__init__(iter(lambda: part.read(BLOCK_BYTES), b""), status=status)
        self.part = part
        self.file_to_stream = part
        self._close_file = part.close  # Django's WSGI handler replaces it with our own close()
        self._slot = slot

    def close(self) -> None:
        if self.closed:
            return
        short = self.part.is_short()
        try:
            super().close()
        finally:
            self._close_file()
            self._slot.close()
        if short:  # otherwise the server would wait for the next request on a connection with an incomplete body
            raise FileShrank("The file became shorter while it was sent.")


class BytesBody(HttpResponse):
    """A response with bytes in memory; `close` releases the slot."""

    def __init__(self, data: bytes, slot: StreamSlot, *, status: int) -> None:
        super().__init__(data, status=status)
        self._slot = slot

    def close(self) -> None:
        super().close()
        self._slot.close()


def file_response(
    request: HttpRequest,
    path: Path,
    *,
    root: Path | None = None,
    filename: str | None = None,
    disposition: str = "inline",
    content_type: str | None = None,
    cache_control: str = PRIVATE,
    etag: str | None = None,
) -> HttpResponseBase:
    """Serve the regular file at `path` (from `resolve_inside`) for GET and HEAD.

    The opened file must be inside `root` (resolved). The default `content_type` depends on the name, by the
    allow-list; the default `etag` (quoted) on the file. Raises what `open_regular`, `content_type_for`,
    `plan_response` and `take_stream_slot` raise. nginx sends files below a root of `NVR_ACCEL_REDIRECT`.
    """
    name = filename or path.name
    headers = common_headers(content_type or content_type_for(path.name), name, disposition, cache_control)
    internal = accel_redirect_uri(path)
    if internal is not None:
        return HttpResponse(headers={**headers, "X-Accel-Redirect": internal})
    file = open_regular(path, root=root)
    try:
        return opened_file_response(request, file, headers, etag)
    except BaseException:
        file.close()
        raise


def opened_file_response(
    request: HttpRequest, file: BinaryIO, headers: dict[str, str], etag: str | None = None
) -> HttpResponseBase:
    """Take all metadata from the open file, so that it matches the bytes that are sent."""
    stat_result = os.fstat(file.fileno())
    etag = etag or f'"{FileIdentity.of(stat_result)}"'
    entity = Entity(etag, int(stat_result.st_mtime), stat_result.st_size)
    plan = plan_response(request, entity)
    if request.method == "HEAD" or plan.length == 0:
        file.close()
        return with_headers(HttpResponse(status=plan.status), plan, entity, headers)
    part = FileSlice(file, plan.start, plan.length)
    response = FileBody(part, take_stream_slot(request, size=plan.length), status=plan.status)
    return with_headers(response, plan, entity, headers)


def bytes_response(
    request: HttpRequest,
    data: bytes,
    *,
    etag: str,
    last_modified: datetime,
    content_type: str,
    filename: str,
    disposition: str = "inline",
    cache_control: str = PRIVATE,
) -> HttpResponseBase:
    """Serve bytes in memory as `file_response` serves a file.

    `etag` without quotes, different whenever the bytes are.
    """
    entity = Entity(f'"{etag}"', int(last_modified.timestamp()), len(data))
    headers = common_headers(content_type, filename, disposition, cache_control)
    plan = plan_response(request, entity)
    if request.method == "HEAD" or plan.length == 0:
        return with_headers(HttpResponse(status=plan.status), plan, entity, headers)
    slot = take_stream_slot(request, size=plan.length)
    response = BytesBody(data[plan.start : plan.start + plan.length], slot, status=plan.status)
    return with_headers(response, plan, entity, headers)


def not_modified_response(
    request: HttpRequest, entity: Entity, *, cache_control: str = PRIVATE
) -> HttpResponseBase | None:
    """Return 304 if the client has the current version, before the content is looked up; else None."""
    if not is_not_modified(request, entity):
        return None
    headers = {"Cache-Control": cache_control, "X-Content-Type-Options": "nosniff"}
    return with_headers(HttpResponse(status=304), ResponsePlan(304, 0, 0), entity, headers)


def common_headers(content_type: str, filename: str, disposition: str, cache_control: str) -> dict[str, str]:
    return {
        "Content-Type": content_type,
        "Content-Disposition": content_disposition(disposition, filename),
        "Cache-Control": cache_control,
        "X-Content-Type-Options": "nosniff",
    }


def with_headers(
    response: HttpResponseBase, plan: ResponsePlan, entity: Entity, headers: dict[str, str]
) -> HttpResponseBase:
    for name, value in headers.items():
        response[name] = value
    response["ETag"] = entity.etag
    response["Last-Modified"] = http_date(min(entity.last_modified, MAX_TIMESTAMP_S))
    response["Accept-Ranges"] = "bytes"
    if plan.status == 304:
        del response["Content-Type"], response["Content-Disposition"]
        return response
    response["Content-Length"] = str(plan.length)
    if plan.status == 206:
        response["Content-Range"] = f"bytes {plan.start}-{plan.start + plan.length - 1}/{entity.size}"
    return response


def content_disposition(disposition: str, filename: str) -> str:
    """Format the header (RFC 6266): an ASCII name for any client, and the exact name if that differs."""
    name = INVALID_IN_HEADER.sub("_", filename).replace("/", "_")
    plain = NEEDS_ENCODING.sub("_", name).replace("\\", "\\\\").replace('"', '\\"')
    value = f'{disposition}; filename="{plain}"'
    if NEEDS_ENCODING.search(name):
        value += f"; filename*=UTF-8''{quote(name, safe='')}"
    return value


def accel_redirect_uri(path: Path) -> str | None:
    """Return the internal nginx URI of a file, by the longest configured root that contains it; None without one."""
    roots: dict[Path, str] = settings.NVR_ACCEL_REDIRECT
    above = [root for root in roots if is_inside(path, root)]
    if not above:
        return None
    root = max(above, key=lambda candidate: len(candidate.parts))
    relative = quote(os.fsencode(path.relative_to(root)))
    return roots[root].rstrip("/") + "/" + relative
