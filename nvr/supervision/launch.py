"""Run a command that ends when its parent does: `python launch.py PARENT_PID NICENESS COMMAND…`.

A separate program (standard library only) instead of a `preexec_fn`, so that no Python code runs between fork and exec.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def main(parent: int, niceness: int, command: list[str]) -> None:
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:  # it ended before the death signal was set
        sys.exit(1)
    os.nice(niceness)
    os.execv(command[0], command)  # noqa: S606 - no shell is the point


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3:])
