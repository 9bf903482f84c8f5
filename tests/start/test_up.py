"""`manage.py up`: a whole installation as an operator starts, breaks and stops it."""

from __future__ import annotations

import http.client
import json
import math
import os
import re
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path

import pytest

from nvr.supervision.guard import marked_processes

from .conftest import BASE_DIR, Start, environment, starting, wait_until

PROCESSES = ("web", "interactive", "ingest", "bulk", "watcher", "beat")


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder prepared once per session: preparing a new one takes seconds."""
    folder = tmp_path_factory.mktemp("template") / "data"
    prepared = manage("up", "--prepare", env=environment(folder))
    assert prepared.returncode == 0, prepared.stderr
    return folder


@pytest.fixture
def prepared(template: Path, data_dir: Path) -> Path:
    shutil.copytree(template, data_dir)
    return data_dir


class Installation:
    """A running `manage.py up` and its output."""

    def __init__(self, process: subprocess.Popen[bytes], output: Path, data_dir: Path, port: int) -> None:
        self.process, self.output, self.data_dir, self.port = process, output, data_dir, port

    @property
    def log(self) -> str:
        return self.output.read_text()

    @property
    def processes(self) -> set[int]:
        return marked_processes((self.data_dir / "run" / "up.lock").read_text())

    def running(self, name: str) -> list[int]:
        """Return the processes that `ps` shows as `nvr NAME`, oldest first."""
        return sorted((pid for pid in self.processes if name_of(pid) == f"nvr {name}"), key=start_ticks)

    def get(self, path: str, **headers: str) -> tuple[int, bytes]:
        with closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)) as client:
            client.request("GET", path, headers=headers)
            response = client.getresponse()
            return response.status, response.read()

    def is_answering(self) -> bool:
        try:
            return self.get("/api/health")[0] == 200
        except OSError:
            return False


def name_of(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return ""


def umask_of(pid: int) -> int:
    """Return the umask of a process; the expected one if it has ended meanwhile."""
    try:
        return int(re.findall(r"^Umask:\s+(\d+)", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)[0], 8)
    except OSError:
        return 0o077


def open_to_others(data_dir: Path) -> list[str]:
    """Return names that other users can read or enter; entries that disappear meanwhile are skipped."""
    found = []
    for folder, folders, files in os.walk(data_dir):
        for name in (*folders, *files):
            with suppress(FileNotFoundError):
                if Path(folder, name).stat().st_mode & 0o077:
                    found.append(name)
    return found


def start_ticks(pid: int) -> float:
    """In ticks since the machine's start, since process ids wrap around; a process that has ended sorts last."""
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19])
    except OSError:
        return math.inf


def free_port() -> int:
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def installation_on(data_dir: Path, folder: Path, start: Start, *arguments: str, env: dict[str, str]) -> Installation:
    """`manage.py up` on a free port; its output goes to a file in `folder`."""
    port, output = free_port(), folder / f"output-{time.monotonic_ns()}"
    process = start("manage.py", "up", "--port", str(port), *arguments, env=env, output=output)
    return Installation(process, output, data_dir, port)


def end(installation: Installation) -> None:
    if installation.process.poll() is None:
        installation.process.send_signal(signal.SIGTERM)
        installation.process.wait(60)


@pytest.fixture
def up(data_dir: Path, embedded: dict[str, str], tmp_path: Path, start: Start) -> Iterator[Callable[..., Installation]]:
    started: list[Installation] = []

    def run(*arguments: str) -> Installation:
        started.append(installation_on(data_dir, tmp_path, start, *arguments, env=embedded))
        return started[-1]

    yield run
    for installation in started:
        end(installation)


