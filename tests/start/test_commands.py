"""How `manage.py` reports errors that no command can fix."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from django.conf import settings


@pytest.mark.slow
@pytest.mark.parametrize(
    "command",
    [["create_api_key", "hub", "--user", "a"], ["import_review_paths", "config.yaml"], ["changepassword", "a"]],
)
def test_an_unreachable_database_is_reported_without_traceback(command: list[str], tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text("knownPaths: [/]\n")
    away = {"DATABASE_URL": "postgres://nobody@127.0.0.1:1/none", "NVR_DATA_DIR": str(tmp_path)}

    ended = subprocess.run(
        [sys.executable, settings.BASE_DIR / "manage.py", *command],
        cwd=tmp_path,
        env=os.environ | away,
        capture_output=True,
        text=True,
        timeout=60,
    )

    assert ended.returncode == 1
    assert ended.stdout == ""
    assert ended.stderr.startswith("The database does not respond (")
    assert "Traceback" not in ended.stderr
