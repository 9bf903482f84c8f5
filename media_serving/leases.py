"""Renewing a lease while work is in progress. A killed worker no longer renews it, so another can claim the row."""

from __future__ import annotations

import logging
import secrets
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta

from django.db import DatabaseError, InterfaceError, connection

logger = logging.getLogger(__name__)

MAX_ATTEMPTS = 3
# If the whole worker was killed, the row is probably not the cause. It may be, though, so attempts are limited.
MAX_RESTARTS = 20
# Identifies the worker with all its processes: set before they fork, to tell a dead process from a dead worker.
WORKER = secrets.token_hex(6)


@contextmanager
def lease_renewal(name: str, renew: Callable[[], object], *, every: timedelta) -> Iterator[None]:
    """Call `renew` from a thread every `every` while the block runs; `name` appears in the log.

    Database errors are logged and the next renewal tries again.
    """
    finished = threading.Event()
    thread = threading.Thread(target=_renew_periodically, args=(name, renew, every, finished), daemon=True)
    thread.start()
    try:
        yield
    finally:
        finished.set()
        thread.join()


def _renew_periodically(name: str, renew: Callable[[], object], every: timedelta, finished: threading.Event) -> None:
    while not finished.wait(every.total_seconds()):
        try:
            renew()
        except (DatabaseError, InterfaceError) as error:
            logger.warning("lease not renewed %s error=%s", name, type(error).__name__)
        finally:
            connection.close()
