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

from nvr.supervision.processes import BACKOFF_SECONDS, Part
from nvr.supervision.supervisor import STOP_STEPS

from .conftest import wait_until


class Running:
    """A supervisor of small parts and what it has said."""

    def __init__(self, process: subprocess.Popen[bytes], output: Path) -> None:
        self.process = process
        self.output = output

    @property
    def said(self) -> str:
        return self.output.read_text()

    def pids(self, part: str) -> list[int]:
        return [int(pid) for pid in re.findall(rf"^{part} \| pid (\d+)$", self.said, re.MULTILINE)]

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

    def run(*parts: str) -> Running:
        output = tmp_path / f"said-{time.monotonic_ns()}"
        process = start("tests/start/small_supervisor.py", str(tmp_path / "run"), *parts, env=embedded, output=output)
        return Running(process, output)

    return run


def test_a_part_that_is_killed_is_started_again_and_that_is_said(supervise: Callable[..., Running]) -> None:
    running = supervise("steady")
    assert wait_until(lambda: running.pids("steady"))

    os.kill(running.pids("steady")[0], signal.SIGKILL)

    assert wait_until(lambda: len(running.pids("steady")) == 2)
    assert "supervisor | steady was ended by SIGKILL; starting it again in 1 s" in running.said


def test_a_part_that_keeps_failing_is_started_ever_more_rarely(supervise: Callable[..., Running]) -> None:
    running = supervise("failing")

    assert wait_until(lambda: "again in 4 s" in running.said)

    assert re.findall(r"ended with status 3; starting it again in (\d+) s", running.said) == ["1", "2", "4"]
    assert running.said.count("failing | cannot go on") == 3


def test_the_pause_grows_to_half_a_minute_and_shrinks_after_a_steady_run(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    part = Part("web", ["/bin/true"], started_at=time.monotonic())
    assert [part.schedule_restart() for _ in range(8)] == [*BACKOFF_SECONDS, 30, 30]

    part.started_at -= 61

    assert part.schedule_restart() == 1


@pytest.mark.parametrize("signal_number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_all_parts_and_their_children(supervise: Callable[..., Running], signal_number: int) -> None:
    running = supervise("steady", "breeder")
    assert wait_until(lambda: len(running.pids("breeder")) == 2 and running.pids("steady"))
    pids = running.pids("breeder") + running.pids("steady")

    seconds = running.end(signal_number)

    assert seconds < STOP_STEPS[1][0]  # before it would be ordered
    assert running.process.returncode == 0
    assert not [pid for pid in pids if is_alive(pid)]


@pytest.mark.slow
def test_even_a_part_that_ignores_signals_is_gone_within_fifteen_seconds(
    supervise: Callable[..., Running],
) -> None:
    running = supervise("stubborn")
    assert wait_until(lambda: running.pids("stubborn"))

    seconds = running.end(signal.SIGTERM)

    assert 11 < seconds < 15
    assert not is_alive(running.pids("stubborn")[0])


def test_asking_twice_ends_all_at_once(supervise: Callable[..., Running]) -> None:
    running = supervise("stubborn")
    assert wait_until(lambda: running.pids("stubborn"))

    running.process.send_signal(signal.SIGINT)
    assert wait_until(lambda: "stopping" in running.said)

    assert running.end(signal.SIGINT) < 4
    assert not is_alive(running.pids("stubborn")[0])


@pytest.mark.slow
def test_a_killed_supervisor_leaves_nothing_behind(supervise: Callable[..., Running]) -> None:
    running = supervise("steady", "breeder", "stubborn")
    assert wait_until(lambda: len(running.pids("breeder")) == 2)
    assert wait_until(lambda: running.pids("steady") and running.pids("stubborn"))
    pids = [pid for part in ("steady", "breeder", "stubborn") for pid in running.pids(part)]

    running.end(signal.SIGKILL)

    assert wait_until(lambda: not [pid for pid in pids if is_alive(pid)], seconds=60)


@pytest.mark.slow
def test_what_a_supervisor_and_its_guard_left_is_ended_by_the_next_one(
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
    """The guard's process id; None while there is none, or it has not become the guard's program yet."""
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
    former = guard_of(running.process.pid)
    assert former

    os.kill(former, signal.SIGKILL)

    assert wait_until(lambda: not is_alive(former))
    assert wait_until(lambda: guard_of(running.process.pid) not in (None, former))


def test_a_second_instance_on_the_same_folder_is_refused(supervise: Callable[..., Running]) -> None:
    first = supervise("steady")
    assert wait_until(lambda: first.pids("steady"))

    second = supervise("steady")
    second.process.wait(60)

    assert second.process.returncode != 0
    assert "already runs on" in second.said
    assert is_alive(first.pids("steady")[0])
