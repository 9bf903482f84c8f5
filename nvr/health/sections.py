"""What the installation depends on, each checked in a thread of its own with a deadline.

A part that hangs is said to hang; its check is not started again before it returns, so that nothing piles up.
Apps add sections in `ready()`. A check knows no user: what a user may see only in part is counted apart, by `figures`.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, TimeoutError
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from django.db import connections

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser, AnonymousUser, User

    Person = User | AbstractBaseUser | AnonymousUser

logger = logging.getLogger(__name__)

DEADLINE_S = 1.5
FRESH_S = 1.0  # a crowd that asks at once shares one answer


@dataclass(frozen=True)
class Section:
    """`status` is ok, degraded (works, needs a look) or failed; `detail` one sentence for the operator.

    `is_stopped`: a process that it needs does not run. Pages still open, so that it is no more than degraded.
    """

    status: str
    detail: str
    facts: dict[str, Any] = field(default_factory=dict)
    is_stopped: bool = False

    def as_dict(self) -> dict[str, Any]:
        return {"status": self.status, "detail": self.detail, **self.facts}


Check = Callable[[], Section]
Figures = Callable[["Person"], dict[str, Any]]


class Probe:
    """A check, its last answer, and at most one run of it at a time."""

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
        except Exception as error:  # noqa: BLE001  # whatever fails is the finding
            logger.warning("health check failed section=%s error=%s", self.name, type(error).__name__)
            section = Section("failed", f"{self.name} does not answer ({type(error).__name__}).")
        finally:
            connections.close_all()
        self._answer = (time.monotonic(), section)
        return section

    def answer(self, running: Future[Section] | None, deadline: float) -> Section:
        if running is None and self._answer:
            return self._answer[1]
        try:
            return running.result(max(0.0, deadline - time.monotonic())) if running else self._run()
        except TimeoutError:
            return Section("failed", f"{self.name} did not answer within {DEADLINE_S:g} s.")


_probes: dict[str, Probe] = {}
# Each check has at most one thread, started when it is needed: those that hang leave enough for the others.
_pool = ThreadPoolExecutor(max_workers=64, thread_name_prefix="health")


def register(name: str, check: Check, *, essential: bool = True, figures: Figures | None = None) -> None:
    """Add a section; one that is not `essential` never makes the whole `degraded`.

    `figures(user)` are facts that depend on which cameras `user` may see.
    """
    _probes[name] = Probe(name, check, essential=essential, figures=figures)


def check_all(*, essential_only: bool = False) -> dict[str, Section]:
    probes = [probe for probe in _probes.values() if probe.essential or not essential_only]
    deadline = time.monotonic() + DEADLINE_S
    started = [(probe, probe.start(_pool)) for probe in probes]
    return {probe.name: probe.answer(running, deadline) for probe, running in started}


def figures_for(user: Person, name: str, section: Section) -> dict[str, Any]:
    """What of the section only `user` is shown; nothing while its check fails, as what it counts may be away."""
    figures = _probes[name].figures
    return {} if figures is None or section.status == "failed" else figures(user)


def overall(sections: dict[str, Section]) -> str:
    bad = any(section.status != "ok" and _probes[name].essential for name, section in sections.items())
    return "degraded" if bad else "ok"
