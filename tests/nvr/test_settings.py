"""Every setting refuses what cannot be used, in one sentence that names it; so does every program that reads them."""

from __future__ import annotations

import os
import runpy
import subprocess
import sys
from pathlib import Path

import pytest
from django.core.exceptions import ImproperlyConfigured
from pytest_django import Settings

from nvr.audit.models import AuditEntry
from nvr.database_url import database_from
from nvr.env import READ_BY_OTHERS, Environment
from nvr.errors import Invalid
from nvr.installation.checks import check_first_password
from nvr.installation.first_administrator import create_first_administrator
from nvr.settings import env
from tests.docs.markdown import column, read
from tests.factories import make_user

ROOT = Path(__file__).resolve().parents[2]
SHORT = "x" * 31
BY_KIND = {
    "true or false": ["maybe", "2"],
    "whole number": ["-1", "1.5", "many", "9" * 17],
    "duration": ["-5m", "1w", "soon", "3651d"],
    "requests": ["0/m", "sixty", "5", "5/y"],
    "folder": ["/", __file__],
}
BY_NAME = {
    "NVR_ACCEL_REDIRECT": ["/data", "/data=media"],
    "NVR_ADMIN_USERNAME": ["two words", "x" * 151],
    "NVR_ALLOWED_HOSTS": ["*", "https://nvr.example.org", "nvr.lan:8000", "a b"],
    "NVR_COOKIE_PREFIX": ["a b", "a;b", "x" * 41, "ä"],
    "NVR_LOG_LEVEL": ["LOUD", "INFOO"],
    "NVR_PUBLIC_URL": [
        "nvr.example.org",
        "ftp://x",
        "https://",
        "https://x:y",
        "https://x/nvr",
        "https://u:p@x",
        "http://[::1",
    ],
    "NVR_REVIEW_HIDDEN_PATHS": ["etc", "/etc,media"],
    "NVR_REVIEW_ROOTS": ["media", "/mnt,srv"],
    "NVR_SECRET_KEY": ["x", SHORT],
    "NVR_SECRET_KEY_FALLBACKS": ["x", f"{SHORT}x,{SHORT}"],
    "NVR_TIME_ZONE": ["Mars/Olympus", "Europe", "../../etc/passwd", "+02:00"],
    "NVR_TRUSTED_PROXIES": ["10.0.0.300", "proxy.lan"],
    "DATABASE_URL": [
        "x",
        "mysql://hunter2@h/x",
        "postgres://u:hunter2@h/",
        "postgres://h:hunter2/x",
        "postgres://[hunter2/x",
    ],
    "REDIS_URL": ["x", "http://u:hunter2@h/0", "redis://h:hunter2/0", "redis://", "unix:/run/redis.sock"],
    "CELERY_BROKER_URL": [
        "x",
        "kafka://u:hunter2@h",
        "amqp://h:hunter2//",
        "amqp://",
        "amqp://h//;kafka://u:hunter2@h",
        "sentinel://h:26379",
    ],
}
# Looked at while there is no superuser, and by Django's validators: see tests/start.
BY_A_CHECK = {"NVR_ADMIN_PASSWORD"}


def bad_values(name: str) -> list[str]:
    kind = env.known[name].kind
    by_kind = next((values for known, values in BY_KIND.items() if kind.startswith(known)), [])
    return BY_NAME.get(name, by_kind)


def load(monkeypatch: pytest.MonkeyPatch, data: Path, **values: str) -> dict[str, object]:
    """The settings as a new process reads them."""
    for name in (*env.known, "NVR_UP"):
        monkeypatch.delenv(name, raising=False)
    for name, value in {"NVR_DATA_DIR": str(data), **values}.items():
        monkeypatch.setenv(name, value)
    return runpy.run_path(str(ROOT / "nvr/settings.py"))


