"""Log lines: one each, with the request's id, without secrets."""

from __future__ import annotations

import io
import logging
import logging.config
import re
from collections.abc import Iterator
from typing import Any

import pytest
from celery import Celery, shared_task
from celery.beat import ScheduleEntry, Scheduler
from celery.schedules import schedule
from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.db import OperationalError
from django.test import Client
from django.urls import path

from nvr.logs import LineFormatter, mask
from nvr.request_context import Origin, current_origin

SECRETS = [
    "rtsp://root:hunter2@10.0.0.1/main",
    "rtsp://root:hun:ter2@10.0.0.1/main",
    "rtsp://root:hunter2/x@10.0.0.1/main",
    "postgres://nvr:hunter2@db/nvr",
    "redis://:hunter2@redis:6379/0",
    "password=hunter2",
    'rtsp_password: "hunter2"',
    "{'password': 'hunter2'}",
    '{"password": "hunter2"}',
    "Authorization: Bearer hunter2.hunter2.hunter2",
    "authorization: bearer hunter2",
    "X-API-Key: hunter2",
    "api_key=hunter2",
    "key nvr_abcd1234_hunter2hunter2hunter2hunter2hunter2",
    "GET /api/media/x.jpg?expires=1&signature=hunter2&user=1",
    "token=hunter2",
    "NVR_SECRET_KEY=hunter2",
    '{"access": "eyJhbGciOiJI.hunter2.hunter2"}',
    "refresh=eyJhbGciOiJI.hunter2.hunter2",
    "rtsp://root:hun@ter@hunter2@10.0.0.1/main",
]


@pytest.mark.parametrize("text", SECRETS)
def test_a_secret_is_masked(text: str) -> None:
    assert "hunter2" not in mask(text)
    assert "***" in mask(text)


@pytest.mark.parametrize(
    "text",
    [
        "camera status changed camera=front_door from=online to=error",
        "GET /api/cameras?limit=5 200",
        "http://10.0.0.1:8080/path",
        "2026-01-01T10:00:00Z key frame found",
        "the token is invalid or expired",
    ],
)
def test_other_text_is_not_masked(text: str) -> None:
    assert mask(text) == text


def line(message: str, *args: object, exc_info=None) -> str:
    record = logging.LogRecord("nvr.test", logging.WARNING, __file__, 1, message, args, exc_info)
    return LineFormatter().format(record)


def test_a_line_has_time_level_logger_and_message() -> None:
    assert re.fullmatch(
        r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z level=warning logger=nvr\.test clip cut event=5",
        line("clip cut event=%s", 5),
    )


def test_lines_during_a_request_contain_its_id() -> None:
    token = current_origin.set(Origin(request_id="abcd1234"))
    try:
        assert " request=abcd1234 " in line("x")
    finally:
        current_origin.reset(token)
    assert "request=" not in line("x")


def test_a_message_cannot_start_a_second_line() -> None:
    for breaker in ("\n", "\r", "\u2028", "\x0b", "\x1b[31m"):
        text = line("path=%s", f"a{breaker}2026-01-01T00:00:00Z level=info forged")
        assert len(text.splitlines()) == 1
        assert "\x1b" not in text


def test_secrets_in_arguments_and_tracebacks_are_masked() -> None:
    import sys

    try:
        raise ValueError("could not open rtsp://root:hunter2@10.0.0.1/")
    except ValueError:
        text = line("failed url=%s", "rtsp://root:hunter2@10.0.0.1/", exc_info=sys.exc_info())

    assert "ValueError" in text
    assert len(text.splitlines()) == 1
    assert "hunter2" not in text


def test_a_message_that_cannot_be_encoded_is_still_logged(capsys) -> None:
    assert line("path=%s", "caf\udce9").encode()


@login_not_required
def broken(request: Any) -> None:
    raise RuntimeError("our own mistake")


urlpatterns = [path("broken", broken)]
handler400, handler500 = "nvr.error_handlers.bad_request", "nvr.error_handlers.server_error"


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    """What our log settings write while the test runs."""
    handlers = settings.LOGGING["handlers"]
    stream = io.StringIO()
    written = settings.LOGGING | {"handlers": {"console": handlers["console"] | {"stream": stream}}}
    logging.config.dictConfig(written)
    yield stream
    logging.config.dictConfig(settings.LOGGING)


def test_an_unknown_host_is_one_warning(log: io.StringIO, db: None) -> None:
    Client().get("/", headers={"Host": "evil.example"})

    (line,) = log.getvalue().splitlines()
    assert " level=warning logger=django.security.DisallowedHost " in line
    assert "evil.example" in line
    assert "Traceback" not in line


def test_too_many_form_fields_are_one_warning(log: io.StringIO, db: None) -> None:
    Client().post("/login", {f"f{number}": "v" for number in range(1200)})

    (line,) = log.getvalue().splitlines()
    assert " level=warning logger=django.security.TooManyFieldsSent " in line
    assert "Traceback" not in line


@pytest.mark.urls(__name__)
def test_an_internal_error_is_logged_with_its_traceback(log: io.StringIO, db: None) -> None:
    Client(raise_request_exception=False).get("/broken")

    assert " level=error logger=django.request " in log.getvalue()
    assert "our own mistake" in log.getvalue()


@shared_task(name="tests.ask_the_database")
def ask_the_database() -> None:
    raise OperationalError("connection refused\n\tIs the server running?")


@shared_task(name="tests.err")
def err() -> None:
    raise ValueError("our own mistake")


def test_an_unavailable_database_is_logged_once_for_all_tasks_without_traceback(log: io.StringIO) -> None:
    for _ in range(5):
        ask_the_database.apply()

    (line,) = log.getvalue().splitlines()
    assert " level=error logger=celery.app.trace the database does not respond, tasks wait: connection refused" in line
    assert "Traceback" not in line


def test_a_database_error_for_each_camera_is_logged_once(log: io.StringIO) -> None:
    for number in range(3):
        try:
            raise OperationalError("database or disk is full")
        except OperationalError:
            logging.getLogger("media_serving.events").exception("events not closed camera=%s", number)

    (line,) = log.getvalue().splitlines()
    assert " logger=media_serving.events the database does not respond, tasks wait: database or disk is full" in line


def test_each_internal_error_of_a_task_is_logged_with_its_traceback(log: io.StringIO) -> None:
    for _ in range(2):
        err.apply()

    lines = log.getvalue().splitlines()
    assert len(lines) == 2
    assert all("our own mistake" in line and "Traceback" in line for line in lines)


def test_an_unavailable_broker_is_logged_once_by_beat(log: io.StringIO, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CELERY_BROKER_URL", raising=False)  # Celery takes it before what it is told
    away = Celery(broker="redis://127.0.0.1:1/0", set_as_current=False)
    away.conf.update(task_publish_retry=False, broker_transport_options={"max_retries": 1, "interval_start": 0})
    scheduler = Scheduler(away, lazy=True)
    for _ in range(3):
        scheduler.apply_entry(ScheduleEntry("lost", "tests.err", schedule=schedule(1), app=away))

    (line,) = [line for line in log.getvalue().splitlines() if "level=error" in line]
    assert " logger=celery.beat the broker does not respond, tasks wait: " in line
    assert "Traceback" not in line
