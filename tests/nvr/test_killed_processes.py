"""kill -9 of a worker's processes while they wait for work, with a real worker and its queue in folders."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from tests.start.conftest import BASE_DIR, data_dir, embedded, start, wait_until

__all__ = ["data_dir", "embedded", "start"]
WORKER = ("-m", "celery", "--quiet", "-A", "nvr", "worker", "-Q", "bulk", "--concurrency", "2")
SEND = "from nvr.celery import app; app.send_task('health.heartbeat', args=['bulk'], queue='bulk')"


def run(*arguments: str, env: dict[str, str]) -> None:
    subprocess.run([sys.executable, *arguments], env=env, cwd=BASE_DIR, check=True, timeout=120, capture_output=True)


def beats(data_dir: Path) -> list[str]:
    with sqlite3.connect(data_dir / "nvr.sqlite3", timeout=10) as database:
        return [at for (at,) in database.execute("SELECT beat_at FROM health_heartbeat WHERE name = 'worker:bulk'")]


def children_of(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def takes_work(data_dir: Path, env: dict[str, str]) -> bool:
    before = beats(data_dir)
    run("-c", SEND, env=env)
    return wait_until(lambda: beats(data_dir) != before, seconds=30)


@pytest.mark.slow
def test_a_worker_with_killed_processes_receives_later_messages(data_dir, embedded, start):
    run("manage.py", "migrate", env=embedded)
    worker = start(*WORKER, env={**embedded, "NVR_PROCESS": "worker"})
    assert takes_work(data_dir, embedded)

    for child in children_of(worker.pid):
        os.kill(child, signal.SIGKILL)

    assert wait_until(lambda: len(children_of(worker.pid)) == 2)
    assert takes_work(data_dir, embedded)
    assert worker.poll() is None
