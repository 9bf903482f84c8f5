"""Waiting for a slot costs a thread, so few may wait."""

from __future__ import annotations

import threading
import time
from datetime import timedelta

import pytest

from nvr.media.http.stream_limits import StreamSlots, TooManyStreams


def test_the_next_request_is_rejected_at_once_if_many_are_waiting() -> None:
    slots = StreamSlots(capacity=2)
    held = [slots.take(), slots.take()]

    def wait() -> None:
        slots.take(timeout=timedelta(seconds=60)).close()

    waiting = threading.Thread(target=wait)
    waiting.start()
    while slots.waiting == 0:
        time.sleep(0.01)

    started = time.monotonic()
    with pytest.raises(TooManyStreams):
        slots.take(timeout=timedelta(seconds=60))

    assert time.monotonic() - started < 20
    for slot in held:
        slot.close()
    waiting.join()
