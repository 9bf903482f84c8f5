"""The environment of `manage.py up`, which it must have from the start: it executes its program once more with it.

- The mark `NVR_UP`, by which the guard finds all processes: /proc shows the environment with which a program was
  executed, also for the processes that it forks.
- `NVR_UP_ADDRESS`, the address to listen on: some settings depend on it, and they are read once.
- How the C library, Python and Celery save memory and time.
"""

from __future__ import annotations

import os
import secrets
import sys
from argparse import ArgumentParser
from collections.abc import Sequence

from nvr.supervision.guard import VARIABLE
from nvr.supervision.listening import CannotListen, address_for

DEFAULT_HOST = "127.0.0.1"
# glibc allocates a separate heap for each thread, which costs memory in programs with many short-lived threads.
# Each Celery worker repeats Django's system checks, which `up` has run.
FRUGAL = {"MALLOC_ARENA_MAX": "2", "PYTHONUNBUFFERED": "1", "CELERY_SKIP_CHECKS": "1"}


def ensure_environment(host: str) -> str:
    """Return the mark of this process; if it has none, execute its program again in an environment for `host`."""
    if VARIABLE not in os.environ:
        try:
            address = address_for(host)
        except CannotListen:
            address = ""  # the command reports it
        marked = {**os.environ, **FRUGAL, "NVR_UP_ADDRESS": address, VARIABLE: secrets.token_hex(16)}
        os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], marked)  # noqa: S606 - no shell is the point
    return os.environ[VARIABLE]


def host_in(arguments: Sequence[str]) -> str:
    """Return the value of `--host`."""
    parser = ArgumentParser(add_help=False, exit_on_error=False)
    parser.add_argument("--host", default=DEFAULT_HOST)
    return str(parser.parse_known_args(arguments)[0].host)
