"""Reading what a client asked for: paths as the disk has them, numbers, words."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs

from rest_framework.request import Request

from nvr.errors import BadRequest
from reviewer.index import FILTERS


def path_of(request: Request) -> str:
    """The query's `path`; bytes that are no UTF-8 stay what they are on disk."""
    query = parse_qs(request.META.get("QUERY_STRING", ""), errors="surrogateescape", max_num_fields=100)
    given: str = query.get("path", [""])[-1]
    if not given:
        raise BadRequest("path is required.")
    return given


def number_of(request: Request, name: str, default: int, *, least: int, most: int) -> int:
    given = request.query_params.get(name)
    if given is None:
        return default
    if not (given.isascii() and given.isdigit() and len(given) <= 18) or not least <= int(given) <= most:
        bounds = f"from {least} to {most}" if most < 10**18 else f"of at least {least}"
        raise BadRequest(f"{name} must be a whole number {bounds}.")
    return int(given)


def filter_of(request: Request) -> str:
    given = request.query_params.get("statusFilter", "all")
    if given not in FILTERS:
        raise BadRequest(f"statusFilter must be one of {', '.join(FILTERS)}.")
    return given


def is_set(request: Request, name: str) -> bool:
    """Whether the flag is 1; raises for anything else."""
    given = request.query_params.get(name)
    if given not in {None, "1"}:
        raise BadRequest(f"{name} must be 1.")
    return given == "1"


def body_of(request: Request) -> dict[str, Any]:
    if not isinstance(request.data, dict):
        raise BadRequest("The body must be a JSON object.")
    return dict(request.data)
