"""Reads the query parameters of a request: paths, numbers, choices and flags."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs

from rest_framework.request import Request

from nvr.errors import BadRequest
from reviewer.catalog import orders
from reviewer.catalog.blocks import FILTERS

MAX_FIELDS = 100  # limits the work of parsing, like Django's DATA_UPLOAD_MAX_NUMBER_FIELDS
UNLIMITED = 10**18  # the maximum of offsets; longer numbers do not fit into SQLite's integers


def path_of(request: Request, name: str = "path") -> str:
    """Return a required path."""
    value = optional_path(request, name)
    if not value:
        raise BadRequest(f"{name} is required.")
    return value


def optional_path(request: Request, name: str) -> str:
    """Return a path or an empty string. Django's own parsing would replace bytes that are not UTF-8."""
    try:
        query = parse_qs(request.META.get("QUERY_STRING", ""), errors="surrogateescape", max_num_fields=MAX_FIELDS)
    except ValueError as error:
        raise BadRequest(f"The query has more than {MAX_FIELDS} fields.") from error
    value: str = query.get(name, [""])[-1]
    return value


def number_of(request: Request, name: str, default: int, *, minimum: int, maximum: int) -> int:
    value = request.query_params.get(name)
    if value is None:
        return default
    if not (value.isascii() and value.isdigit() and len(value) <= 18) or not minimum <= int(value) <= maximum:
        bounds = f"from {minimum} to {maximum}" if maximum < UNLIMITED else f"of at least {minimum}"
        raise BadRequest(f"{name} must be a whole number {bounds}.")
    return int(value)


def filter_of(request: Request) -> str:
    value = request.query_params.get("statusFilter", "all")
    if value not in FILTERS:
        raise BadRequest(f"statusFilter must be one of {', '.join(FILTERS)}.")
    return value


def order_of(request: Request) -> str:
    value = request.query_params.get("order", orders.NAME)
    if value not in orders.ORDERS:
        raise BadRequest(f"order must be one of {', '.join(orders.ORDERS)}.")
    return value


def is_set(request: Request, name: str) -> bool:
    """Return whether the flag is set. Raises `BadRequest` for values other than 1."""
    value = request.query_params.get(name)
    if value not in {None, "1"}:
        raise BadRequest(f"{name} must be 1.")
    return value == "1"


def body_of(request: Request) -> dict[str, Any]:
    return dict(request.data)  # the base view has checked that it is a JSON object with known keys
