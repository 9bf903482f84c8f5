"""Probes many cameras' folders at once without waiting for one that hangs.

A dead network mount blocks every thread that reads it, for minutes. Each probe runs in a thread of its own. A probe
that exceeds the timeout continues in its thread, is not started a second time, and is not waited for again. Threads
start as they are needed: there are many, so that all cameras of one dead mount do not delay the others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Generic, TypeVar

from django.db import connections

from cameras.models import Camera

ResultT = TypeVar("ResultT")
MAX_PROBES = 64


class ConcurrentProbe(Generic[ResultT]):
    """Probes many cameras; `late(camera)` is the result of those that do not respond within `timeout_s` seconds."""

    def __init__(
        self,
        *,
        late: Callable[[Camera], ResultT],
        timeout_s: float,
        name: str,
    ) -> None:
        self.late, self.timeout_s = late, timeout_s
        self._pool = ThreadPoolExecutor(max_workers=MAX_PROBES, thread_name_prefix=name)
        self._running: dict[tuple[int, str], Future[ResultT]] = {}
        self._overdue: frozenset[Future[ResultT]] = frozenset()

    def run(self, cameras: Iterable[Camera], probe: Callable[[Camera], ResultT]) -> dict[int, ResultT]:
        """The result of `probe` by the camera's primary key; a camera for which no thread was free is left out.

        Raises what `probe` raises.
        """
        started = {camera: self._start(camera, probe) for camera in cameras}
        # Probes that are overdue from an earlier run would make every run wait for the whole timeout.
        wait([future for future in started.values() if future not in self._overdue], timeout=self.timeout_s)
        self._overdue = frozenset(future for future in {*self._overdue, *started.values()} if not future.done())
        return {
            camera.pk: future.result() if future.done() else self.late(camera)
            for camera, future in started.items()
            if future.done() or future.running()
        }

    def _start(self, camera: Camera, probe: Callable[[Camera], ResultT]) -> Future[ResultT]:
        key = (camera.pk, camera.folder_path)  # a camera that was moved off a dead disk is probed again
        future = self._running.get(key)
        if future is None or future.done():
            future = self._running[key] = self._pool.submit(_run, probe, camera)
        return future


def _run(probe: Callable[[Camera], ResultT], camera: Camera) -> ResultT:
    try:
        return probe(camera)
    finally:
        connections.close_all()
