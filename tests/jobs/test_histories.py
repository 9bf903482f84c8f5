"""Any history of claims, deaths, lost messages and clock jumps: rules that hold after every step."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from unittest.mock import patch

import pytest
from celery import current_app
from django.db import transaction
from django.utils import timezone
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from nvr.jobs import models
from nvr.jobs.models import JobState
from nvr.jobs.worker import send_pending_of
from tests.jobs.models import SampleJob

pytestmark = pytest.mark.django_db
JOBS = 2
SECONDS = (0.5, 15, 59, 61, 200, 4000, -0.5, -30, -61, -200, -4000, 86_400, -86_400)
ACTIONS = ("claim", "renew", "done", "fail", "retry", "postpone", "release", "die", "restart", "expire", "send", "user")

Step = tuple[str, int]
steps = st.lists(
    st.one_of(
        st.tuples(st.sampled_from(ACTIONS), st.integers(0, 5)),
        st.tuples(st.just("clock"), st.integers(0, len(SECONDS) - 1)),
    ),
    max_size=40,
)


@dataclass
class History:
    """Jobs, the claims that workers believe to hold, and a clock."""

    time: datetime = datetime(2026, 6, 1, 12, tzinfo=UTC)
    keys: list[int] = field(default_factory=list)
    claims: list[SampleJob] = field(default_factory=list)
    messages: list[int] = field(default_factory=list)
    deaths: int = 0

    def send(self, name: str, args: list[int], queue: str) -> None:
        self.messages.extend(args)

    def step(self, action: str, number: int) -> None:
        if action == "clock":
            self.time += timedelta(seconds=SECONDS[number])
        elif action == "claim":
            self.claim(self.keys[number % JOBS])
        elif action == "expire":
            SampleJob.objects.release_expired()
        elif action == "send":
            send_pending_of(SampleJob)
        elif action == "restart":  # all processes of the installation are replaced
            models.WORKER = secrets.token_hex(6)
            self.claims.clear()
        elif action == "user":
            SampleJob.objects.filter(pk=self.keys[number % JOBS], state=JobState.FAILED).requeue()
        elif self.claims:
            self.use(self.claims[number % len(self.claims)], action)

    def claim(self, key: int) -> None:
        before = SampleJob.objects.get(pk=key)
        job = SampleJob.objects.claim(key)
        if job is not None:
            assert before.state == JobState.WAITING
            assert job.attempts == before.attempts + 1
            self.claims.append(job)

    def use(self, claim: SampleJob, action: str) -> None:
        before = SampleJob.objects.filter(pk=claim.pk).values().get()
        is_held = before["worker"] == claim.worker and before["state"] == JobState.WORKING
        if action == "die":
            self.claims.remove(claim)
            return
        if action == "renew":
            written = claim.renew()
        elif action == "done":
            written = claim.settle(state=JobState.DONE, outcomes=[*before["outcomes"], claim.worker])
        elif action == "fail":
            written = claim.fail("It broke.")
        elif action == "retry":
            written = claim.retry_or_fail("It broke.", timedelta(seconds=30))
        elif action == "postpone":
            written = claim.postpone("The disk is away.", timedelta(minutes=5))
        else:
            claim.release()
            written = is_held
        assert written == is_held
        if not is_held:
            assert SampleJob.objects.filter(pk=claim.pk).values().get() == before, "a lost lease wrote something"

    def check(self) -> None:
        for row in SampleJob.objects.all():
            holders = {claim.worker for claim in self.claims if claim.pk == row.pk and claim.held().exists()}
            assert len(holders) <= 1
            assert (row.state == JobState.WORKING) == (row.leased_until is not None)
            assert (row.state == JobState.WORKING) == bool(row.worker)
            assert row.attempts <= SampleJob.MAX_RESTARTS
            assert len(row.outcomes) <= 1
            assert (row.state == JobState.DONE) == bool(row.outcomes), "done is final, and only a worker's doing"
            assert (row.state == JobState.FAILED) <= bool(row.reason and row.failed_at)

    def finish(self) -> None:
        """Whatever happened, jobs that have not failed are sent and done once workers work again."""
        self.claims.clear()
        for _ in range(4 * JOBS):
            self.time += SampleJob.RESEND_AFTER + models.MAX_PLAUSIBLE_DELAY
            self.messages.clear()
            send_pending_of(SampleJob)
            for key in set(self.messages):
                if job := SampleJob.objects.claim(key):
                    job.settle(state=JobState.DONE, outcomes=[job.worker])
        assert set(SampleJob.objects.values_list("state", flat=True)) <= {JobState.DONE, JobState.FAILED}


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(history=steps)
@example(history=[("claim", 0), ("clock", 3), ("expire", 0), ("claim", 0), ("done", 0), ("done", 1)])
@example(history=[("claim", 0), ("die", 0), ("clock", 10), ("send", 0), ("claim", 0), ("clock", 11), ("done", 0)])
@example(history=[("claim", 0), ("clock", 12), ("expire", 0), ("claim", 0), ("release", 0), ("release", 1)])
@example(history=[("claim", 0), ("fail", 0), ("user", 0), ("claim", 0), ("retry", 0), ("done", 1)])
def test_rules_that_hold_in_every_history(monkeypatch: pytest.MonkeyPatch, history: list[Step]) -> None:
    with monkeypatch.context() as patched, transaction.atomic():
        run = History()
        patched.setattr(models, "WORKER", secrets.token_hex(6))
        patched.setattr(timezone, "now", lambda: run.time)
        with patch.object(current_app, "send_task", run.send):
            run.keys = [SampleJob.objects.create(sent_at=run.time).pk for _ in range(JOBS)]
            for action, number in history:
                run.step(action, number)
                run.check()
            run.finish()
            run.check()
        transaction.set_rollback(True)
