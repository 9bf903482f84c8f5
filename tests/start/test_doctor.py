"""`manage.py doctor`: each finding, its fix, and the exit status."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import UTC, datetime
from io import StringIO
from pathlib import Path

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.core.management import call_command
from django.utils import timezone
from pytest_django import Settings

from cameras.health import refresh_all
from nvr.data_folder import make_private
from nvr.health.sections import Section
from nvr.installation import doctor
from nvr.installation.doctor import Finding
from nvr.media.files.mounts import Mount
from tests.factories import make_camera

from .conftest import BASE_DIR


def only(findings: list[Finding], name: str) -> Finding:
    return next(finding for finding in findings if finding.name == name)


@pytest.fixture
def folders(tmp_path: Path, settings: Settings) -> Path:
    settings.NVR_DATA_DIR = tmp_path / "data"
    settings.RUN_DIR = settings.NVR_DATA_DIR / "run"
    settings.NVR_CAMERA_ROOT = tmp_path / "cameras"
    settings.RUN_DIR.mkdir(parents=True)
    settings.NVR_CAMERA_ROOT.mkdir()
    return tmp_path


def test_existing_folders_are_ok(folders: Path) -> None:
    assert {finding.level for finding in doctor.check_folders()} == {"ok"}


def test_a_missing_camera_root_names_the_folder_and_the_setting(folders: Path) -> None:
    (folders / "cameras").rmdir()

    finding = only(list(doctor.check_folders()), "camera root")

    assert finding.level == "fail"
    assert str(folders / "cameras") in str(finding)
    assert "NVR_CAMERA_ROOT" in finding.fix


def test_a_folder_without_permission_is_reported(folders: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor.os, "access", lambda path, rights: Path(path).name != "data")

    finding = only(list(doctor.check_folders()), "data folder")

    assert (finding.level, "no permission to read and write" in finding.what) == ("fail", True)


def test_a_missing_ffmpeg_names_the_install_command(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))

    findings = list(doctor.check_ffmpeg())

    assert [finding.level for finding in findings] == ["fail", "fail"]
    assert "sudo apt-get install ffmpeg" in findings[0].fix


def test_an_old_ffmpeg_is_a_warning(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for program in ("ffmpeg", "ffprobe"):
        (tmp_path / program).write_text(f"#!/bin/sh\necho {program} version 3.4.8-0ubuntu0.2 Copyright\n")
        (tmp_path / program).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")

    assert [finding.level for finding in doctor.check_ffmpeg()] == ["warn", "warn"]


@pytest.mark.django_db
def test_a_camera_in_error_is_a_warning_with_its_reason() -> None:
    make_camera("Porch")
    gate = make_camera("Gate", folder_path="/nowhere/gate")
    make_camera("Off", status="error", enabled=False)
    make_camera("Gone", status="error", deleted_at=timezone.now())
    assert [str(finding) for finding in doctor.check_cameras()] == ["ok    cameras: none of 2 is in error"]

    refresh_all()

    gate.refresh_from_db()
    (finding,) = doctor.check_cameras()
    assert (finding.level, finding.what) == ("warn", "Gate is in error")
    assert finding.fix == gate.status_reason and "/nowhere/gate" in finding.fix


@pytest.mark.django_db
def test_only_the_first_of_many_cameras_in_error_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "MAX_CAMERAS", 2)
    for number in range(5):
        make_camera(f"Camera {number}", status="error")

    whats = [finding.what for finding in doctor.check_cameras()]

    assert whats == ["Camera 0 is in error", "Camera 1 is in error", "3 more are in error"]


def test_the_installed_ffmpeg_is_ok_and_its_version_is_shown() -> None:
    findings = list(doctor.check_ffmpeg())

    assert [finding.level for finding in findings] == ["ok", "ok"]
    assert all(finding.what.startswith("version ") for finding in findings)


@pytest.mark.parametrize("name", ["secret_key", "nvr.sqlite3"])
@pytest.mark.parametrize(("mode", "level"), [(0o600, "ok"), (0o400, "ok"), (0o640, "fail"), (0o644, "fail")])
def test_a_private_file_that_others_can_read_is_a_failure(folders: Path, name: str, mode: int, level: str) -> None:
    key = folders / "data" / name
    key.write_text("secret")
    key.chmod(mode)

    (finding,) = doctor.check_private_files()

    assert finding.level == level
    assert level == "ok" or f"chmod {mode & 0o700:o} {key}" in finding.fix


def test_a_file_system_without_modes_is_a_warning(folders: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folders / "data").chmod(0o755)
    monkeypatch.setattr(doctor, "mount_of", lambda path: Mount(1, "vfat", "/dev/sda1", folders))

    (finding,) = doctor.check_private_files()

    assert (finding.level, "umask=077" in finding.fix) == ("warn", True)


def test_a_misspelt_setting_is_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NVR_TRASH_RETENTON", "1d")

    (finding,) = doctor.check_settings()

    assert (finding.level, finding.fix) == ("warn", "Did you mean NVR_TRASH_RETENTION?")


@pytest.mark.django_db
def test_an_installation_without_running_processes_fails() -> None:
    levels = {finding.name: finding.level for finding in doctor.check_health()}

    assert (levels["workers"], levels["ingest"]) == ("fail", "fail")


@pytest.mark.parametrize(("is_stopped", "level"), [(True, "fail"), (False, "warn")])
def test_a_stopped_process_is_a_failure(is_stopped: bool, level: str) -> None:
    section = Section("degraded", "No worker serves them: start one.", is_stopped=is_stopped)

    assert doctor.finding_from("uploads", section).level == level


def test_a_check_that_raises_is_a_finding(folders: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folders / "data" / "run").rmdir()
    monkeypatch.setattr(doctor, "CHECKS", (doctor.check_clock,))

    (finding,) = doctor.run_checks()

    assert (finding.level, finding.name, "FileNotFoundError" in finding.what) == ("fail", "clock", True)


@pytest.mark.parametrize("command", ["doctor", "up"])
def test_a_data_folder_that_is_a_file_is_reported_in_a_sentence(
    embedded: dict[str, str], data_dir: Path, command: str
) -> None:
    data_dir.write_text("a file")

    answer = subprocess.run(
        [sys.executable, "manage.py", command], env=embedded, cwd=BASE_DIR, capture_output=True, text=True
    )

    assert answer.returncode == 1
    assert f"NVR_DATA_DIR='{data_dir}' is not a folder" in answer.stdout + answer.stderr
    assert "Traceback" not in answer.stderr


def test_a_data_folder_that_cannot_be_entered_is_reported_in_a_sentence(
    folders: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(folder: Path) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("nvr.data_folder.os.scandir", refuse)

    with pytest.raises(ImproperlyConfigured, match=r"cannot be used \(/.*: Permission denied\): correct its owner"):
        make_private(folders / "data")


def test_a_clock_in_the_past_is_a_failure(folders: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Earlier(datetime):
        @classmethod
        def now(cls, tz=None):
            return datetime(2000, 1, 1, tzinfo=UTC)

    monkeypatch.setattr(doctor, "datetime", Earlier)

    (finding,) = doctor.check_clock()

    assert (finding.level, "2000-01-01" in finding.what) == ("fail", True)


@pytest.mark.django_db
def test_a_finding_is_one_line_and_only_a_failure_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "CHECKS", (lambda: iter([Finding("warn", "disk", "nearly full", "Make room.")]),))
    output = StringIO()

    call_command("doctor", stdout=output, no_color=True)

    assert output.getvalue() == "warn  disk: nearly full — Make room.\n"


@pytest.mark.slow
def test_an_installation_that_was_never_started_fails_with_fixes_in_json_too(embedded: dict[str, str]) -> None:
    answer = subprocess.run(
        [sys.executable, "manage.py", "doctor", "--json"], env=embedded, cwd=BASE_DIR, capture_output=True, text=True
    )

    findings = {finding["name"]: finding for finding in json.loads(answer.stdout)}
    assert answer.returncode == 1
    assert findings["migrations"]["level"] == "fail"
    assert "manage.py up" in findings["migrations"]["fix"]
    assert findings["database"]["level"] == "fail"
    assert "manage.py up" in findings["database"]["fix"]
    assert findings["cache"]["level"] == "ok"
    assert findings["broker"]["level"] == "ok"
    assert not list(Path(embedded["NVR_DATA_DIR"]).glob("*.sqlite3"))


@pytest.mark.slow
def test_an_unreachable_database_is_a_finding_without_traceback(embedded: dict[str, str]) -> None:
    away = embedded | {"DATABASE_URL": "postgres://nobody@127.0.0.1:1/none"}

    answer = subprocess.run(
        [sys.executable, "manage.py", "doctor"], env=away, cwd=BASE_DIR, capture_output=True, text=True
    )

    assert answer.returncode == 1
    assert "fail  database:" in answer.stdout
    assert "correct DATABASE_URL" in answer.stdout
    assert "Traceback" not in answer.stderr
