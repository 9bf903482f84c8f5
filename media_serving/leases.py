"""Keeping a lease while work goes on: whoever is killed renews it no more, and the row is free for another."""

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
# When everything was killed what was in hand is hardly the cause; but it may be, and so it is given up some time.
MAX_RESTARTS = 20
# The worker with all its processes: made before they are forked, so that one knows whether it or all of them died.
WORKER = secrets.token_hex(6)


@contextmanager
def lease_renewal(name: str, renew: Callable[[], object], *, every: timedelta) -> Iterator[None]:
    """Call `renew` from a thread while the block runs; a database that is away for a moment does no harm.

    `name` is for the log.
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
