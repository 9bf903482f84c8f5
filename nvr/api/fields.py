"""Serializer fields that refuse what a database or a file name cannot hold."""

from __future__ import annotations

import unicodedata
from datetime import datetime
from typing import Any

from rest_framework import serializers


def has_control_characters(text: str) -> bool:
    """C0, DEL, C1 and surrogates: nothing that a person typed."""
    return any(unicodedata.category(character) in {"Cc", "Cs"} for character in text)


class Text(serializers.CharField):
    """Text from JSON text only (a number is no name), without NUL and lone surrogates."""

    default_error_messages = {"text": "must be a text.", "control": "must not contain control characters."}

    def __init__(self, *, multiline: bool = False, **kwargs: Any) -> None:
        self.multiline = multiline
        super().__init__(**kwargs)

    def run_validation(self, data: Any = serializers.empty) -> Any:
        if isinstance(data, str):
            looked_at = data.replace("\n", "").replace("\r", "").replace("\t", "") if self.multiline else data
            if has_control_characters(looked_at):
                self.fail("control")
        return super().run_validation(data)

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str):
            self.fail("text")
        return super().to_internal_value(data)


class Number(serializers.FloatField):
    """A JSON number within bounds; a text or a boolean is none."""

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
    """JSON true or false, nothing that looks like it."""

    def to_internal_value(self, data: Any) -> bool:
        if not isinstance(data, bool):
            self.fail("invalid", input=data)
        return data


def milliseconds(moment: datetime | None) -> str | None:
    """UTC with milliseconds and `Z`: detections, events, uploads, audit."""
    return None if moment is None else moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"
