"""Preconditions and byte ranges (RFC 9110 §13, §14): from a request's headers to what is to be sent."""

from __future__ import annotations

import re
from dataclasses import dataclass

from django.http import HttpRequest
from django.utils.http import parse_etags, parse_http_date_safe

from nvr.errors import NvrError

SINGLE_RANGE = re.compile(r"bytes=[ \t]*([0-9]*)-([0-9]*)[ \t]*", re.ASCII | re.IGNORECASE)
# No file is larger, and int() refuses texts of more than 4 300 digits.
MAX_POSITION = 10**18


class PreconditionFailed(NvrError):
    status = 412
    title = "The file is no longer the one that you requested"


class RangeNotSatisfiable(NvrError):
    status = 416
    title = "The range begins behind the end of the file"


@dataclass(frozen=True)
class Entity:
    """What may be sent: `etag` strong and quoted, `last_modified` in s since 1970, `size` in bytes."""

    etag: str
    last_modified: int
    size: int


@dataclass(frozen=True)
class ResponsePlan:
    """What will be sent: 200 and all of it, 206 and `length` bytes from `start`, or 304 and nothing."""

    status: int
    start: int
    length: int


def plan_response(request: HttpRequest, entity: Entity) -> ResponsePlan:
    """Raises `PreconditionFailed` and `RangeNotSatisfiable`. HEAD ignores Range; several ranges mean all."""
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
        moment = header_timestamp(request, "HTTP_IF_UNMODIFIED_SINCE")
        holds = moment is None or entity.last_modified <= moment
    if not holds:
        raise PreconditionFailed(headers={"ETag": entity.etag})


def is_not_modified(request: HttpRequest, entity: Entity) -> bool:
    """Whether the client has it already. A tag made weak on its way (by a compressing proxy) still counts."""
    if "HTTP_IF_NONE_MATCH" in request.META:
        tags = parse_etags(request.META["HTTP_IF_NONE_MATCH"])
        return any(tag == "*" or tag.removeprefix("W/") == entity.etag for tag in tags)
    moment = header_timestamp(request, "HTTP_IF_MODIFIED_SINCE")
    return moment is not None and entity.last_modified <= moment


def range_applies(request: HttpRequest, entity: Entity) -> bool:
    """If-Range: exactly this tag (a weak one never is) or exactly this date; otherwise the whole is sent."""
    condition = request.META.get("HTTP_IF_RANGE", "").strip()
    if not condition or condition == entity.etag:
        return True
    return parse_http_date_safe(condition) == entity.last_modified


def header_timestamp(request: HttpRequest, variable: str) -> int | None:
    """In s since 1970; None if the header is not there, or is no date."""
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
    if entity.size == 0:  # satisfiable by §14.1.2, but no Content-Range can say so
        return ResponsePlan(200, 0, 0)
    length = min(length, entity.size)
    return ResponsePlan(206, entity.size - length, length)


def not_satisfiable(entity: Entity) -> RangeNotSatisfiable:
    return RangeNotSatisfiable(headers={"Content-Range": f"bytes */{entity.size}", "Accept-Ranges": "bytes"})


def parse_position(digits: str) -> int:
    digits = digits.lstrip("0")
    return int(digits or "0") if len(digits) <= 18 else MAX_POSITION


def is_greater(one: str, other: str) -> bool:
    """Whether the number `one` is larger, however many digits they have."""
    one, other = one.lstrip("0"), other.lstrip("0")
    return (len(one), one) > (len(other), other)
