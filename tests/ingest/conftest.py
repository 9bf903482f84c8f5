"""Cameras that upload files, and helpers to enter and inspect their uploads."""

from __future__ import annotations

import os
import time

import pytest

from cameras.folders import ownership as folder_ownership
from cameras.models import Camera
from media_serving.ingest.ledger import enter
from media_serving.ingest.scanner import Scanner
from media_serving.models import Upload
from tests.factories import folder_of, make_camera


@pytest.fixture(autouse=True)
def long_folder_timeout(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a busy machine a folder may take more than a second to respond, and workers would skip its camera."""
    monkeypatch.setattr(folder_ownership._probe, "timeout_s", 60.0)


@pytest.fixture
def porch(db: None) -> Camera:
    """A camera without a detector."""
    return make_camera("Porch", detector="none")


def scan_and_enter(camera: Camera, *, full: bool = True) -> int:
    """Enter all files that a scan finds, stable or not; return how many uploads wait because of it."""
    return enter(camera, Scanner(os.fsencode(folder_of(camera))).scan(full=full))


def uploads(camera: Camera) -> dict[str, tuple[str, str]]:
    """State and reason by path."""
    return {row.path: (row.state, row.reason) for row in Upload.objects.filter(camera=camera)}


def wait_for(what: object, *, seconds: float = 90) -> None:
    """Wait until `what` returns a true value; fail after `seconds`, which allows for a busy machine."""
    deadline = time.monotonic() + seconds
    while not what():  # type: ignore[operator]
        assert time.monotonic() < deadline, "the condition was not met in time"
        time.sleep(0.05)
