"""Cameras that upload, and the worker that reads what they delivered."""

from __future__ import annotations

import os
import time

import pytest

from cameras import folder_ownership
from cameras.models import Camera
from media_serving.ingest.ledger import enter
from media_serving.ingest.scanner import Scanner
from media_serving.models import Upload
from tests.factories import folder_of, make_camera


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a busy machine a folder may take more than a second to answer: no worker would look at its camera."""
    monkeypatch.setattr(folder_ownership._probe, "timeout_s", 60.0)


@pytest.fixture
def porch(db: None) -> Camera:
    """A camera without a detector."""
    return make_camera("Porch", detector="none")


def scanned(camera: Camera, *, full: bool = True) -> int:
    """What a scanner finds is entered, settled or not; how many uploads wait because of it."""
    return enter(camera, Scanner(os.fsencode(folder_of(camera))).scan(full=full))


def uploads(camera: Camera) -> dict[str, tuple[str, str]]:
    """State and reason by path."""
    return {row.path: (row.state, row.reason) for row in Upload.objects.filter(camera=camera)}


def wait_for(what: object, *, seconds: float = 90) -> None:
    """Until it is so; `seconds` only tell when to give up, on a machine that is busy with much else."""
    deadline = time.monotonic() + seconds
    while not what():  # type: ignore[operator]
        assert time.monotonic() < deadline, "it did not come to pass"
        time.sleep(0.05)
