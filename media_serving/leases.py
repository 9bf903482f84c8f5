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
def lease_kept(name: str, renew: Callable[[], object], *, every: timedelta) -> Iterator[None]:
    """Call `renew` from a thread while the block runs; a database that is away for a moment does no harm.

    `name` is for the log.
    """
    ended = threading.Event()
    keeper = threading.Thread(target=_keep, args=(name, renew, every, ended), daemon=True)
    keeper.start()
    try:
        yield
    finally:
        ended.set()
        keeper.join()


def _keep(name: str, renew: Callable[[], object], every: timedelta, ended: threading.Event) -> None:
    while not ended.wait(every.total_seconds()):
        try:
            renew()
        except (DatabaseError, InterfaceError) as error:
            logger.warning("lease not renewed %s error=%s", name, type(error).__name__)
        finally:
            connection.close()
