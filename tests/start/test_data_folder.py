"""A process that is restarted while the data folder's disk is not mounted."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

# The supervisor has read the settings; then the folder changes, and it starts a process.
SUPERVISOR = """
import os, sys
from pathlib import Path
import django
django.setup()
from nvr.supervision.programs import program
folder = Path(os.environ["NVR_DATA_DIR"])
exec(sys.argv[1])
program("web", print, "started")()
"""
UNMOUNT = "folder.rename(f'{folder}.away'); folder.mkdir()"
REPLACE = "(folder / 'run/up.lock').write_text('another')"


def start_process(embedded: dict[str, str], change: str = "") -> subprocess.CompletedProcess[str]:
    env = embedded | {"NVR_UP": "mark", "DJANGO_SETTINGS_MODULE": "nvr.settings"}
    command = [sys.executable, "-c", SUPERVISOR, change]
    return subprocess.run(command, env=env, capture_output=True, text=True, timeout=60, check=False)


@pytest.fixture
def prepared(data_dir: Path) -> Path:
    (data_dir / "run").mkdir(parents=True)
    (data_dir / "run/up.lock").write_text("mark")
    return data_dir


def test_a_process_starts_in_the_folder_that_was_prepared(prepared: Path, embedded: dict[str, str]) -> None:
    result = start_process(embedded)

    assert (result.returncode, result.stdout) == (0, "started\n"), result.stderr


def test_a_process_creates_nothing_below_an_empty_mount_point(prepared: Path, embedded: dict[str, str]) -> None:
    result = start_process(embedded, UNMOUNT)

    assert result.returncode != 0
    assert f"{prepared} is not the data folder that NVR was started with" in result.stderr
    assert "Traceback" not in result.stderr
    assert not list(prepared.iterdir())


def test_a_process_does_not_start_in_the_folder_of_another_run(prepared: Path, embedded: dict[str, str]) -> None:
    result = start_process(embedded, REPLACE)

    assert result.returncode != 0
    assert "started" not in result.stdout
