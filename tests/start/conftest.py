"""Real processes: servers and supervisors of their own, each with its own data folder and port."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

BASE_DIR = Path(__file__).resolve().parent.parent.parent
Start = Callable[..., subprocess.Popen[bytes]]


def wait_until(condition: Callable[[], object], *, seconds: float = 150.0, pause_s: float = 0.05) -> bool:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(pause_s)
    return True


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture
def embedded(data_dir: Path) -> dict[str, str]:
    return environment(data_dir)


def environment(data_dir: Path) -> dict[str, str]:
    """Return the environment of the embedded default with its own data folder."""
    outer = ("DATABASE_URL", "REDIS_URL", "CELERY_BROKER_URL", "DJANGO_SETTINGS_MODULE", "NVR_PUBLIC_URL")
    kept = {name: value for name, value in os.environ.items() if name not in outer}
    path = os.pathsep.join(filter(None, [str(BASE_DIR), os.environ.get("PYTHONPATH")]))
    return {**kept, "NVR_DATA_DIR": str(data_dir), "PYTHONPATH": path, "PYTHONUNBUFFERED": "1"}


@contextmanager
def starting(folder: Path) -> Iterator[Start]:
    """Start `python ARGUMENTS…`; its output goes to a file, and what still runs at the end is killed."""
    started: list[subprocess.Popen[bytes]] = []

    def run(*arguments: str, env: dict[str, str], output: Path | None = None) -> subprocess.Popen[bytes]:
        target = output or folder / f"output-{len(started)}"
        with target.open("wb") as stream:
            process = subprocess.Popen(
                [sys.executable, *arguments],
                env=env,
                cwd=BASE_DIR,
                stdout=stream,
                stderr=stream,
                start_new_session=True,
            )
        started.append(process)
        return process

    try:
        yield run
    finally:
        for process in started:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    with starting(tmp_path) as run:
        yield run
