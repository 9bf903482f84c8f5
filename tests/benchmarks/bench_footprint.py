"""What an idle installation takes: processes, memory, CPU time, and how long it takes to start.

Starts `manage.py up` in a data folder of its own, without cameras: first on an empty folder, which it prepares, and
then again. Memory is PSS (proportional set size): pages that processes share are counted once.
"""

from __future__ import annotations

import http.client
import os
import re
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.servers import BASE_DIR, free_port

IDLE_S = 30.0
SETTLE_S = 20.0  # a heartbeat of each worker, and the checks that follow a start
PSS_GOAL_MB, CPU_GOAL_PERCENT, ANSWER_GOAL_S, WORKERS_GOAL_S = 350, 1, 8, 15
PROCESSES_WITH_HEARTBEAT = 5  # three workers, beat and the watcher
TICKS_PER_S = os.sysconf("SC_CLK_TCK")


def stat_of(pid: int) -> list[str]:
    """Return the fields of /proc/PID/stat from the state on (field 3); empty if the process has ended."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []


def family(root: int) -> list[int]:
    """Return `root` and all its descendants, sorted."""
    parents = {int(entry.name): stat_of(int(entry.name)) for entry in Path("/proc").glob("[0-9]*")}
    found = {root}
    while more := {pid for pid, stat in parents.items() if stat and int(stat[1]) in found} - found:
        found |= more
    return sorted(found)


def memory_mb(pid: int) -> tuple[float, float]:
    """Return PSS and private memory of a process in MB; zeros if it has ended."""
    try:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    except OSError:
        return 0.0, 0.0
    kib = {name: int(value) for name, value in re.findall(r"^(\w+): +(\d+) kB$", text, re.MULTILINE)}
    return kib["Pss"] / 1024, (kib["Private_Clean"] + kib["Private_Dirty"]) / 1024


def cpu_seconds(pid: int) -> float:
    """Return the CPU time of a process and of its children that have ended."""
    return sum(int(ticks) for ticks in stat_of(pid)[11:15]) / TICKS_PER_S


def command_of(pid: int) -> str:
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().rstrip(b"\0").decode().split("\0")
    except OSError:
        return "ended"
    name = Path(f"/proc/{pid}/comm").read_text().strip()
    return name if name.startswith("nvr ") else " ".join([Path(words[0]).name, *words[1:]])


class Starting:
    """A `manage.py up` in `data_dir`, timed from its start."""

    def __init__(self, data_dir: Path) -> None:
        self.port, self.output = free_port(), data_dir.with_name(f"up-{time.monotonic_ns()}.log")
        outer = ("DATABASE_URL", "REDIS_URL", "CELERY_BROKER_URL", "DJANGO_SETTINGS_MODULE", "PYTHONDONTWRITEBYTECODE")
        kept = {name: value for name, value in os.environ.items() if name not in outer}
        env = {**kept, "NVR_DATA_DIR": str(data_dir), "NVR_RATE_DEFAULT_ANONYMOUS": "100000/m"}
        self.database, self.since = data_dir / "nvr.sqlite3", f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S.%f}"
        self.started_at = time.monotonic()
        with self.output.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, "manage.py", "up", "--port", str(self.port)],
                cwd=BASE_DIR,
                env=env,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )

    def health(self) -> bytes:
        """Return the body of /api/health; empty while nothing answers."""
        client = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            client.request("GET", "/api/health")
            return client.getresponse().read()
        except OSError:
            return b""
        finally:
            client.close()

    def seconds_until(self, condition: Callable[[], object]) -> float:
        while not condition():
            assert self.process.poll() is None and time.monotonic() < self.started_at + 150, self.output.read_text()
            time.sleep(0.1)
        return time.monotonic() - self.started_at

    def all_work(self) -> bool:
        """Return whether every queue has run a task, beat has sent one, and the watcher has scanned the folders."""
        with closing(sqlite3.connect(self.database, timeout=10)) as connection:
            rows = connection.execute("SELECT name FROM health_heartbeat WHERE beat_at > ?", [self.since])
            return len(rows.fetchall()) == PROCESSES_WITH_HEARTBEAT

    def timed(self) -> tuple[float, float]:
        """Return the seconds to the first answer and to the first heartbeats of all processes."""
        return self.seconds_until(self.health), self.seconds_until(self.all_work)


@contextmanager
def starting(data_dir: Path) -> Iterator[Starting]:
    started = Starting(data_dir)
    try:
        yield started
    finally:
        started.process.send_signal(signal.SIGTERM)
        started.process.wait(60)


def print_start(name: str, answer_s: float, workers_s: float) -> None:
    print(
        f"\n{name}: first answer after {answer_s:.1f} s (goal {ANSWER_GOAL_S}), "
        f"all workers after {workers_s:.1f} s (goal {WORKERS_GOAL_S})"
    )


def print_idle(root: int) -> None:
    """Print memory and CPU time of the idle process `root` and all its descendants."""
    before = {pid: cpu_seconds(pid) for pid in family(root)}
    time.sleep(IDLE_S)
    percent = {pid: 100 * (cpu_seconds(pid) - before.get(pid, 0)) / IDLE_S for pid in family(root)}
    rows = [(*memory_mb(pid), used, command_of(pid)) for pid, used in percent.items()]
    print()
    for pss, private, used, command in rows:
        print(f"  {pss:6.1f} MB PSS, {private:6.1f} private, {used:5.2f} % CPU  {command[:90]}")
    print(f"idle: {len(rows)} processes, {sum(pss for pss, *_ in rows):.0f} MB PSS (goal {PSS_GOAL_MB}), ", end="")
    print(f"{sum(percent.values()):.1f} % of one core over {IDLE_S:.0f} s (goal {CPU_GOAL_PERCENT})")


@pytest.mark.timeout(600)
def test_footprint(tmp_path: Path) -> None:
    with starting(tmp_path / "data") as new:
        print_start("start on an empty data folder", *new.timed())
    with starting(tmp_path / "data") as again:
        print_start("start", *again.timed())
        time.sleep(SETTLE_S)
        print_idle(again.process.pid)
