"""The supervisor that `manage.py up` execs: `python -m nvr.supervision LOCK LISTENER [demo]` (two file descriptors).

It runs in the same process but without Django, which would take a hundred megabytes of memory.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import NoReturn

from nvr.supervision.instance import Instance
from nvr.supervision.processes import demo, installation
from nvr.supervision.supervisor import Supervisor


def become_supervisor(instance: Instance, listener: int, *, with_demo: bool) -> NoReturn:
    """Replace this process by the supervisor; the lock and the listening socket stay open."""
    lock = instance.file.fileno()
    for descriptor in (lock, listener):
        os.set_inheritable(descriptor, True)
    arguments = [sys.executable, "-m", __package__, str(lock), str(listener), *(["demo"] if with_demo else [])]
    os.execv(sys.executable, arguments)  # noqa: S606 - no shell is the point


def print_line(name: str, line: str) -> None:
    sys.stdout.write(f"{name:<11} | {line}\n")
    sys.stdout.flush()


def main(lock: int, listener: int, extras: Sequence[str]) -> None:
    for descriptor in (lock, listener):
        os.set_inheritable(descriptor, False)
    instance = Instance.inherited(lock)
    processes = [*installation(listener), *([demo()] if "demo" in extras else [])]
    Supervisor(processes, instance.mark, print_line).run()


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3:])
