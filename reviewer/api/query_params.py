"""Reading what a client asked for: paths as the disk has them, numbers, words."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs

from rest_framework.request import Request

from nvr.errors import BadRequest
from reviewer.catalog import orders
from reviewer.catalog.blocks import FILTERS

MAX_FIELDS = 100


def path_of(request: Request, name: str = "path") -> str:
    """The path that the query names, which must be there."""
    given = named_path(request, name)
    if not given:
        raise BadRequest(f"{name} is required.")
    return given


def named_path(request: Request, name: str) -> str:
    """Empty if it is not there; bytes that are no UTF-8 stay what they are on disk."""
    try:
        query = parse_qs(request.META.get("QUERY_STRING", ""), errors="surrogateescape", max_num_fields=MAX_FIELDS)
    except ValueError as error:
        raise BadRequest(f"The query has more than {MAX_FIELDS} fields.") from error
    given: str = query.get(name, [""])[-1]
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


def order_of(request: Request) -> str:
    given = request.query_params.get("order", orders.NAME)
    if given not in orders.ORDERS:
        raise BadRequest(f"order must be one of {', '.join(orders.ORDERS)}.")
    return given


def is_set(request: Request, name: str) -> bool:
    """Whether the flag is 1; raises for anything else."""
    given = request.query_params.get(name)
    if given not in {None, "1"}:
        raise BadRequest(f"{name} must be 1.")
    return given == "1"


def body_of(request: Request) -> dict[str, Any]:
    """The view's base has made sure that it is a JSON object with known keys."""
    return dict(request.data)
