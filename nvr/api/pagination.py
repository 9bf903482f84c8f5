"""Pagination: by offset for cameras, by cursor (keyset) for tables that keep growing."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import orjson
from django.db.models import Model, Q, QuerySet
from django.http import QueryDict

from nvr.errors import Invalid

MAX_NUMBER = 2**53


def whole_number(query: QueryDict, name: str, default: int, *, minimum: int, maximum: int = MAX_NUMBER) -> int:
    """Return the query parameter `name` as a number within bounds; raises `Invalid` (422) otherwise."""
    text = query.get(name)
    if text is None:
        return default
    if text.isascii() and text.isdigit() and len(text) <= 16 and minimum <= int(text) <= maximum:
        return int(text)
    limits = f"from {minimum} to {maximum}" if maximum < MAX_NUMBER else f"of at least {minimum}"
    raise Invalid.field(name, f"must be a whole number {limits}.")


def encode_cursor(*key: Any) -> str:
    return base64.urlsafe_b64encode(orjson.dumps(key)).decode().rstrip("=")


def decode_cursor(text: str, *kinds: type) -> tuple[Any, ...]:
    """Return the key of a cursor from `encode_cursor`; raises `Invalid` (422) for other texts."""
    try:
        key = orjson.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    except (binascii.Error, ValueError) as error:
        raise bad_cursor() from error
    if not isinstance(key, list) or [type(part) for part in key] != list(kinds):
        raise bad_cursor()
    return tuple(key)


def bad_cursor() -> Invalid:
    return Invalid.field("cursor", "must be the next_cursor of an earlier response.")


class KeysetPage:
    """One page of `rows`, newest first by (`timestamp_field`, primary key). Equal timestamps lose or repeat no row.

    `limit` is 1 to `max_limit`. Every page costs one query.
    """

    def __init__(
        self,
        rows: QuerySet[Any],
        query: QueryDict,
        *,
        timestamp_field: str,
        default_limit: int = 50,
        max_limit: int = 1000,
    ) -> None:
        self.limit = whole_number(query, "limit", default_limit, minimum=1, maximum=max_limit)
        if (cursor := query.get("cursor")) is not None:
            rows = rows.filter(_older_than(cursor, timestamp_field))
        # One row more than the page shows whether there is another page, without a count.
        found = list(rows.order_by(f"-{timestamp_field}", "-pk")[: self.limit + 1])
        self.items: Sequence[Any] = found[: self.limit]
        self.has_more = len(found) > self.limit
        self.next_cursor = self._cursor_after(self.items[-1], timestamp_field) if self.has_more else None

    @staticmethod
    def _cursor_after(row: Model, timestamp_field: str) -> str:
        return encode_cursor(getattr(row, timestamp_field).isoformat(), row.pk)

    def envelope(self, items: list[Any]) -> dict[str, Any]:
        pagination = {"next_cursor": self.next_cursor, "has_more": self.has_more, "limit": self.limit}
        return {"items": items, "pagination": pagination}


def _older_than(cursor: str, timestamp_field: str) -> Q:
    text, pk = decode_cursor(cursor, str, int)
    try:
        at = datetime.fromisoformat(text)
        if at.tzinfo is None or not 0 <= pk < 2**63:
            raise bad_cursor()
        at = at.astimezone(UTC)
    except (ValueError, OverflowError) as error:  # year 1 in an eastern time zone is out of range
        raise bad_cursor() from error
    # The first condition is the one that an index on the timestamp can use.
    return Q(**{f"{timestamp_field}__lte": at}) & (Q(**{f"{timestamp_field}__lt": at}) | Q(pk__lt=pk))
