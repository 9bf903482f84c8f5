"""A process that is restarted while the data folder's disk is away."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

SETUP = [sys.executable, "-c", "import django; django.setup()"]


def start_process(embedded: dict[str, str], mark: str) -> subprocess.CompletedProcess[str]:
    env = embedded | {"NVR_UP": mark, "DJANGO_SETTINGS_MODULE": "nvr.settings"}
    return subprocess.run(SETUP, env=env, capture_output=True, text=True, timeout=60, check=False)


@pytest.fixture
def prepared(data_dir: Path) -> Path:
    (data_dir / "run").mkdir(parents=True)
    (data_dir / "run/up.lock").write_text("mark")
    return data_dir


def test_a_process_starts_in_the_folder_that_was_prepared(prepared: Path, embedded: dict[str, str]) -> None:
    result = start_process(embedded, "mark")

    assert result.returncode == 0, result.stderr


def test_a_process_creates_nothing_below_an_empty_mount_point(data_dir: Path, embedded: dict[str, str]) -> None:
    data_dir.mkdir()

    result = start_process(embedded, "mark")

    assert result.returncode != 0
    assert f"{data_dir} is not the data folder that NVR was started with" in result.stderr
    assert not list(data_dir.iterdir())


def test_a_process_does_not_start_in_the_folder_of_another_run(prepared: Path, embedded: dict[str, str]) -> None:
    result = start_process(embedded, "another")

    assert result.returncode != 0
    assert not (prepared / "secret_key").exists()
