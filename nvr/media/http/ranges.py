"""Preconditions and byte ranges (RFC 9110 §13, §14): decide from the request headers what to send."""

from __future__ import annotations

import re
from dataclasses import dataclass

from django.http import HttpRequest
from django.utils.http import parse_etags, parse_http_date_safe

from nvr.errors import NvrError

SINGLE_RANGE = re.compile(r"bytes=[ \t]*([0-9]*)-([0-9]*)[ \t]*", re.ASCII | re.IGNORECASE)
# No file is larger, and int() rejects strings of more than 4 300 digits.
MAX_POSITION = 10**18


class PreconditionFailed(NvrError):
    status = 412
    title = "The file has changed since it was requested"


class RangeNotSatisfiable(NvrError):
    status = 416
    title = "The range begins after the end of the file"


@dataclass(frozen=True)
class Entity:
    """The representation: `etag` strong and quoted, `last_modified` in s since 1970, `size` in bytes."""

    etag: str
    last_modified: int
    size: int


@dataclass(frozen=True)
class ResponsePlan:
    """What to send: 200 with everything, 206 with `length` bytes from `start`, or 304 without a body."""

    status: int
    start: int
    length: int


def plan_response(request: HttpRequest, entity: Entity) -> ResponsePlan:
    """Evaluate the headers. HEAD ignores Range; a request for several ranges gets the whole file.

    Raises `PreconditionFailed` and `RangeNotSatisfiable`.
    """
    check_preconditions(request, entity)
    if is_not_modified(request, entity):
        return ResponsePlan(304, 0, 0)
    header = request.META.get("HTTP_RANGE", "")
    if request.method != "GET" or not header or not range_applies(request, entity):
        return ResponsePlan(200, 0, entity.size)
    return plan_range(header, entity)


def check_preconditions(request: HttpRequest, entity: Entity) -> None:
    if "HTTP_IF_MATCH" in request.META:
        holds = any(tag in {"*", entity.etag} for tag in parse_etags(request.META["HTTP_IF_MATCH"]))
    else:
        since = header_timestamp(request, "HTTP_IF_UNMODIFIED_SINCE")
        holds = since is None or entity.last_modified <= since
    if not holds:
        raise PreconditionFailed(headers={"ETag": entity.etag})


def is_not_modified(request: HttpRequest, entity: Entity) -> bool:
    """Whether the client has the current version. An ETag that a compressing proxy made weak still matches."""
    if "HTTP_IF_NONE_MATCH" in request.META:
        tags = parse_etags(request.META["HTTP_IF_NONE_MATCH"])
        return any(tag == "*" or tag.removeprefix("W/") == entity.etag for tag in tags)
    since = header_timestamp(request, "HTTP_IF_MODIFIED_SINCE")
    return since is not None and entity.last_modified <= since


def range_applies(request: HttpRequest, entity: Entity) -> bool:
    """Whether If-Range allows a range: only for exactly this ETag (never a weak one) or exactly this date."""
    condition = request.META.get("HTTP_IF_RANGE", "").strip()
    if not condition or condition == entity.etag:
        return True
    return parse_http_date_safe(condition) == entity.last_modified


def header_timestamp(request: HttpRequest, variable: str) -> int | None:
    """Return the date in s since 1970; None if the header is missing or is not a date."""
    given = request.META.get(variable)
    return parse_http_date_safe(given) if given else None


def plan_range(header: str, entity: Entity) -> ResponsePlan:
    everything = ResponsePlan(200, 0, entity.size)
    match = SINGLE_RANGE.fullmatch(header.strip())
    if not match or match.groups() == ("", ""):
        return everything
    first, last = match.groups()
    if not first:
        return plan_suffix_range(parse_position(last), entity)
    if last and is_greater(first, last):
        return everything
    start, stop = parse_position(first), min(parse_position(last) + 1, entity.size) if last else entity.size
    if start >= entity.size:
        raise not_satisfiable(entity)
    return ResponsePlan(206, start, stop - start)


def plan_suffix_range(length: int, entity: Entity) -> ResponsePlan:
    if length == 0:
        raise not_satisfiable(entity)
    if entity.size == 0:  # satisfiable by §14.1.2, but Content-Range cannot express it
        return ResponsePlan(200, 0, 0)
    length = min(length, entity.size)
    return ResponsePlan(206, entity.size - length, length)


def not_satisfiable(entity: Entity) -> RangeNotSatisfiable:
    return RangeNotSatisfiable(headers={"Content-Range": f"bytes */{entity.size}", "Accept-Ranges": "bytes"})


def parse_position(digits: str) -> int:
    digits = digits.lstrip("0")
    return int(digits or "0") if len(digits) <= 18 else MAX_POSITION


def is_greater(one: str, other: str) -> bool:
    """Whether the decimal string `one` is the larger number, whatever their number of digits."""
    one, other = one.lstrip("0"), other.lstrip("0")
    return (len(one), one) > (len(other), other)
