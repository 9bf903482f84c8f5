"""The supervisor over small real processes: what dies is restarted, and nothing outlives it."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from nvr.supervision.processes import BACKOFF_SECONDS, Process
from nvr.supervision.supervisor import STOP_STEPS

from .conftest import wait_until


class Running:
    """A supervisor of small processes and its output."""

    def __init__(self, process: subprocess.Popen[bytes], output: Path) -> None:
        self.process = process
        self.output = output

    @property
    def log(self) -> str:
        return self.output.read_text()

    def pids(self, process: str) -> list[int]:
        return [int(pid) for pid in re.findall(rf"^{process} \| pid (\d+)$", self.log, re.MULTILINE)]

    def end(self, signal_number: int) -> float:
        """Send the signal and wait; seconds that it took."""
        started = time.monotonic()
        self.process.send_signal(signal_number)
        self.process.wait(60)
        return time.monotonic() - started


def is_alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


@pytest.fixture
def supervise(tmp_path: Path, embedded: dict[str, str], start: Callable[..., subprocess.Popen[bytes]]):
    (tmp_path / "run").mkdir()

    def run(*names: str) -> Running:
        output = tmp_path / f"output-{time.monotonic_ns()}"
        process = start("tests/start/small_supervisor.py", str(tmp_path / "run"), *names, env=embedded, output=output)
        return Running(process, output)

    return run


def test_a_process_that_is_killed_is_restarted_and_the_restart_is_logged(supervise: Callable[..., Running]) -> None:
    running = supervise("steady")
    assert wait_until(lambda: running.pids("steady"))

    os.kill(running.pids("steady")[0], signal.SIGKILL)

    assert wait_until(lambda: len(running.pids("steady")) == 2)
    assert "supervisor | steady was ended by SIGKILL; restarting in 1 s" in running.log


def test_a_process_that_keeps_failing_is_restarted_with_longer_pauses(supervise: Callable[..., Running]) -> None:
    running = supervise("failing")

    assert wait_until(lambda: "restarting in 4 s" in running.log)

    assert re.findall(r"ended with status 3; restarting in (\d+) s", running.log) == ["1", "2", "4"]
    assert running.log.count("failing | cannot go on") == 3


def test_the_pause_grows_to_half_a_minute_and_shrinks_after_a_steady_run(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    process = Process("web", lambda: None, started_at=time.monotonic())
    assert [process.schedule_restart() for _ in range(8)] == [*BACKOFF_SECONDS, 30, 30]

    process.started_at -= 61

    assert process.schedule_restart() == 1


@pytest.mark.parametrize("signal_number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_all_processes_and_their_children(supervise: Callable[..., Running], signal_number: int) -> None:
    running = supervise("steady", "breeder")
    assert wait_until(lambda: len(running.pids("breeder")) == 2 and running.pids("steady"))
    pids = running.pids("breeder") + running.pids("steady")

    seconds = running.end(signal_number)

    assert seconds < STOP_STEPS[1][0]  # before SIGQUIT
    assert running.process.returncode == 0
    assert not [pid for pid in pids if is_alive(pid)]


@pytest.mark.slow
def test_a_process_that_ignores_signals_has_ended_within_fifteen_seconds(
    supervise: Callable[..., Running],
) -> None:
    running = supervise("stubborn")
    assert wait_until(lambda: running.pids("stubborn"))

    seconds = running.end(signal.SIGTERM)

    assert 11 < seconds < 15
    assert not is_alive(running.pids("stubborn")[0])


def test_a_second_stop_signal_ends_all_at_once(supervise: Callable[..., Running]) -> None:
    running = supervise("stubborn")
    assert wait_until(lambda: running.pids("stubborn"))

    running.process.send_signal(signal.SIGINT)
    assert wait_until(lambda: "stopping" in running.log)

    assert running.end(signal.SIGINT) < 4
    assert not is_alive(running.pids("stubborn")[0])


@pytest.mark.slow
def test_a_killed_supervisor_leaves_nothing_behind(supervise: Callable[..., Running]) -> None:
    running = supervise("steady", "breeder", "stubborn")
    assert wait_until(lambda: len(running.pids("breeder")) == 2)
    assert wait_until(lambda: running.pids("steady") and running.pids("stubborn"))
    pids = [pid for process in ("steady", "breeder", "stubborn") for pid in running.pids(process)]

    running.end(signal.SIGKILL)

    assert wait_until(lambda: not [pid for pid in pids if is_alive(pid)], seconds=60)


@pytest.mark.slow
def test_the_next_supervisor_ends_what_a_killed_one_and_its_guard_left(
    supervise: Callable[..., Running],
) -> None:
    running = supervise("stubborn")
    assert wait_until(lambda: running.pids("stubborn"))
    stubborn = running.pids("stubborn")[0]
    assert wait_until(lambda: guard_of(running.process.pid))
    guard = guard_of(running.process.pid)
    assert guard
    os.killpg(guard, signal.SIGKILL)
    running.end(signal.SIGKILL)
    assert is_alive(stubborn)

    following = supervise("steady")

    assert wait_until(lambda: following.pids("steady"), seconds=60)
    assert not is_alive(stubborn)


def guard_of(supervisor: int) -> int | None:
    """The guard's process id; None while there is none, or before its exec."""
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            command = (folder / "cmdline").read_bytes()
            parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
        if parent == supervisor and b"guard.py" in command:
            return int(folder.name)
    return None


def test_a_killed_guard_is_replaced(supervise: Callable[..., Running]) -> None:
    running = supervise("steady")
    assert wait_until(lambda: running.pids("steady"))
    assert wait_until(lambda: guard_of(running.process.pid))
    previous = guard_of(running.process.pid)
    assert previous

    os.kill(previous, signal.SIGKILL)

    assert wait_until(lambda: not is_alive(previous))
    assert wait_until(lambda: guard_of(running.process.pid) not in (None, previous))


def test_a_second_instance_on_the_same_folder_is_rejected(supervise: Callable[..., Running]) -> None:
    first = supervise("steady")
    assert wait_until(lambda: first.pids("steady"))

    second = supervise("steady")
    second.process.wait(60)

    assert second.process.returncode != 0
    assert "is already running on" in second.log
    assert is_alive(first.pids("steady")[0])