@pytest.fixture(scope="module")
def common(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    folder = tmp_path_factory.mktemp("common")
    shutil.copytree(template, folder / "data")
    with starting(folder) as start:
        env = environment(folder / "data") | {"NVR_RATE_DEFAULT_ANONYMOUS": "100000/m"}
        installation = installation_on(folder / "data", folder, start, env=env)
        yield installation
        end(installation)


@pytest.fixture
def installation(common: Installation) -> Installation:
    """Shared by all tests that leave it running, since starting one takes longer than the tests."""
    assert wait_until(common.is_answering), common.log
    return common


def manage(*arguments: str, env: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "manage.py", *arguments], env=env, cwd=BASE_DIR, capture_output=True, text=True, check=False
    )


def shown(log: str, label: str) -> str:
    match = re.search(rf"│  {label} +(\S+) +│", log)
    assert match, log
    return match[1]


@pytest.mark.slow
def test_one_command_starts_everything_and_one_signal_stops_it(up: Callable[..., Installation]) -> None:
    installation = up()
    assert wait_until(installation.is_answering), installation.log

    key = shown(installation.log, "API key")
    assert installation.get("/api/cameras", **{"X-API-Key": key})[0] == 200
    assert installation.get("/api/cameras")[0] == 401
    assert shown(installation.log, "username") == "admin"
    assert len(shown(installation.log, "password")) >= 16
    assert f"http://localhost:{installation.port}" in installation.log
    assert "a new, empty one was created" in installation.log
    assert wait_until(lambda: all(map(installation.running, PROCESSES)))
    assert {umask_of(pid) for pid in installation.processes} == {0o077}
    assert open_to_others(installation.data_dir) == []

    started = time.monotonic()
    installation.process.send_signal(signal.SIGTERM)
    installation.process.wait(60)

    assert time.monotonic() - started < 30  # SIGKILL follows after 12 s: see test_supervisor
    assert installation.process.returncode == 0
    assert not installation.processes


@pytest.mark.slow
def test_workers_serve_every_queue_soon(installation: Installation) -> None:
    def findings() -> dict[str, str]:
        examined = manage("doctor", "--json", env=environment(installation.data_dir))
        return {f["name"]: f["level"] for f in json.loads(examined.stdout)}

    # Poll slowly: the doctor uses as much CPU as starting a worker.
    assert wait_until(lambda: findings()["workers"] == "ok", pause_s=1)
    assert "fail" not in findings().values()


@pytest.mark.slow
def test_a_killed_web_server_is_restarted_without_refused_connections(installation: Installation) -> None:
    os.kill(installation.running("web")[0], signal.SIGKILL)

    assert wait_until(lambda: "web was ended by SIGKILL; restarting in 1 s" in installation.log)
    assert installation.get("/api/health")[0] == 200


@pytest.mark.slow
def test_a_killed_supervisor_leaves_no_process(prepared: Path, up: Callable[..., Installation]) -> None:
    installation = up()
    assert wait_until(installation.is_answering)

    installation.process.kill()
    installation.process.wait(60)

    assert wait_until(lambda: not installation.processes)


@pytest.mark.slow
def test_a_second_instance_on_the_same_data_folder_is_rejected(
    installation: Installation, tmp_path: Path, start: Start
) -> None:
    second = installation_on(installation.data_dir, tmp_path, start, env=environment(installation.data_dir))
    second.process.wait(60)

    assert second.process.returncode == 1
    assert "is already running on" in second.log
    assert "Traceback" not in second.log


def test_a_port_in_use_is_reported_in_one_sentence(up: Callable[..., Installation]) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as occupied:
        port = occupied.getsockname()[1]
        installation = up("--port", str(port))
        installation.process.wait(60)

    assert installation.process.returncode == 1
    assert f"port {port} is in use" in installation.log
    assert "Traceback" not in installation.log
    assert not (installation.data_dir / "nvr.sqlite3").exists()


@pytest.mark.parametrize(
    ("host", "sentence"), [("192.0.2.1", "not an address of this machine"), ("no such", "not an address")]
)
def test_a_wrong_host_is_reported_in_one_sentence(up: Callable[..., Installation], host: str, sentence: str) -> None:
    installation = up("--host", host)
    installation.process.wait(60)

    assert installation.process.returncode == 1
    assert sentence in installation.log
    assert "Traceback" not in installation.log


