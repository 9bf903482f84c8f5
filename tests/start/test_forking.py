"""The processes that the supervisor forks: what they share with it, and what they do not."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

FORK = """
import os, signal, sys, time
from nvr.supervision.forking import fork
signal.signal(signal.SIGTERM, lambda *_: None)  # as the supervisor, which handles it later
def run(main, stop=False):
    reader, writer = os.pipe()
    pid = fork("tested", main, writer)
    if stop:
        os.kill(pid, signal.SIGTERM)
    os.close(writer)
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    return status, os.fdopen(reader).read()
"""
OPEN = "[fd for fd in os.listdir('/proc/self/fd') if os.path.exists(f'/proc/self/fd/{fd}')]"
RARE = "{'numpy', 'cv2', 'zeep'}"
DJANGO = """
import os, sys
import django
django.setup()
from nvr.supervision.preload import preload
preload()
"""


def python(code: str, env: dict[str, str]) -> str:
    env = env | {"DJANGO_SETTINGS_MODULE": "nvr.settings"}
    ran = subprocess.run(
        [sys.executable, "-c", code], env=env, capture_output=True, text=True, timeout=120, check=False
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


def test_a_process_closes_what_it_inherited(embedded: dict[str, str]) -> None:
    answer = python(f"{FORK}\nlock = open('/dev/null')\nprint({OPEN}, run(lambda: print({OPEN})))", embedded)

    assert answer.strip() == "['0', '1', '2', '3'] (0, \"['0', '1', '2']\\n\")"


def test_a_signal_that_is_sent_at_once_ends_the_process(embedded: dict[str, str]) -> None:
    stopped = "{run(lambda: time.sleep(60), stop=True)[0] for _ in range(50)}"

    assert python(f"{FORK}\nprint({stopped})", embedded).strip() == "{-15}"


@pytest.mark.parametrize(
    ("main", "status", "text"),
    [
        ("lambda: print('done')", 0, "done"),
        ("lambda: sys.exit('correct this')", 1, "correct this"),
        ("lambda: sys.exit(3)", 3, ""),
        ("lambda: 1 / 0", 1, "ZeroDivisionError"),
    ],
)
def test_a_process_ends_as_a_program_does(embedded: dict[str, str], main: str, status: int, text: str) -> None:
    answer = python(f"{FORK}\nstatus, text = run({main})\nprint(status, text)", embedded)

    assert answer.startswith(f"{status} ")
    assert text in answer


def test_a_process_has_a_name_and_a_session_of_its_own(embedded: dict[str, str]) -> None:
    described = "lambda: print(open('/proc/self/comm').read().strip(), os.getsid(0) == os.getpid())"

    assert python(f"{FORK}\nprint(run({described})[1])", embedded).strip() == "nvr tested True"


def test_what_is_forked_from_has_one_thread_no_open_file_and_no_rarely_used_library(embedded: dict[str, str]) -> None:
    code = f"threads = len(os.listdir('/proc/self/task'))\nprint(threads, {OPEN}, {RARE} & set(sys.modules))"

    assert python(f"{DJANGO}\n{code}", embedded).strip() == "1 ['0', '1', '2'] set()"


def test_each_worker_has_its_own_token_which_its_processes_share(data_dir: Path, embedded: dict[str, str]) -> None:
    (data_dir / "run").mkdir(parents=True)
    (data_dir / "run/up.lock").write_text("mark")
    show_tokens = """
from nvr.jobs.models import is_of_this_worker, new_token
from nvr.supervision.processes import Process
from nvr.supervision.programs import program
def show():
    token = new_token()
    if os.fork() == 0:
        print(token[:12], is_of_this_worker(token), flush=True)
        os._exit(0)
    os.wait()
for _ in range(2):
    process = Process("worker", program("worker", show))
    print(os.fdopen(process.start()).read().strip())
"""

    lines = python(f"{DJANGO}{show_tokens}", embedded | {"NVR_UP": "mark"}).splitlines()

    assert [line.split()[1] for line in lines] == ["True", "True"]
    assert len({line.split()[0] for line in lines}) == 2
