"""The processes of a single-machine installation: what each one runs."""

from __future__ import annotations

import os
import secrets
import socket
import sys
import warnings
from collections.abc import Callable
from typing import Any

from celery import current_app
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.management import CommandError, call_command
from gunicorn.app import wsgiapp

from nvr.data_folder import check_same
from nvr.database_url import share_connections
from nvr.jobs import models as jobs
from nvr.supervision.guard import VARIABLE
from nvr.supervision.processes import Process


def installation(listener: int) -> list[Process]:
    """Return all processes of a single-machine installation; `listener` is the web server's listening descriptor."""
    return [
        Process("web", program("web", web, listener), (listener,)),
        Process("interactive", program("worker", worker, "interactive")),
        Process("ingest", program("worker", worker, "ingest"), niceness=5),  # as the next: they yield to the web server
        Process("bulk", program("worker", worker, "bulk"), niceness=10),
        Process("watcher", program("watcher", command, "ingest"), niceness=5),
        Process("beat", program("beat", beat)),
    ]


def demo() -> Process:
    return Process("demo", program("demo", command, "demo"), niceness=10)


def program(kind: str, main: Callable[..., object], *arguments: Any) -> Callable[[], None]:
    """Return `main(*arguments)` as what a forked process runs, with what a program of its own would have."""

    def run() -> None:
        os.environ["NVR_PROCESS"] = kind
        try:
            check_same(settings.RUN_DIR / "up.lock", os.environ[VARIABLE])
        except ImproperlyConfigured as error:
            sys.exit(str(error))
        jobs.WORKER = secrets.token_hex(6)  # its processes share it, the other processes have another
        main(*arguments)

    return run


def web(listener: int) -> None:
    share_connections(settings.DATABASES["default"])
    sys.argv = ["gunicorn", "-c", "python:nvr.webserver.configuration", "--bind", f"fd://{listener}", "nvr.wsgi"]
    wsgiapp.run()


def worker(queue: str) -> None:
    """Run a Celery worker with two processes: one may convert a video for half an hour.

    It sends none of Celery's own events: health uses the heartbeat rows.
    """
    # Celery warns root at each start, but running as root is the operator's deliberate decision.
    warnings.filterwarnings("ignore", "You're running the worker with superuser privileges")
    process = current_app.Worker(
        hostname=f"{queue}@{socket.gethostname()}",
        queues=queue,
        concurrency=2,
        loglevel="WARNING",
        quiet=True,
        without_gossip=True,
        without_mingle=True,
        without_heartbeat=True,
    )
    process.start()
    sys.exit(process.exitcode)


def beat() -> None:
    current_app.Beat(quiet=True).run()


def command(name: str) -> None:
    try:
        call_command(name)
    except CommandError as error:
        sys.exit(str(error))