@pytest.mark.parametrize("name", sorted(set(env.known) - BY_A_CHECK))
def test_a_setting_rejects_invalid_values(name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert bad_values(name), "write a value down that it refuses"

    for value in bad_values(name):
        with pytest.raises(ImproperlyConfigured) as refused:
            load(monkeypatch, tmp_path, **{name: value})

        sentence = str(refused.value)
        assert sentence.startswith(name), value
        assert " is not " in sentence
        assert sentence.endswith("Correct it in the environment or in .env.")
        assert "hunter2" not in sentence


@pytest.mark.parametrize("name", sorted(env.known))
def test_the_error_for_a_value_out_of_range_contains_the_limits(
    name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    kind, _, limits = env.known[name].kind.partition(", ")
    if kind in {"whole number", "duration"} and limits:
        with pytest.raises(ImproperlyConfigured, match=limits.replace(" to ", " (and|to) ")):
            load(monkeypatch, tmp_path, **{name: "9999999999" if kind == "whole number" else "99999d"})


def test_valid_values_are_accepted(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    key = "k" * 32
    read = load(
        monkeypatch,
        tmp_path,
        NVR_SECRET_KEY=key,
        NVR_SECRET_KEY_FALLBACKS=f"{'a' * 32}, {'b' * 40}",
        NVR_TIME_ZONE="europe/berlin",
        NVR_LOG_LEVEL="warning",
        NVR_PUBLIC_URL="https://nvr.example.org/",
        NVR_ALLOWED_HOSTS="nvr.lan, .example.org, 192.0.2.7, [fd00::1]",
        DATABASE_URL="postgres://nvr:p%40ss@db.lan:5433/nvr?sslmode=require",
        REDIS_URL="unix:///run/redis.sock",
        CELERY_BROKER_URL="amqp://nvr:secret@rabbit.lan//",
    )

    assert read["SECRET_KEY"] == key
    assert read["SECRET_KEY_FALLBACKS"] == ["a" * 32, "b" * 40]
    assert (read["NVR_TIME_ZONE"], read["NVR_LOG_LEVEL"]) == ("Europe/Berlin", "WARNING")
    assert read["NVR_PUBLIC_URL"] == "https://nvr.example.org"


@pytest.mark.parametrize(
    "value",
    [
        "redis+socket:///run/redis.sock",
        "amqp://nvr:secret@one.lan:5672;amqp://nvr:secret@two.lan:5672",
        "redis://:p%3Bss@[fd00::1]:6379/1",
    ],
)
def test_every_form_of_a_broker_url_is_accepted(value: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert load(monkeypatch, tmp_path, CELERY_BROKER_URL=value)["CELERY_BROKER_URL"] == value


@pytest.mark.parametrize(
    ("url", "database"),
    [
        ("postgres:///nvr", {"NAME": "nvr", "HOST": ""}),
        ("postgres://%2Frun%2Fpostgresql/nvr", {"NAME": "nvr", "HOST": "/run/postgresql"}),
        ("postgres:///nvr?host=/run/postgresql", {"NAME": "nvr", "OPTIONS": {"host": "/run/postgresql"}}),
        ("postgres:///?service=nvr", {"NAME": "", "OPTIONS": {"service": "nvr"}}),
        ("postgres://nvr@[fd00::1]:5432/nvr", {"HOST": "fd00::1", "PORT": 5432}),
    ],
)
def test_every_form_of_a_database_url_is_accepted(url: str, database: dict[str, object]) -> None:
    assert database_from(url).items() >= database.items()


@pytest.mark.parametrize("content", [b"", b"\n", b"\xff\xfe\x00"])
def test_a_secret_file_without_a_usable_value_is_rejected(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "key").write_bytes(content)

    with pytest.raises(ImproperlyConfigured, match="NVR_SECRET_KEY_FILE"):
        Environment({"NVR_SECRET_KEY_FILE": str(tmp_path / "key")}).secret_key("NVR_SECRET_KEY")


def test_a_misspelt_setting_is_reported_with_a_similar_name() -> None:
    known = Environment(
        {
            "NVR_TRASH_RETENTON": "1d",
            "NVR_KEY": "x",
            "NVR_KEY_FILE": "x",
            "NVR_UP": "x",
            "NVR_WHATEVER": "1",
            "OTHER": "",
        }
    )
    known.text("NVR_TRASH_RETENTION")
    known.secret("NVR_KEY")

    assert known.unknown() == {"NVR_TRASH_RETENTON": "NVR_TRASH_RETENTION", "NVR_WHATEVER": ""}


def test_the_reference_lists_the_variables_that_are_not_settings() -> None:
    assert sorted(column(read("docs/reference/settings.md"), "Other variable")) == sorted(READ_BY_OTHERS)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("program", "status"),
    [
        (["manage.py", "check"], 1),
        (["manage.py", "up", "--prepare"], 1),
        (["manage.py", "doctor"], 1),
        (["-m", "celery", "-A", "nvr", "worker"], 1),
        (["-m", "gunicorn", "-c", "python:nvr.webserver.configuration", "-b", "127.0.0.1:0", "nvr.wsgi"], 1),
        (["-m", "gunicorn", "-b", "127.0.0.1:0", "nvr.wsgi"], 3),
    ],
)
def test_every_program_exits_with_one_sentence(program: list[str], status: int, tmp_path: Path) -> None:
    ended = run(program, NVR_DATA_DIR=str(tmp_path), NVR_SECRET_KEY="x")

    assert ended.returncode == status, ended.stdout + ended.stderr
    assert "NVR_SECRET_KEY is not long enough: a key has at least 32 characters." in ended.stdout + ended.stderr
    assert "Traceback" not in ended.stderr


def run(program: list[str], **values: str) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if name != "DJANGO_SETTINGS_MODULE"}
    command = [sys.executable, *program]
    return subprocess.run(command, env=kept | values, cwd=ROOT, capture_output=True, text=True, timeout=60)


def test_a_weak_first_password_stops_the_start_before_anything_is_created(tmp_path: Path) -> None:
    database = f"sqlite:///{tmp_path}/nvr.sqlite3"
    ended = run(
        ["manage.py", "up", "--prepare"], NVR_DATA_DIR=str(tmp_path), NVR_ADMIN_PASSWORD="admin", DATABASE_URL=database
    )

    assert ended.returncode == 1
    assert "NVR_ADMIN_PASSWORD is too weak: " in ended.stderr
    assert "Traceback" not in ended.stderr
    assert not (tmp_path / "nvr.sqlite3").exists()


def test_the_first_password_is_only_used_without_a_superuser(db: None, settings: Settings) -> None:
    settings.NVR_ADMIN_PASSWORD = "admin"

    assert [error.id for error in check_first_password()] == ["nvr.E001"]
    with pytest.raises(Invalid, match="NVR_ADMIN_PASSWORD is too weak"):
        create_first_administrator()

    make_user("chief", is_superuser=True)
    assert check_first_password() == []
    assert create_first_administrator() is None


def test_the_first_administrator_is_audited(db: None, settings: Settings) -> None:
    settings.NVR_ADMIN_PASSWORD = "a rather long pass phrase"

    create_first_administrator()

    entry = AuditEntry.objects.get(action="user_created")
    assert (entry.actor_name, entry.target_name) == ("system", "admin")
    assert entry.changes["is_superuser"] == [None, True]
