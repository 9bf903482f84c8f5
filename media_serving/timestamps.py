"""Timestamps of detections and events: aware, UTC, whole milliseconds.

The API returns exactly what is stored, so clients can search from and to a timestamp that they received.
"""

from __future__ import annotations

from datetime import UTC, datetime

EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)
LATEST = datetime(9000, 1, 1, tzinfo=UTC)


class InvalidTimestamp(ValueError):
    """The text is not an ISO 8601 time with a zone; the message names what is missing."""


def parse_timestamp(text: str) -> datetime:
    """Parse an ISO 8601 time with a zone; return it in UTC. Raises `InvalidTimestamp`."""
    try:
        # RFC 3339 also allows a lower-case `z`, Python 3.11 does not.
        timestamp = datetime.fromisoformat(text.upper())
        if timestamp.tzinfo is None:
            raise InvalidTimestamp("must have a time zone, as in 2026-01-31T12:00:00Z (in a URL, write + as %2B).")
        return whole_milliseconds(timestamp.astimezone(UTC))
    except InvalidTimestamp:
        raise
    except (ValueError, OverflowError) as error:
        raise InvalidTimestamp("must be an ISO 8601 time, as in 2026-01-31T12:00:00Z.") from error


def whole_milliseconds(timestamp: datetime) -> datetime:
    return timestamp.replace(microsecond=timestamp.microsecond // 1000 * 1000)


def clamp_to_searchable(timestamp: datetime) -> datetime:
    """Clamp `timestamp` to the searchable range: some clients send year 1 for "from the beginning"."""
    return min(max(timestamp, EARLIEST), LATEST)
