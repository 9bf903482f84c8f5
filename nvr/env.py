"""Typed access to the environment: the only place that reads it.

Each read is remembered with its type, default and unit, so that the reference can be held against the truth.
`NAME_FILE` may stand for a secret `NAME`: the file's content, without the newline at its end.
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
LONGEST = "3650d"  # of any duration
MAX_INTEGER = 2**53
MIN_KEY_LENGTH = 32
# They begin like ours and are no settings: see the reference.
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


def wrong(name: str, value: str, wanted: str) -> ImproperlyConfigured:
    return ImproperlyConfigured(f"{name}={value!r} is not {wanted}. Correct it in the environment or in .env.")


def wrong_secret(name: str, wanted: str) -> ImproperlyConfigured:
    """The same without the value, which may hold a password."""
    return ImproperlyConfigured(f"{name} is not {wanted}. Correct it in the environment or in .env.")


class Environment:
    """Reads variables; an unusable value raises `ImproperlyConfigured` that names it and says what is wanted."""

    def __init__(self, values: Mapping[str, str] | None = None) -> None:
        self.values = os.environ if values is None else values
        self.known: dict[str, Setting] = {}

    def _read(self, name: str, kind: str, default: object) -> str | None:
        self.known[name] = Setting(name, kind, "" if default is None else str(default))
        value = self.values.get(name)
        return value.strip() if value is not None and value.strip() else None

    def text(self, name: str, default: str = "", *, pattern: str = "", wanted: str = "") -> str:
        """Free text, or one that matches `pattern` as a whole; `wanted` says in words what that is."""
        value = self._read(name, "text", default)
        if value is not None and pattern and not re.fullmatch(pattern, value):
            raise wrong(name, value, wanted)
        return default if value is None else value

    def choice(self, name: str, default: str, choices: Collection[str]) -> str:
        """One of `choices`, whatever its case."""
        value = self.text(name, default)
        named = {choice.lower(): choice for choice in choices}
        if value.lower() not in named:
            near = difflib.get_close_matches(value.lower(), named, 1)
            listed = f"one of {', '.join(choices)}" if len(choices) <= 10 else "a known name"
            raise wrong(name, value, listed + (f" (did you mean {named[near[0]]}?)" if near else ""))
        return named[value.lower()]

    def time_zone(self, name: str, default: str) -> str:
        is_default = self.text(name, default) == default  # then the database of zones need not be walked through
        return default if is_default else self.choice(name, default, sorted(available_timezones()))

    def web_address(self, name: str) -> str:
        """`https://host[:port]` without anything behind it, or an empty text."""
        value = self.text(name).rstrip("/")
        wanted = "an address such as https://nvr.example.org, without a path"
        try:
            parts = urlsplit(value)
            complete = parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0
        except ValueError as error:
            raise wrong(name, value, wanted) from error
        if value and (not complete or parts.path or parts.query or parts.fragment or parts.username is not None):
            raise wrong(name, value, wanted)
        return value

    def secret(self, name: str, default: str = "") -> str:
        """A text that may also lie in the file that `NAME_FILE` names."""
        value = self._read(name, "secret", default)
        file = self.values.get(f"{name}_FILE", "").strip()
        if value is None and file:
            try:
                value = Path(file).read_text().strip("\r\n")
            except OSError as error:
                raise wrong(f"{name}_FILE", file, f"a readable file ({error.strerror})") from error
            except UnicodeDecodeError as error:
                raise wrong(f"{name}_FILE", file, "a file of text") from error
            if not value:
                raise wrong(f"{name}_FILE", file, "a file that holds anything")
        return default if value is None else value

    def secret_key(self, name: str) -> str:
        """Long enough that nobody guesses it, or an empty text."""
        key = self.secret(name)
        if key and len(key) < MIN_KEY_LENGTH:
            raise wrong_secret(name, f"long enough: a key has at least {MIN_KEY_LENGTH} characters")
        return key

    def secret_keys(self, name: str) -> list[str]:
        """The same, comma-separated."""
        keys = [key.strip() for key in self.secret(name).split(",") if key.strip()]
        if any(len(key) < MIN_KEY_LENGTH for key in keys):
            raise wrong_secret(name, f"long enough: a key has at least {MIN_KEY_LENGTH} characters")
        return keys

    def server(self, name: str, default: str = "", *, schemes: Collection[str], example: str) -> str:
        """The URL of a server, or of a socket or folder on this machine; it may hold a password.

        Of several, of which the next is tried when one is away, a `;` stands between them.
        """
        value = self.secret(name, default)
        addresses = re.split(r";(?=[a-z+]+://)", value) if value else []
        if not all(is_server(address, schemes) for address in addresses):
            raise wrong_secret(name, f"an address such as {example}")
        return value

    def flag(self, name: str, default: bool) -> bool:
        value = self._read(name, "true or false", str(default).lower())
        if value is None:
            return default
        if value.lower() in TRUE | FALSE:
            return value.lower() in TRUE
        raise wrong(name, value, "true or false")

    def integer(self, name: str, default: int, *, minimum: int = 0, maximum: int = MAX_INTEGER) -> int:
        limited = (minimum, maximum) != (0, MAX_INTEGER)
        kind = f"whole number, {minimum} to {maximum}" if limited else "whole number"
        value = self._read(name, kind, default)
        if value is None:
            return default
        if re.fullmatch(r"[0-9]{1,16}", value) and minimum <= int(value) <= maximum:
            return int(value)
        raise wrong(name, value, f"a whole number from {minimum} to {maximum}")

    def duration(self, name: str, default: timedelta, *, minimum: str = "0s", maximum: str = LONGEST) -> timedelta:
        """A span: a number with s, m, h or d; without a unit, seconds. The limits are written alike."""
        limited = (minimum, maximum) != ("0s", LONGEST)
        kind = f"duration, {minimum} to {maximum}" if limited else "duration (s, m, h, d)"
        value = self._read(name, kind, f"{int(default.total_seconds())}s")
        if value is None:
            return default
        span = parse_duration(value)
        if span is None:
            raise wrong(name, value, "a duration such as 90s, 15m, 24h or 30d")
        if not (parse_duration(minimum) or timedelta()) <= span <= (parse_duration(maximum) or span):
            raise wrong(name, value, f"a duration from {minimum} to {maximum}")
        return span

    def rate(self, name: str, default: str) -> str:
        value = self._read(name, "requests per s, m, h or d", default) or default
        if re.fullmatch(r"[1-9][0-9]{0,8}/[smhd]", value):
            return value
        raise wrong(name, value, "a rate such as 60/m")

    def path(self, name: str, default: Path, *, base: Path) -> Path:
        """A folder, absolute; whether it is there, who needs it sees."""
        value = self._read(name, "folder", default)
        path = (base / (value or default)).absolute()
        if path == Path("/") or is_something_else(path):
            raise wrong(name, value or str(path), "a folder" if path != Path("/") else "a folder of NVR's own")
        return path

    def words(self, name: str, default: list[str] | None = None, *, pattern: str = "", wanted: str = "") -> list[str]:
        """Each word matches `pattern` as a whole, if there is one; `wanted` says in words what that is."""
        value = self._read(name, "comma-separated list", ",".join(default or []))
        words = default or [] if value is None else [w.strip() for w in value.split(",") if w.strip()]
        for word in words:
            if pattern and not re.fullmatch(pattern, word):
                raise wrong(name, word, wanted)
        return words

    def folders(self, name: str, default: list[str], *, first: Path | None = None) -> list[str]:
        """Full paths, each once, `~` being the home of NVR's user; `first` comes before the default."""
        words = self.words(name, default, pattern=r"[/~].*", wanted="a full path starting with /")
        ours = [str(first)] if first is not None and words is default else []
        return list(dict.fromkeys([*ours, *(str(Path(word).expanduser()) for word in words)]))

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

    def unknown(self) -> dict[str, str]:
        """Variables that begin as ours do and are none, each with the name that was probably meant, or nothing."""
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
        has_place = bool(parts.netloc or parts.path) and parts.port != 0
    except ValueError:
        return False
    return parts.scheme in schemes and "://" in address and has_place


def is_something_else(path: Path) -> bool:
    """Whether something that is no folder lies at `path`; what cannot be seen from here is told by who opens it."""
    try:
        return path.exists() and not path.is_dir()
    except OSError:
        return False
