"""Serializer fields that reject values which a database or a file name cannot store."""

from __future__ import annotations

import unicodedata
from datetime import datetime
from typing import Any

from rest_framework import serializers


def has_control_characters(text: str) -> bool:
    """Return whether `text` contains C0, DEL, C1 or surrogate characters, which users cannot type."""
    return any(unicodedata.category(character) in {"Cc", "Cs"} for character in text)


class Text(serializers.CharField):
    """A JSON string (not a number) without NUL and lone surrogates."""

    default_error_messages = {"text": "must be a text.", "control": "must not contain control characters."}

    def __init__(self, *, multiline: bool = False, **kwargs: Any) -> None:
        self.multiline = multiline
        super().__init__(**kwargs)

    def run_validation(self, data: Any = serializers.empty) -> Any:
        if isinstance(data, str):
            checked = data.replace("\n", "").replace("\r", "").replace("\t", "") if self.multiline else data
            if has_control_characters(checked):
                self.fail("control")
        return super().run_validation(data)

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str):
            self.fail("text")
        return super().to_internal_value(data)


# In Python, `True` is an int: without the check, it would be accepted as 1.
class Number(serializers.FloatField):
    """A JSON number within bounds, not a string or boolean."""

    def to_internal_value(self, data: Any) -> float:
        if isinstance(data, bool) or not isinstance(data, int | float):
            self.fail("invalid")
        return super().to_internal_value(data)


class Whole(serializers.IntegerField):
    def to_internal_value(self, data: Any) -> int:
        if isinstance(data, bool) or not isinstance(data, int):
            self.fail("invalid")
        return super().to_internal_value(data)


class Flag(serializers.BooleanField):
    """JSON true or false only."""

    def to_internal_value(self, data: Any) -> bool:
        if not isinstance(data, bool):
            self.fail("invalid", input=data)
        return data


def milliseconds(timestamp: datetime | None) -> str | None:
    """Format a UTC timestamp with milliseconds and `Z`: detections, events, uploads, audit."""
    if timestamp is None:
        return None
    return timestamp.strftime("%Y-%m-%dT%H:%M:%S.") + f"{timestamp.microsecond // 1000:03d}Z"
