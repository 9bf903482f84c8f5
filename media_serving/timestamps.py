"""Moments as detections and events keep them: aware, UTC, whole milliseconds.

What the API shows is then exactly what is stored: a client can search from and to a moment that it was told.
"""

from __future__ import annotations

from datetime import UTC, datetime

EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)
LATEST = datetime(9000, 1, 1, tzinfo=UTC)


class InvalidTimestamp(ValueError):
    """Text that is no ISO 8601 time with a zone; the message says what is missing."""


def parse_timestamp(text: str) -> datetime:
    """An ISO 8601 time with its zone, in UTC. Raises `InvalidTimestamp`."""
    try:
        timestamp = datetime.fromisoformat(text.upper())
        if timestamp.tzinfo is None:
            raise InvalidTimestamp("must say its zone, as in 2026-01-31T12:00:00Z (a + in an address is written %2B).")
        return whole_milliseconds(timestamp.astimezone(UTC))
    except InvalidTimestamp:
        raise
    except (ValueError, OverflowError) as error:
        raise InvalidTimestamp("must be an ISO 8601 time, as in 2026-01-31T12:00:00Z.") from error


def whole_milliseconds(timestamp: datetime) -> datetime:
    return timestamp.replace(microsecond=timestamp.microsecond // 1000 * 1000)


def clamp_to_searchable(timestamp: datetime) -> datetime:
    """`timestamp`, or the nearest that a search can mean: some clients say year 1 for "from the beginning"."""
    return min(max(timestamp, EARLIEST), LATEST)
