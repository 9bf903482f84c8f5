"""Looking at many cameras' folders at once, without waiting for the one that hangs.

A dead network mount blocks whoever looks at it, for minutes. Each look runs in a thread of its own; who is still
looking when the patience is over is left to it, is not sent a second time, and is not waited for again. Threads are
started only as they are needed: there are many, so that all cameras of one dead mount do not keep the others waiting.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Generic, TypeVar

from django.db import connections

from cameras.models import Camera

ResultT = TypeVar("ResultT")
MAX_LOOKS = 64


class ConcurrentProbe(Generic[ResultT]):
    """A look at each of many cameras; `late(camera)` stands for those that have not answered within `timeout_s`."""

    def __init__(
        self,
        *,
        late: Callable[[Camera], ResultT],
        timeout_s: float,
        name: str,
    ) -> None:
        self.late, self.timeout_s = late, timeout_s
        self._pool = ThreadPoolExecutor(max_workers=MAX_LOOKS, thread_name_prefix=name)
        self._looking: dict[tuple[int, str], Future[ResultT]] = {}
        self._overdue: frozenset[Future[ResultT]] = frozenset()

    def run(self, cameras: Iterable[Camera], look: Callable[[Camera], ResultT]) -> dict[int, ResultT]:
        """What `look` saw, by the camera's primary key; a camera that no thread was free for is left out.

        Raises what `look` raises.
        """
        sent = {camera: self._send(camera, look) for camera in cameras}
        wait([looking for looking in sent.values() if looking not in self._overdue], timeout=self.timeout_s)
        self._overdue = frozenset(looking for looking in {*self._overdue, *sent.values()} if not looking.done())
        return {
            camera.pk: looking.result() if looking.done() else self.late(camera)
            for camera, looking in sent.items()
            if looking.done() or looking.running()
        }

    def _send(self, camera: Camera, look: Callable[[Camera], ResultT]) -> Future[ResultT]:
        place = (camera.pk, camera.folder_path)  # a camera that was moved off a dead disk is looked at anew
        looking = self._looking.get(place)
        if looking is None or looking.done():
            looking = self._looking[place] = self._pool.submit(_look, look, camera)
        return looking


def _look(look: Callable[[Camera], ResultT], camera: Camera) -> ResultT:
    try:
        return look(camera)
    finally:
        connections.close_all()
