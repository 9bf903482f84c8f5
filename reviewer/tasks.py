"""What workers do for the reviewer, apart from caches."""

from __future__ import annotations

from pathlib import Path

from celery import shared_task

from reviewer import probes
from reviewer.trash import runs as trash_runs
from reviewer.trash import worker as trash_worker


@shared_task(name=trash_runs.TASK, ignore_result=True)
def empty_trash(run_pk: int) -> None:
    trash_worker.empty(run_pk)


@shared_task(name="reviewer.look_after_emptyings", ignore_result=True)
def look_after_emptyings() -> None:
    """Runs whose worker has died, and lines that nobody reads any more."""
    trash_runs.look_after()


@shared_task(name=probes.TASK, ignore_result=True)
def probe(paths: list[str], root: str) -> None:
    """Look into videos below `root` for which a page did not wait; their paths are percent-encoded."""
    probes.probe_all(paths, Path(root))
