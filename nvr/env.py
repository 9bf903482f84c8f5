"""Typed access to the environment: the only place that reads it.

Each read is remembered with its type, default and unit, so that the reference can be held against the truth.
`NAME_FILE` may stand for a secret `NAME`: the file's content, without the newline at its end.
"""

from __future__ import annotations

import ipaddress
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from django.core.exceptions import ImproperlyConfigured

TRUE = {"1", "true", "yes", "on"}
FALSE = {"0", "false", "no", "off", ""}
DURATION_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


@dataclass(frozen=True)
class Setting:
    name: str
    kind: str
    default: str


def wrong(name: str, value: str, wanted: str) -> ImproperlyConfigured:
    return ImproperlyConfigured(f"{name}={value!r} is not {wanted}. Correct it in the environment or in .env.")


class Environment:
    """Reads variables; an unusable value raises `ImproperlyConfigured` that names it and says what is wanted."""

    def __init__(self, values: Mapping[str, str] | None = None) -> None:
        self.values = os.environ if values is None else values
        self.known: dict[str, Setting] = {}

    def _read(self, name: str, kind: str, default: object) -> str | None:
        self.known[name] = Setting(name, kind, "" if default is None else str(default))
        value = self.values.get(name)
        return value.strip() if value is not None and value.strip() else None

    def text(self, name: str, default: str = "") -> str:
        value = self._read(name, "text", default)
        return default if value is None else value

    def secret(self, name: str, default: str = "") -> str:
        """A text that may also lie in the file that `NAME_FILE` names."""
        value = self._read(name, "secret", default)
        file = self.values.get(f"{name}_FILE", "").strip()
        if value is None and file:
            try:
                return Path(file).read_text().strip("\r\n")
            except OSError as error:
                raise wrong(f"{name}_FILE", file, f"a readable file ({error.strerror})") from error
        return default if value is None else value

    def flag(self, name: str, default: bool) -> bool:
        value = self._read(name, "true or false", str(default).lower())
        if value is None:
            return default
        if value.lower() in TRUE | FALSE:
            return value.lower() in TRUE
        raise wrong(name, value, "true or false")

    def integer(self, name: str, default: int, *, minimum: int = 0, maximum: int = 2**53) -> int:
        value = self._read(name, "whole number", default)
        if value is None:
            return default
        if re.fullmatch(r"[0-9]{1,16}", value) and minimum <= int(value) <= maximum:
            return int(value)
        raise wrong(name, value, f"a whole number from {minimum} to {maximum}")

    def duration(self, name: str, default: timedelta) -> timedelta:
        """A span: a number with s, m, h or d; without a unit, seconds."""
        value = self._read(name, "duration (s, m, h, d)", f"{int(default.total_seconds())}s")
        if value is None:
            return default
        match = re.fullmatch(r"([0-9]{1,9})\s*([smhd]?)", value)
        if not match:
            raise wrong(name, value, "a duration such as 90s, 15m, 24h or 30d")
        return timedelta(seconds=int(match[1]) * DURATION_UNITS[match[2] or "s"])

    def rate(self, name: str, default: str) -> str:
        value = self._read(name, "requests per s, m, h or d", default) or default
        if re.fullmatch(r"[1-9][0-9]{0,8}/[smhd]", value):
            return value
        raise wrong(name, value, "a rate such as 60/m")

    def path(self, name: str, default: Path, *, base: Path) -> Path:
        value = self._read(name, "folder", default)
        return (base / (value or default)).absolute()

    def words(self, name: str, default: list[str] | None = None) -> list[str]:
        value = self._read(name, "comma-separated list", ",".join(default or []))
        return default or [] if value is None else [w.strip() for w in value.split(",") if w.strip()]

    def networks(self, name: str, default: list[str] | None = None) -> list[Network]:
        words = self.words(name, default)
        try:
            return [ipaddress.ip_network(word, strict=False) for word in words]
        except ValueError as error:
            raise wrong(name, ",".join(words), "a list of addresses or networks such as 10.0.0.0/8") from error

    def roots(self, name: str, *, base: Path) -> dict[Path, str]:
        """`root=prefix` pairs, comma-separated: which internal nginx location serves which folder."""
        pairs = {}
        for word in self.words(name):
            root, equals, prefix = word.partition("=")
            if not equals or not prefix.startswith("/"):
                raise wrong(name, word, "a list of FOLDER=/prefix/ pairs")
            pairs[(base / root).resolve()] = prefix.rstrip("/") + "/"
        return pairs
