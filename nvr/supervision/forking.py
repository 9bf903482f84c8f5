"""Forking the processes of an installation from the supervisor, which has loaded everything that they share."""

from __future__ import annotations

import os
import signal
import sys
import traceback
from collections.abc import Callable, Collection
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

from billiard.util import set_pdeathsig  # type: ignore[attr-defined]  # its stubs lack it

HANDLED = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT, signal.SIGCHLD)
COMM_LENGTH = 15  # the kernel's limit for the name that `ps` and `top` show


def fork(name: str, main: Callable[[], object], output: int, *, keep: Collection[int] = (), niceness: int = 0) -> int:
    """Run `main` in a new process in its own session and return the process id; it ends when this process does.

    It writes to the descriptor `output` and closes all others except `keep`, such as the lock and other processes'
    pipes. This process must have one thread only, no connection and no open file that the child would share.
    """
    parent = os.getpid()
    sys.stdout.flush()
    sys.stderr.flush()
    # Blocked until the child has removed the handlers: otherwise a signal sent to it meanwhile would get lost.
    signal.pthread_sigmask(signal.SIG_BLOCK, HANDLED)
    try:
        pid = os.fork()
        if pid == 0:

            def run() -> None:
                detach(name, parent, output, keep, niceness)
                main()

            end_with(run)
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, HANDLED)
    return pid


def fork_command(main: Callable[[], object]) -> int:
    """Run `main` in a child and return its process id; it ends as the whole program would, and when this one does."""
    parent = os.getpid()
    sys.stdout.flush()
    sys.stderr.flush()
    pid = os.fork()
    if pid == 0:
        set_pdeathsig(signal.SIGTERM)
        if os.getppid() == parent:
            main()
        sys.exit()
    return pid


def detach(name: str, parent: int, output: int, keep: Collection[int], niceness: int) -> None:
    """Separate this new process from its `parent`: signals, session, descriptors, name and priority."""
    signal.set_wakeup_fd(-1)
    for number in HANDLED:
        signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, HANDLED)
    set_pdeathsig(signal.SIGTERM)
    if os.getppid() != parent:  # it ended before the death signal was set
        sys.exit(1)
    os.setsid()
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(output, 1)
    os.dup2(output, 2)
    for descriptor in map(int, os.listdir("/proc/self/fd")):  # noqa: PTH208 - only the names
        if descriptor > 2 and descriptor not in keep:
            with suppress(OSError):  # the one of this list
                os.close(descriptor)
    Path("/proc/self/comm").write_text(f"nvr {name}"[:COMM_LENGTH])
    os.nice(niceness)


def end_with(main: Callable[[], object]) -> NoReturn:
    """Run `main` and end the process with its exit status.

    Never returns to the supervisor's code; what it has on the stack stays referenced, so no descriptor is closed twice.
    """
    status = 1
    try:
        main()
        status = 0
    except SystemExit as end:
        if isinstance(end.code, str):
            sys.stderr.write(f"{end.code}\n")
        else:
            status = end.code or 0
    except BaseException:  # noqa: BLE001 - the end of the process, as for any program
        traceback.print_exc()
    finally:
        with suppress(OSError, ValueError):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(status)
