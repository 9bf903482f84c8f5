"""kill -9 of everything, at any moment: nothing is lost, and nothing counts twice."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image, ImageDraw

from tests.start.conftest import Start, environment, start, wait_until

__all__ = ["start"]
FRAMES = 60
SETUP = """
import sys, django
django.setup()
from django.core.management import call_command
from cameras.models import Camera
call_command("migrate", verbosity=0)
Camera(name="Yard", folder_path=sys.argv[1], detector="motion", motion_sensitivity=0.5).save()
"""
QUESTIONS = {
    "uploads": "SELECT path, state FROM media_serving_upload ORDER BY path",
    "detections": "SELECT detected_at, object_class, bbox_x, bbox_width FROM media_serving_detection ORDER BY 1, 3",
    "events": "SELECT started_at, last_detected_at, detection_count FROM media_serving_event ORDER BY 1",
}


def draw_frames(folder: Path) -> None:
    """Someone walks past, two pictures a second."""
    folder.mkdir(parents=True)
    for number in range(FRAMES):
        image = Image.new("RGB", (320, 240), (90, 110, 90))
        ImageDraw.Draw(image).rectangle((number * 5, 100, number * 5 + 30, 200), fill=(200, 40, 40))
        image.save(folder / f"20260131_1200{number // 2:02}{number % 2 * 500:03}.jpg", quality=90)


class Site:
    """A data folder of its own with one camera, its watcher and its worker."""

    def __init__(self, folder: Path, start: Start) -> None:
        self.folder, self.start_process = folder, start
        self.env = environment(folder)
        camera = folder / "cameras/yard"
        draw_frames(camera)
        subprocess.run(
            [".venv/bin/python", "-c", SETUP, str(camera)],
            env={**self.env, "DJANGO_SETTINGS_MODULE": "nvr.settings"},
            check=True,
            timeout=120,
        )
        self.processes: list[subprocess.Popen[bytes]] = []

    def start(self) -> None:
        worker = ("-m", "celery", "--quiet", "-A", "nvr", "worker", "-Q", "ingest", "--concurrency", "1")
        beat = ("-m", "celery", "--quiet", "-A", "nvr", "beat", "--pidfile", "")
        self.processes = [
            self.start_process("manage.py", "ingest", env=self.env),
            self.start_process(*worker, env={**self.env, "NVR_PROCESS": "worker"}),
            self.start_process(*beat, env={**self.env, "NVR_PROCESS": "beat"}),
        ]

    def kill(self) -> None:
        for process in self.processes:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def asked(self, question: str) -> list[tuple[object, ...]]:
        with sqlite3.connect(self.folder / "nvr.sqlite3", timeout=10) as database:
            return database.execute(QUESTIONS[question]).fetchall()

    def done(self) -> int:
        return sum(state == "done" for _, state in self.asked("uploads"))


def found(site: Site) -> dict[str, str]:
    return {question: json.dumps(site.asked(question)) for question in QUESTIONS}


@pytest.fixture
def site(tmp_path: Path, start: Start) -> Callable[[str], Site]:
    return lambda name: Site(tmp_path / name, start)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_after_sigkill_of_everything_the_result_equals_an_undisturbed_run(site: Callable[[str], Site]) -> None:
    disturbed, quiet = site("disturbed"), site("quiet")
    disturbed.start()
    for killed_at in (FRAMES // 4, FRAMES // 2):
        assert wait_until(lambda at=killed_at: disturbed.done() >= at, seconds=240, pause_s=0.005)
        disturbed.kill()
        time.sleep(0.2)
        disturbed.start()
    quiet.start()

    assert wait_until(lambda: disturbed.done() == quiet.done() == FRAMES, seconds=240, pause_s=0.2)

    assert found(disturbed) == found(quiet)
    assert disturbed.asked("detections")
