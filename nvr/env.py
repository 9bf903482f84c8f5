"""Typed access to the environment: the only place that reads it.

Each read is recorded with its type, default and unit, so that a test can compare them with the reference.
A secret `NAME` can come from the file in `NAME_FILE`, without the newline at its end.
"""

from __future__ import annotations

import difflib
import ipaddress
import os
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit
from zoneinfo import available_timezones

from django.core.exceptions import ImproperlyConfigured

TRUE = {"1", "true", "yes", "on"}
FALSE = {"0", "false", "no", "off", ""}
DURATION_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
MAX_DURATION = "3650d"
MAX_INTEGER = 2**53
MIN_KEY_LENGTH = 32
# They start with NVR_ but are not settings: see the reference.
READ_BY_OTHERS = {
    "NVR_PROCESS",
    "NVR_UP",
    "NVR_UP_ADDRESS",
    "NVR_PORT",
    "NVR_SCHEME",
    "NVR_UPSTREAM",
    "NVR_LISTEN",
    "NVR_QUEUE",
}

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


@dataclass(frozen=True)
class Setting:
    name: str
    kind: str
    default: str


def invalid(name: str, value: str, expected: str) -> ImproperlyConfigured:
    return ImproperlyConfigured(f"{name}={value!r} is not {expected}. Correct it in the environment or in .env.")


def invalid_secret(name: str, expected: str) -> ImproperlyConfigured:
    """Return the same error without the value, which may contain a password."""
    return ImproperlyConfigured(f"{name} is not {expected}. Correct it in the environment or in .env.")


