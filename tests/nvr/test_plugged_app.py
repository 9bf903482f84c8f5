"""An app plugs itself in: besides INSTALLED_APPS (and `nvr.urls` for its addresses) nothing lists it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

FILES = {
    "plugged_settings.py": "from nvr.settings import *\n\nINSTALLED_APPS = [*INSTALLED_APPS, 'plugged']\n",
    "plugged/__init__.py": "",
    "plugged/apps.py": """
from django.apps import AppConfig


class PluggedConfig(AppConfig):
    name = "plugged"

    def ready(self) -> None:
        from plugged import hooks

        hooks.connect()
""",
    "plugged/hooks.py": """
from nvr.health.sections import Section, register


def connect():
    register("plugged", lambda: Section("ok", "All plants are watered."))
""",
    "plugged/schedule.py": """
from nvr.queue.periodic import every

SCHEDULE = {"water-plants": every(60, "plugged.water", "bulk")}
""",
    "plugged/tasks.py": """
from celery import shared_task


@shared_task(name="plugged.water", ignore_result=True)
def water():
    pass
""",
}
REPORT = """
import json, logging
import django
django.setup()
from django.db.utils import OperationalError
from nvr.celery import app
from nvr.health import sections
from nvr.logs import LastingFaults
app.loader.import_default_modules()

def shown(logger):
    fault = OperationalError("gone")
    record = logging.LogRecord(logger, logging.ERROR, "", 0, "failed", (), (type(fault), fault, None))
    LastingFaults().filter(record)
    return record.getMessage()

print(json.dumps({
    "entry": app.conf.beat_schedule.get("water-plants"),
    "entries": sorted(app.conf.beat_schedule),
    "tasks": sorted(app.tasks),
    "section": sections.check_all()["plugged"].detail,
    "ours": shown("plugged.tasks"),
    "foreign": shown("elsewhere.tasks"),
}))
"""


@pytest.fixture(scope="module")
def reported(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("plugged")
    for name, text in FILES.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text)
    environment = os.environ | {
        "DJANGO_SETTINGS_MODULE": "plugged_settings",
        "PYTHONPATH": f"{folder}{os.pathsep}{Path.cwd()}",
        "NVR_DATA_DIR": str(folder / "data"),
    }
    command = [sys.executable, "-c", REPORT]
    output = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert output.returncode == 0, output.stderr
    answer: dict[str, Any] = json.loads(output.stdout.splitlines()[-1])
    return answer


def test_its_tasks_run_on_schedule(reported: dict[str, Any]) -> None:
    assert reported["entry"]["task"] == "plugged.water"
    assert "plugged.water" in reported["tasks"]
    assert {"camera-health", "pending-jobs", "trash-runs", "heartbeat-bulk"} <= {*reported["entries"]}


def test_its_hooks_are_connected(reported: dict[str, Any]) -> None:
    assert reported["section"] == "All plants are watered."


def test_faults_of_its_tasks_are_logged_in_one_line(reported: dict[str, Any]) -> None:
    assert reported["ours"] == "the database does not respond, tasks wait: gone"
    assert reported["foreign"] == "failed"
