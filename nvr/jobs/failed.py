"""The failed jobs of all apps, and their retry. Each app registers its kinds of jobs when it is ready."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from django.contrib.auth.models import User
from django.db.models import F, QuerySet, Value

from nvr.jobs.models import Job


@dataclass(frozen=True)
class FailedJobs:
    """One kind of job.

    `failed_for(user)` returns the failed rows that the user may see, with the rows that `describe(job)` needs.
    `retry(user, job)` queues one of them again, and raises an `NvrError` if that is impossible.
    """

    model: type[Job]
    failed_for: Callable[[User], QuerySet[Any]]
    retry: Callable[[User, Any], object]
    may_retry: Callable[[User], bool]
    describe: Callable[[Any], str] = str
    view_permission: str = ""  # empty: the model's own

    @property
    def name(self) -> str:
        return str(self.model._meta.model_name)

    @property
    def label(self) -> str:
        return str(self.model._meta.verbose_name)

    @property
    def plural(self) -> str:
        return str(self.model._meta.verbose_name_plural)


_kinds: dict[str, FailedJobs] = {}


def register(kind: FailedJobs) -> None:
    _kinds[kind.name] = kind


def all_kinds() -> list[FailedJobs]:
    return list(_kinds.values())


def visible_kinds(user: User) -> list[FailedJobs]:
    """The kinds of which the user may see rows."""
    return [
        kind
        for kind in all_kinds()
        if user.has_perm(kind.view_permission or f"{kind.model._meta.app_label}.view_{kind.name}")
    ]


@dataclass(frozen=True)
class FailedRow:
    kind: FailedJobs
    job: Job


def failed_rows(user: User, kinds: list[FailedJobs]) -> QuerySet[Any, dict[str, Any]]:
    """Rows with `kind` and `pk`, the latest failure first. A union: the list costs two queries per kind and page."""
    rows = [
        kind.failed_for(user)
        .order_by()
        .select_related(None)
        .annotate(kind=Value(kind.name), job=F("pk"))
        .values("kind", "job", "failed_at")
        for kind in kinds
    ]
    union: QuerySet[Any, dict[str, Any]] = rows[0].union(*rows[1:], all=True)
    return union.order_by(F("failed_at").desc(nulls_last=True), "kind", "-job")


def fetch(user: User, rows: list[dict[str, Any]]) -> Iterator[FailedRow]:
    """The jobs of `rows`, in their order, without those that were retried meanwhile."""
    keys: dict[str, list[int]] = {}
    for row in rows:
        keys.setdefault(row["kind"], []).append(row["job"])
    jobs = {name: _kinds[name].failed_for(user).in_bulk(pks) for name, pks in keys.items()}
    for row in rows:
        if job := jobs[row["kind"]].get(row["job"]):
            yield FailedRow(_kinds[row["kind"]], job)
