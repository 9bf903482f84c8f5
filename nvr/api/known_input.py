"""Rejects unknown query parameters and body keys: a misspelt `dryRun` must never delete anything."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from rest_framework import serializers
from rest_framework.exceptions import ParseError
from rest_framework.request import Request

from nvr.api.errors import input_error, printable
from nvr.errors import FieldError

# The names, or a serializer with these fields.
Keys = Collection[str] | type[serializers.Serializer[Any]]
MAX_REPORTED = 20
MAX_NAME = 50


def check_query(request: Request, known: Collection[str]) -> None:
    """Raise the API's error for invalid input if the query has a parameter that is not in `known`."""
    if not request.META.get("QUERY_STRING"):
        return
    unknown = [name for name in request.query_params if name not in known]
    if unknown:
        text = f"is not a query parameter of this request: it takes {listed(known)}."
        raise input_error(request.path, errors_for(unknown, text))


def check_body(request: Request, known: Keys) -> None:
    """Raise the same error for unknown keys of the body, including nested ones, and if it is not a JSON object."""
    try:
        body = request.data
    except ParseError as error:
        raise input_error(request.path, [{"field": "body", "message": str(error.detail)}]) from error
    if body is None and not known:
        return
    if not isinstance(body, Mapping):
        raise input_error(request.path, [{"field": "body", "message": "must be a JSON object."}])
    unknown = list(unknown_keys(body, known))
    if unknown:
        text = f"is not a key of this request's body: it takes {listed(names_of(known))}."
        raise input_error(request.path, errors_for(unknown, text))


def unknown_keys(body: Mapping[Any, Any], known: Keys, prefix: str = "") -> Iterator[str]:
    fields = names_of(known)
    for key, value in body.items():
        if key not in fields:
            yield f"{prefix}{key}"
        elif isinstance(value, Mapping) and isinstance(known, type):
            nested = known().fields[key]
            if isinstance(nested, serializers.Serializer):
                yield from unknown_keys(value, type(nested), f"{prefix}{key}.")


def names_of(known: Keys) -> list[str]:
    if isinstance(known, type):
        return [name for name, field in known().fields.items() if not field.read_only]
    return list(known)


def keys_of_both(request: type[serializers.Serializer[Any]], response: type[serializers.Serializer[Any]]) -> list[str]:
    """Return the keys of request and response, so that clients can change and send back an object that they read."""
    return list(dict.fromkeys([*names_of(request), *response().fields]))


def errors_for(names: list[str], message: str) -> list[FieldError]:
    return [{"field": printable(name[:MAX_NAME]), "message": message} for name in names[:MAX_REPORTED]]


def listed(known: Collection[str]) -> str:
    return ", ".join(known) or "none"