@pytest.mark.slow
def test_the_administrator_is_created_once_and_a_chosen_password_is_not_repeated(embedded: dict[str, str]) -> None:
    chosen = embedded | {"NVR_ADMIN_USERNAME": "keeper", "NVR_ADMIN_PASSWORD": "a rather long pass phrase"}

    first = manage("up", "--prepare", env=chosen)
    second = manage("up", "--prepare", env=chosen)

    assert first.returncode == second.returncode == 0, first.stderr
    assert shown(first.stdout, "username") == "keeper"
    assert "a rather long pass phrase" not in first.stdout
    assert "API key" not in second.stdout


@pytest.mark.slow
def test_the_database_is_copied_before_it_is_migrated(prepared: Path, embedded: dict[str, str]) -> None:
    assert not list(prepared.glob("backups/*"))
    assert manage("migrate", "sessions", "zero", env=embedded).returncode == 0

    again = manage("up", "--prepare", env=embedded)

    (copy,) = prepared.glob("backups/*.sqlite3")
    assert str(copy) in again.stdout
    with closing(sqlite3.connect(copy)) as connection:
        tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master")}
    assert "auth_user" in tables and "django_session" not in tables
    assert manage("migrate", "--check", env=embedded).returncode == 0


@pytest.mark.slow
def test_migrate_creates_the_database_and_other_commands_do_not(data_dir: Path, embedded: dict[str, str]) -> None:
    assert manage("create_api_key", "test", "--user", "admin", env=embedded).returncode == 1
    assert not list(data_dir.glob("*.sqlite3"))

    answer = manage("migrate", env=embedded)

    assert answer.returncode == 0, answer.stderr
    assert manage("migrate", "--check", env=embedded).returncode == 0


@pytest.mark.slow
def test_a_database_file_that_is_moved_away_is_reported_and_works_again_when_restored(
    installation: Installation,
) -> None:
    env = environment(installation.data_dir)
    key = manage("create_api_key", "test", "--user", "admin", env=env).stdout.strip()
    database, away = installation.data_dir / "nvr.sqlite3", installation.data_dir / "away"
    assert wait_until(lambda: installation.get("/api/health")[1].startswith(b'{"status":"ok"'))
    assert installation.get("/api/cameras", **{"X-API-Key": key})[0] == 200

    database.rename(away)

    assert wait_until(lambda: b"degraded" in installation.get("/api/health")[1])
    for _ in range(40):  # every thread has had a connection to it
        assert installation.get("/api/cameras", **{"X-API-Key": key})[0] == 503
    status, body = installation.get("/api/system/health", **{"X-API-Key": key})
    assert (status, b"database does not respond" in body) == (503, True)
    status, body = installation.get("/", Cookie=f"nvr_sessionid={'a' * 32}")
    assert (status, b"<html" in body) == (503, True)
    assert not database.exists()

    away.rename(database)

    assert wait_until(lambda: installation.get("/api/health")[1].startswith(b'{"status":"ok"'))
    assert installation.get("/api/cameras", **{"X-API-Key": key})[0] == 200


def test_an_unreachable_database_is_reported_in_one_sentence(embedded: dict[str, str]) -> None:
    answer = manage("up", "--prepare", env=embedded | {"DATABASE_URL": "postgres://nobody:hidden@127.0.0.1:1/none"})

    assert answer.returncode == 1
    assert "check DATABASE_URL" in answer.stderr
    assert "Traceback" not in answer.stderr
    assert "hidden" not in answer.stderr


@pytest.mark.slow
def test_static_files_are_collected_again_only_when_one_has_changed(prepared: Path, embedded: dict[str, str]) -> None:
    assert list((prepared / "static").rglob("*.css"))

    assert "Static files were collected" not in manage("up", "--prepare", env=embedded).stdout

    (prepared / "run" / "static-files").write_text("the fingerprint of other files")
    assert "Static files were collected" in manage("up", "--prepare", env=embedded).stdout