class Environment:
    """Reads variables; an invalid value raises `ImproperlyConfigured` with the name and the expected format."""

    def __init__(self, values: Mapping[str, str] | None = None) -> None:
        self.values = os.environ if values is None else values
        self.known: dict[str, Setting] = {}

    def _read(self, name: str, kind: str, default: object) -> str | None:
        self.known[name] = Setting(name, kind, "" if default is None else str(default))
        value = self.values.get(name)
        return value.strip() if value is not None and value.strip() else None

    def text(self, name: str, default: str = "", *, pattern: str = "", expected: str = "") -> str:
        """Return free text, or text that fully matches `pattern`, which `expected` describes for the error message."""
        value = self._read(name, "text", default)
        if value is not None and pattern and not re.fullmatch(pattern, value):
            raise invalid(name, value, expected)
        return default if value is None else value

    def choice(self, name: str, default: str, choices: Collection[str]) -> str:
        """Return one of `choices`; the case does not matter."""
        value = self.text(name, default)
        named = {choice.lower(): choice for choice in choices}
        if value.lower() not in named:
            near = difflib.get_close_matches(value.lower(), named, 1)
            listed = f"one of {', '.join(choices)}" if len(choices) <= 10 else "a known name"
            raise invalid(name, value, listed + (f" (did you mean {named[near[0]]}?)" if near else ""))
        return named[value.lower()]

    def time_zone(self, name: str, default: str) -> str:
        is_default = self.text(name, default) == default  # saves reading the time zone database
        return default if is_default else self.choice(name, default, sorted(available_timezones()))

    def web_address(self, name: str) -> str:
        """Return `https://host[:port]` without a path, or an empty text."""
        value = self.text(name).rstrip("/")
        expected = "an address such as https://nvr.example.org, without a path"
        try:
            parts = urlsplit(value)
            complete = parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0
        except ValueError as error:
            raise invalid(name, value, expected) from error
        if value and (not complete or parts.path or parts.query or parts.fragment or parts.username is not None):
            raise invalid(name, value, expected)
        return value

    def secret(self, name: str, default: str = "") -> str:
        """Return a text, which can also come from the file in `NAME_FILE`."""
        value = self._read(name, "secret", default)
        file = self.values.get(f"{name}_FILE", "").strip()
        if value is None and file:
            try:
                value = Path(file).read_text().strip("\r\n")
            except OSError as error:
                raise invalid(f"{name}_FILE", file, f"a readable file ({error.strerror})") from error
            except UnicodeDecodeError as error:
                raise invalid(f"{name}_FILE", file, "a file of text") from error
            if not value:
                raise invalid(f"{name}_FILE", file, "a file that is not empty")
        return default if value is None else value

    def secret_key(self, name: str) -> str:
        """Return a key that is long enough, or an empty text."""
        key = self.secret(name)
        if key and len(key) < MIN_KEY_LENGTH:
            raise invalid_secret(name, f"long enough: a key has at least {MIN_KEY_LENGTH} characters")
        return key

    def secret_keys(self, name: str) -> list[str]:
        """The same, comma-separated."""
        keys = [key.strip() for key in self.secret(name).split(",") if key.strip()]
        if any(len(key) < MIN_KEY_LENGTH for key in keys):
            raise invalid_secret(name, f"long enough: a key has at least {MIN_KEY_LENGTH} characters")
        return keys

    def server(self, name: str, default: str = "", *, schemes: Collection[str], example: str) -> str:
        """Return the URL of a server, or of a socket or folder on this machine; it may contain a password.

        Several URLs, separated by `;`, are tried in order when one does not respond.
        """
        value = self.secret(name, default)
        addresses = re.split(r";(?=[a-z+]+://)", value) if value else []
        if not all(is_server(address, schemes) for address in addresses):
            raise invalid_secret(name, f"an address such as {example}")
        return value

    def flag(self, name: str, default: bool) -> bool:
        value = self._read(name, "true or false", str(default).lower())
        if value is None:
            return default
        if value.lower() in TRUE | FALSE:
            return value.lower() in TRUE
        raise invalid(name, value, "true or false")

    def integer(self, name: str, default: int, *, minimum: int = 0, maximum: int = MAX_INTEGER) -> int:
        limited = (minimum, maximum) != (0, MAX_INTEGER)
        kind = f"whole number, {minimum} to {maximum}" if limited else "whole number"
        value = self._read(name, kind, default)
        if value is None:
            return default
        if re.fullmatch(r"[0-9]{1,16}", value) and minimum <= int(value) <= maximum:
            return int(value)
        raise invalid(name, value, f"a whole number from {minimum} to {maximum}")

    def duration(self, name: str, default: timedelta, *, minimum: str = "0s", maximum: str = MAX_DURATION) -> timedelta:
        """Return a duration: a number with s, m, h or d; without a unit, seconds. The limits use the same format."""
        limited = (minimum, maximum) != ("0s", MAX_DURATION)
        kind = f"duration, {minimum} to {maximum}" if limited else "duration (s, m, h, d)"
        value = self._read(name, kind, f"{int(default.total_seconds())}s")
        if value is None:
            return default
        span = parse_duration(value)
        if span is None:
            raise invalid(name, value, "a duration such as 90s, 15m, 24h or 30d")
        if not (parse_duration(minimum) or timedelta()) <= span <= (parse_duration(maximum) or span):
            raise invalid(name, value, f"a duration from {minimum} to {maximum}")
        return span

    def rate(self, name: str, default: str) -> str:
        value = self._read(name, "requests per s, m, h or d", default) or default
        if re.fullmatch(r"[1-9][0-9]{0,8}/[smhd]", value):
            return value
        raise invalid(name, value, "a rate such as 60/m")

    def path(self, name: str, default: Path, *, base: Path) -> Path:
        """Return the absolute path of a folder, which need not exist."""
        value = self._read(name, "folder", default)
        path = (base / (value or default)).absolute()
        if path == Path("/") or is_not_a_folder(path):
            raise invalid(name, value or str(path), "a folder" if path != Path("/") else "a folder of NVR's own")
        return path

    def words(self, name: str, default: list[str] | None = None, *, pattern: str = "", expected: str = "") -> list[str]:
        """Return a list of words, each matching `pattern`, which `expected` describes for the error message."""
        value = self._read(name, "comma-separated list", ",".join(default or []))
        words = default or [] if value is None else [w.strip() for w in value.split(",") if w.strip()]
        for word in words:
            if pattern and not re.fullmatch(pattern, word):
                raise invalid(name, word, expected)
        return words

    def folders(self, name: str, default: list[str], *, first: Path | None = None) -> list[str]:
        """Return full paths without duplicates, `~` expanded for NVR's user; `first` precedes the default."""
        words = self.words(name, default, pattern=r"[/~].*", expected="a full path starting with /")
        leading = [str(first)] if first is not None and words is default else []
        return list(dict.fromkeys([*leading, *(str(Path(word).expanduser()) for word in words)]))

    def networks(self, name: str, default: list[str] | None = None) -> list[Network]:
        words = self.words(name, default)
        try:
            return [ipaddress.ip_network(word, strict=False) for word in words]
        except ValueError as error:
            raise invalid(name, ",".join(words), "a list of addresses or networks such as 10.0.0.0/8") from error

    def roots(self, name: str, *, base: Path) -> dict[Path, str]:
        """Return `root=prefix` pairs, comma-separated: the internal nginx location that serves each folder."""
        pairs = {}
        for word in self.words(name):
            root, equals, prefix = word.partition("=")
            if not equals or not prefix.startswith("/"):
                raise invalid(name, word, "a list of FOLDER=/prefix/ pairs")
            pairs[(base / root).resolve()] = prefix.rstrip("/") + "/"
        return pairs

    def unknown(self) -> dict[str, str]:
        """Return NVR_ variables that are not settings, each with the most similar name, or an empty text."""
        known = {*self.known, *READ_BY_OTHERS}
        files = {f"{name}_FILE" for name, setting in self.known.items() if setting.kind == "secret"}
        others = sorted(name for name in self.values if name.startswith("NVR_") and name not in known | files)
        return {name: "".join(difflib.get_close_matches(name, known | files, 1, cutoff=0.7)) for name in others}


def parse_duration(text: str) -> timedelta | None:
    match = re.fullmatch(r"([0-9]{1,9})\s*([smhd]?)", text)
    return timedelta(seconds=int(match[1]) * DURATION_UNITS[match[2] or "s"]) if match else None


def is_server(address: str, schemes: Collection[str]) -> bool:
    try:
        parts = urlsplit(address)
        has_target = bool(parts.netloc or parts.path) and parts.port != 0
    except ValueError:
        return False
    return parts.scheme in schemes and "://" in address and has_target


def is_not_a_folder(path: Path) -> bool:
    """Return whether `path` exists and is not a folder; False if it cannot be accessed."""
    try:
        return path.exists() and not path.is_dir()
    except OSError:
        return False
