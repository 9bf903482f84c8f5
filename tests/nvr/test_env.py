"""The environment, typed: what is usable, and the sentence about what is not."""

from __future__ import annotations

from datetime import timedelta
from ipaddress import ip_network
from pathlib import Path

import pytest
from django.core.exceptions import ImproperlyConfigured

from nvr.env import Environment


def env(**values: str) -> Environment:
    return Environment(values)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1", True),
        ("TRUE", True),
        ("yes", True),
        ("on", True),
        ("0", False),
        ("no", False),
        ("Off", False),
        ("", True),
        ("  ", True),
    ],
)
def test_a_flag(text: str, value: bool) -> None:
    assert env(X=text).flag("X", True) is value


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90", 90), ("90s", 90), ("15m", 900), ("24h", 86400), ("30d", 2592000), ("0", 0), (" 5 m ", 300)],
)
def test_a_duration(text: str, seconds: int) -> None:
    assert env(X=text).duration("X", timedelta(1)) == timedelta(seconds=seconds)


def test_a_missing_or_blank_variable_has_its_default() -> None:
    for known in (env(), env(X=" ")):
        assert known.text("X", "a") == "a"
        assert known.secret("X", "a") == "a"
        assert known.integer("X", 5) == 5
        assert known.duration("X", timedelta(hours=1)) == timedelta(hours=1)
        assert known.rate("X", "60/m") == "60/m"
        assert known.words("X", ["a"]) == ["a"]
        assert known.path("X", Path("data"), base=Path("/base")) == Path("/base/data")


@pytest.mark.parametrize(
    ("read", "text"),
    [
        (lambda e: e.flag("X", True), "maybe"),
        (lambda e: e.integer("X", 1), "1.5"),
        (lambda e: e.integer("X", 1), "-1"),
        (lambda e: e.integer("X", 1), "٣"),
        (lambda e: e.integer("X", 1), "9" * 30),
        (lambda e: e.integer("X", 1, maximum=5), "6"),
        (lambda e: e.duration("X", timedelta(1)), "1w"),
        (lambda e: e.duration("X", timedelta(1)), "-5m"),
        (lambda e: e.rate("X", "1/m"), "sixty"),
        (lambda e: e.rate("X", "1/m"), "0/m"),
        (lambda e: e.networks("X"), "10.0.0.300"),
        (lambda e: e.roots("X", base=Path("/")), "/data"),
    ],
)
def test_an_invalid_value_is_reported_with_its_variable(read, text: str) -> None:
    with pytest.raises(ImproperlyConfigured) as raised:
        read(env(X=text))

    assert str(raised.value).startswith("X=")
    assert text in str(raised.value)


def test_networks_are_parsed_with_and_without_a_prefix_length() -> None:
    assert env(X="10.0.0.1, 10.1.2.3/8 ,::1").networks("X") == [
        ip_network("10.0.0.1/32"),
        ip_network("10.0.0.0/8"),
        ip_network("::1/128"),
    ]


def test_a_relative_path_is_below_the_base() -> None:
    assert env(X="sub/x").path("X", Path("d"), base=Path("/base")) == Path("/base/sub/x")
    assert env(X="/abs").path("X", Path("d"), base=Path("/base")) == Path("/abs")


def test_a_secret_can_be_read_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("two words \r\n")

    assert env(X_FILE=str(tmp_path / "secret")).secret("X") == "two words "
    assert env(X_FILE=str(tmp_path / "secret"), X="mine").secret("X") == "mine"
    with pytest.raises(ImproperlyConfigured, match="X_FILE"):
        env(X_FILE=str(tmp_path / "nothing")).secret("X")


def test_pairs_of_roots_and_prefixes(tmp_path: Path) -> None:
    assert env(X=f"{tmp_path}=/a, rel=/b/").roots("X", base=tmp_path) == {tmp_path: "/a/", tmp_path / "rel": "/b/"}


def test_every_variable_is_recorded_with_type_and_default() -> None:
    known = env()
    known.flag("A", False)
    known.duration("B", timedelta(hours=1))

    assert {name: (row.kind, row.default) for name, row in known.known.items()} == {
        "A": ("true or false", "false"),
        "B": ("duration (s, m, h, d)", "3600s"),
    }
