"""A supervisor over small processes: `python small_supervisor.py RUN_DIR [NAME…]`."""

from __future__ import annotations

import os
import sys
from functools import partial
from pathlib import Path

from nvr.supervision.environment import ensure_environment
from nvr.supervision.instance import Instance
from nvr.supervision.processes import Process
from nvr.supervision.supervisor import Supervisor

# Each prints its process id and keeps running; `breeder` has a child in a separate session, as ffmpeg is.
PROGRAMS = {
    "steady": "import os, time; print('pid', os.getpid(), flush=True); time.sleep(600)",
    "stubborn": (
        "import os, signal, time\n"
        "for number in (signal.SIGTERM, signal.SIGQUIT): signal.signal(number, signal.SIG_IGN)\n"
        "print('pid', os.getpid(), flush=True)\ntime.sleep(600)"
    ),
    "breeder": (
        "import os, subprocess, time\n"
        "child = subprocess.Popen(['sleep', '600'], start_new_session=True)\n"
        "print('pid', os.getpid(), flush=True)\nprint('pid', child.pid, flush=True)\ntime.sleep(600)"
    ),
    "failing": "print('cannot go on', flush=True); raise SystemExit(3)",
}


def print_line(name: str, line: str) -> None:
    print(f"{name} | {line}", flush=True)


if __name__ == "__main__":
    instance = Instance.acquire(Path(sys.argv[1]), ensure_environment("127.0.0.1"))
    processes = [
        Process(name, partial(os.execv, sys.executable, [sys.executable, "-c", PROGRAMS[name]]))
        for name in sys.argv[2:]
    ]
    Supervisor(processes, instance.mark, print_line).run()
