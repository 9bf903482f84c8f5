"""Whether strangers see snapshots, unless it is set: only while NVR is reached through loopback alone."""

from __future__ import annotations

from pathlib import Path

import pytest
from pytest_django import Settings

from cameras.forms import CLOSED_HELP, CameraForm
from nvr.installation import doctor
from nvr.installation.first_administrator import FirstAdministrator
from nvr.management.commands.up import welcome
from tests.nvr.test_settings import load

UP, URL, PROXIES, SET = "NVR_UP_ADDRESS", "NVR_PUBLIC_URL", "NVR_TRUSTED_PROXIES", "NVR_PUBLIC_SNAPSHOTS"


@pytest.mark.parametrize(
    ("environment", "public"),
    [
        ({UP: "127.0.0.1"}, True),
        ({UP: "::1"}, True),
        ({UP: "0.0.0.0"}, False),
        ({UP: "::"}, False),
        ({UP: "192.168.1.2"}, False),
        ({UP: "unix:/run/nvr/nvr.sock"}, False),
        ({}, False),  # gunicorn by itself, a worker, doctor
        ({UP: "127.0.0.1", URL: "https://nvr.example.org"}, False),
        ({UP: "127.0.0.1", URL: "http://nvr.lan"}, False),
        ({UP: "127.0.0.1", PROXIES: "127.0.0.1"}, False),
        ({UP: "0.0.0.0", SET: "true"}, True),
        ({URL: "https://nvr.example.org", SET: "true"}, True),
        ({UP: "127.0.0.1", SET: "false"}, False),
    ],
)
def test_the_default(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, environment: dict[str, str], public: bool
) -> None:
    monkeypatch.delenv(UP, raising=False)

    assert load(monkeypatch, tmp_path, **environment)["NVR_PUBLIC_SNAPSHOTS"] is public


def test_a_proxys_word_counts_on_the_unix_socket_alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    public = {URL: "https://nvr.example.org"}

    on_port = load(monkeypatch, tmp_path, **public)
    on_socket = load(monkeypatch, tmp_path, **public, **{UP: "unix:/run/nvr/nvr.sock"})

    assert [str(network) for network in on_port["NVR_TRUSTED_PROXIES"]] == ["127.0.0.1/32", "::1/128"]
    assert on_socket["NVR_TRUSTED_PROXIES"] == []
    assert on_socket["SECURE_PROXY_SSL_HEADER"]


@pytest.mark.parametrize(("strangers_see", "words"), [(True, "without signing in"), (False, "only for who signs in")])
def test_the_box_of_the_first_start_says_so(strangers_see: bool, words: str) -> None:
    created = FirstAdministrator(username="admin", password="x", api_key="nvr_x")

    assert words in welcome(created, [], strangers_see=strangers_see)


@pytest.mark.django_db
def test_the_cameras_form_says_so(settings: Settings) -> None:
    assert "without signing in" in CameraForm().fields["public"].help_text

    settings.NVR_PUBLIC_SNAPSHOTS = False

    assert CameraForm().fields["public"].help_text == CLOSED_HELP


@pytest.mark.parametrize(
    ("address", "said", "level", "words"),
    [
        ("127.0.0.1", None, "ok", "on this machine"),
        ("0.0.0.0", None, "ok", "only for who signs in"),
        ("", None, "ok", "only for who signs in"),
        ("0.0.0.0", "true", "warn", "without signing in"),
    ],
)
def test_doctor_says_so(
    monkeypatch: pytest.MonkeyPatch, address: str, said: str | None, level: str, words: str
) -> None:
    monkeypatch.setattr(doctor, "address_of_running", lambda folder: address)
    monkeypatch.delenv(SET, raising=False)
    if said:
        monkeypatch.setenv(SET, said)

    (finding,) = doctor.check_public_snapshots()

    assert (finding.level, words in finding.what) == (level, True)
