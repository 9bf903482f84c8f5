"""Health sections: each dependency is checked in its own thread with a deadline.

A check that hangs is reported as failed and not started again before it returns, so that threads do not pile up.
Apps register sections in `ready()`. Checks are the same for all users; `figures` adds values that depend on the user.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, TimeoutError
from dataclasses import dataclass, field
from typing import Any

from django.db import connections

from nvr.audit.actor import Actor

logger = logging.getLogger(__name__)

DEADLINE_S = 1.5
FRESH_S = 1.0  # concurrent requests share one result


@dataclass(frozen=True)
class Section:
    """`status` is ok, degraded (works, but needs attention) or failed; `detail` is one sentence for the operator.

    `is_stopped`: a required process is not running. Pages still open, so the status is only degraded.
    """

    status: str
    detail: str
    facts: dict[str, Any] = field(default_factory=dict)
    is_stopped: bool = False

    def as_dict(self) -> dict[str, Any]:
        return {"status": self.status, "detail": self.detail, **self.facts}


Check = Callable[[], Section]
Figures = Callable[[Actor], dict[str, Any]]


class Probe:
    """A check with its last result; runs at most once at a time."""

    def __init__(self, name: str, check: Check, *, essential: bool, figures: Figures | None = None) -> None:
        self.name, self.check, self.essential, self.figures = name, check, essential, figures
        self._lock = threading.Lock()
        self._running: Future[Section] | None = None
        self._answer: tuple[float, Section] | None = None

    def start(self, pool: ThreadPoolExecutor) -> Future[Section] | None:
        with self._lock:
            if self._answer and time.monotonic() - self._answer[0] < FRESH_S:
                return None
            if self._running is None or self._running.done():
                self._running = pool.submit(self._run)
            return self._running

    def _run(self) -> Section:
        try:
            section = self.check()
        except Exception as error:  # noqa: BLE001  # any failure is the result
            logger.warning("health check failed section=%s error=%s", self.name, type(error).__name__)
            section = Section("failed", f"{self.name} does not respond ({type(error).__name__}).")
        finally:
            # The thread keeps its connection otherwise, and the pool has many threads.
            connections.close_all()
        self._answer = (time.monotonic(), section)
        return section

    def answer(self, running: Future[Section] | None, deadline: float) -> Section:
        if running is None and self._answer:
            return self._answer[1]
        try:
            return running.result(max(0.0, deadline - time.monotonic())) if running else self._run()
        # The check goes on in its thread; its result is used by a later request.
        except TimeoutError:
            return Section("failed", f"{self.name} did not respond within {DEADLINE_S:g} s.")


_probes: dict[str, Probe] = {}
# Each check uses at most one thread, so checks that hang leave enough threads for the others.
_pool = ThreadPoolExecutor(max_workers=64, thread_name_prefix="health")


def register(name: str, check: Check, *, essential: bool = True, figures: Figures | None = None) -> None:
    """Register a section; only `essential` ones make the overall status `degraded`.

    `figures(user)` returns values that depend on the cameras that `user` can see.
    """
    _probes[name] = Probe(name, check, essential=essential, figures=figures)


def check_all(*, essential_only: bool = False) -> dict[str, Section]:
    probes = [probe for probe in _probes.values() if probe.essential or not essential_only]
    deadline = time.monotonic() + DEADLINE_S
    started = [(probe, probe.start(_pool)) for probe in probes]
    return {probe.name: probe.answer(running, deadline) for probe, running in started}


def figures_for(user: Actor, name: str, section: Section) -> dict[str, Any]:
    """Return the user-dependent values of a section; empty if its check failed, since counting may fail too."""
    figures = _probes[name].figures
    return {} if figures is None or section.status == "failed" else figures(user)


def overall(sections: dict[str, Section]) -> str:
    bad = any(section.status != "ok" and _probes[name].essential for name, section in sections.items())
    return "degraded" if bad else "ok"
