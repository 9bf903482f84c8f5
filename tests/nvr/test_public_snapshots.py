"""The default of NVR_PUBLIC_SNAPSHOTS: true only while NVR listens on loopback alone."""

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


def test_proxy_headers_are_trusted_on_the_unix_socket_only(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    public = {URL: "https://nvr.example.org"}

    on_port = load(monkeypatch, tmp_path, **public)
    on_socket = load(monkeypatch, tmp_path, **public, **{UP: "unix:/run/nvr/nvr.sock"})

    assert [str(network) for network in on_port["NVR_TRUSTED_PROXIES"]] == ["127.0.0.1/32", "::1/128"]
    assert on_socket["NVR_TRUSTED_PROXIES"] == []
    assert on_socket["SECURE_PROXY_SSL_HEADER"]


@pytest.mark.parametrize(("public", "words"), [(True, "without signing in"), (False, "only after signing in")])
def test_the_welcome_box_shows_the_default(public: bool, words: str) -> None:
    created = FirstAdministrator(username="admin", password="x", api_key="nvr_x")

    assert words in welcome(created, [], public=public)


@pytest.mark.django_db
def test_the_camera_form_shows_it(settings: Settings) -> None:
    assert "without signing in" in CameraForm().fields["public"].help_text

    settings.NVR_PUBLIC_SNAPSHOTS = False

    assert CameraForm().fields["public"].help_text == CLOSED_HELP


@pytest.mark.parametrize(
    ("address", "setting", "level", "words"),
    [
        ("127.0.0.1", None, "ok", "on this machine"),
        ("0.0.0.0", None, "ok", "only after signing in"),
        ("", None, "ok", "only after signing in"),
        ("0.0.0.0", "true", "warn", "without signing in"),
    ],
)
def test_doctor_reports_it(
    monkeypatch: pytest.MonkeyPatch, address: str, setting: str | None, level: str, words: str
) -> None:
    monkeypatch.setattr(doctor, "address_of_running", lambda folder: address)
    monkeypatch.delenv(SET, raising=False)
    if setting:
        monkeypatch.setenv(SET, setting)

    (finding,) = doctor.check_public_snapshots()

    assert (finding.level, words in finding.what) == (level, True)
