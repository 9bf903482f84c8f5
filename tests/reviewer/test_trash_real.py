"""Trash runs with a real server, broker and worker: killed workers and clients that disconnect."""

from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.conf import settings
from django.contrib.auth.models import User
from django.utils import timezone

from nvr.accounts.models import ApiKey
from reviewer.models import ReviewPath, RunState, TrashRun
from reviewer.trash import runs as trash_runs
from tests.servers import BASE_DIR, our_server

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]
FILES = 10_000


@contextmanager
def working() -> Iterator[subprocess.Popen[bytes]]:
    """A worker of the queue, as the product starts it."""
    database = settings.DATABASES["default"]
    outer = os.environ.get("DATABASE_URL", "").rpartition("/")[0]
    embedded = database["ENGINE"].endswith("sqlite3")
    environment = {
        "DJANGO_SETTINGS_MODULE": "nvr.settings",
        "NVR_DATA_DIR": str(settings.NVR_DATA_DIR),
        "DATABASE_URL": f"sqlite:///{database['NAME']}" if embedded else f"{outer}/{database['NAME']}",
    }
    command = [sys.executable, "-m", "celery", "--quiet", "-A", "nvr", "worker", "-Q", "interactive"]
    options = ["--concurrency", "1", "--without-gossip", "--without-mingle", "--without-heartbeat"]
    process = subprocess.Popen([*command, *options], env=os.environ | environment, cwd=BASE_DIR, start_new_session=True)
    try:
        yield process
    finally:
        kill(process)


def kill(worker: subprocess.Popen[bytes]) -> None:
    if worker.poll() is None:
        os.killpg(worker.pid, signal.SIGKILL)
        worker.wait()


@pytest.fixture
def card(tmp_path: Path) -> Path:
    folder = tmp_path.resolve() / "card"
    folder.mkdir()
    for number in range(FILES):
        for ending in ("", ".trash", ".seen"):
            (folder / f"IMG_{number:04}.JPG{ending}").touch()
    (folder / "kept.jpg").touch()
    return folder


@pytest.fixture
def key(known: ReviewPath, reviewer: User) -> str:
    return ApiKey.objects.issue(user=reviewer, name="test")[1]


def begun(url: str, key: str) -> http.client.HTTPResponse:
    """The answer, when its head is there."""
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=60)
    connection.request("POST", "/api/empty-trash", headers={"X-API-Key": key})
    return connection.getresponse()


def begun_when_ready(url: str, key: str) -> http.client.HTTPResponse:
    """A worker takes a few seconds to start: the first answers are 503."""
    deadline = time.monotonic() + 150
    while time.monotonic() < deadline:
        answer = begun(url, key)
        if answer.status != 503:
            return answer
    raise AssertionError(answer.read())


def names(card: Path) -> set[str]:
    return set(os.listdir(card))


def until(condition: Any, seconds: float = 90) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def is_over() -> bool:
    return TrashRun.objects.latest("pk").is_over


def test_all_of_it_streams_while_the_worker_deletes(card, key):
    with our_server() as url, working():
        answer = begun_when_ready(url, key)
        assert answer.status == 200
        lines = [json.loads(line) for line in answer.read().splitlines()]

    assert lines[-1] == {"type": "done", "deleted": FILES, "errors": 0}
    assert len(lines) == 2 * FILES + 1
    assert names(card) == {"kept.jpg"}
    assert TrashRun.objects.get(pk=answer.headers["X-Trash-Run"]).state == RunState.DONE


def test_a_client_that_leaves_cancels_it(card, key):
    with our_server() as url, working():
        answer = begun_when_ready(url, key)
        assert json.loads(answer.readline())["type"] == "deleting"
        answer.close()
        until(is_over)

    run = TrashRun.objects.latest("pk")
    left = sum(name.endswith(".JPG") for name in names(card))
    assert run.state == RunState.CANCELLED
    assert run.deleted == FILES - left < FILES
    assert len(names(card)) == 3 * left + 1


def test_a_killed_worker_is_made_up_for_and_nothing_is_half_deleted(card, key):
    with our_server() as url, working() as worker:
        answer = begun_when_ready(url, key)
        first = answer.readline()
        kill(worker)
        run = TrashRun.objects.get(pk=answer.headers["X-Trash-Run"])
        assert (run.state, is_over()) == (RunState.WORKING, False)
        TrashRun.objects.filter(pk=run.pk).update(leased_until=timezone.now() - timedelta(seconds=1))
        with working():
            trash_runs.maintain_runs()
            lines = [json.loads(line) for line in [first, *answer.read().splitlines()]]

    deleted = [line["path"] for line in lines if line["type"] == "deleted"]
    assert lines[-1] == {"type": "done", "deleted": FILES, "errors": 0}
    assert len(set(deleted)) == len(deleted) == FILES
    assert names(card) == {"kept.jpg"}
    run.refresh_from_db()
    assert (run.state, run.attempts, run.deleted) == (RunState.DONE, 2, FILES)
