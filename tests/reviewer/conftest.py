"""A memory card with a few pictures, its users, and workers of trash runs."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from celery import current_app
from django.contrib.auth.models import Group, User
from django.db import connection
from rest_framework.test import APIClient

from reviewer.catalog import store
from reviewer.models import ReviewPath
from reviewer.registry import add_path
from reviewer.trash import worker as trash_worker
from tests.factories import jpeg, make_user, put


@pytest.fixture(autouse=True)
def closed_indexes() -> Iterator[None]:
    yield
    for opened in store._local.__dict__.pop("opened", {}).values():
        opened.scanner.index.close()


@pytest.fixture
def card(tmp_path: Path) -> Path:
    """DCIM/100MEDIA with three pictures and a text file, DCIM/101MEDIA with one picture."""
    folder = tmp_path.resolve() / "card"
    for number, name in enumerate(("IMG_0001.JPG", "IMG_0002.JPG", "IMG_0003.JPG")):
        put(folder / "DCIM/100MEDIA", name, jpeg(64, 48, seed=number))
    put(folder / "DCIM/100MEDIA", "notes.txt", b"wind")
    put(folder / "DCIM/101MEDIA", "IMG_0001.JPG", jpeg(80, 60))
    settle(folder)
    return folder


def settle(folder: Path) -> None:
    """Set the mtimes of all folders into the past, so that they need no rescan."""
    for path, _, _ in os.walk(folder):
        os.utime(path, (1_700_000_000, 1_700_000_000))


@pytest.fixture
def group(db: None) -> Group:
    return Group.objects.create(name="rangers")


@pytest.fixture
def reviewer(group: Group) -> User:
    return make_user("ranger", "reviewer.review", groups=(group,))


@pytest.fixture
def manager(db: None) -> User:
    return make_user("manager", "reviewer.review", "reviewer.change_reviewpath")


@pytest.fixture
def known(card: Path, manager: User, group: Group) -> ReviewPath:
    return add_path(manager, str(card), groups=(group,))[0]


@pytest.fixture
def review(reviewer: User, known: ReviewPath) -> APIClient:
    client = APIClient()
    client.force_authenticate(reviewer)
    return client


@pytest.fixture
def manage(manager: User) -> APIClient:
    client = APIClient()
    client.force_authenticate(manager)
    return client


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The ids of the runs that were sent. No worker processes them."""
    sent_runs: list[int] = []
    monkeypatch.setattr(current_app, "send_task", lambda name, args, queue: sent_runs.append(args[0]))
    return sent_runs


@pytest.fixture
def worker(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[threading.Thread]]:
    """A worker in another thread, with its own database connection."""
    threads: list[threading.Thread] = []

    def work(run: int) -> None:
        try:
            trash_worker.execute_run(run)
        finally:
            connection.close()

    def send(name: str, args: list[int], queue: str) -> None:
        assert (name, queue) == ("reviewer.empty_trash", "interactive")
        threads.append(threading.Thread(target=work, args=args))
        threads[-1].start()

    monkeypatch.setattr(current_app, "send_task", send)
    yield threads
    for thread in threads:
        thread.join()


@pytest.fixture
def folder(card: Path) -> Path:
    return card / "DCIM/100MEDIA"
