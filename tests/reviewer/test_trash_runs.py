"""`/api/trash-runs`: list trash runs and stop one."""

from __future__ import annotations

import re

import pytest
from django.utils import timezone
from rest_framework.test import APIClient

from nvr.audit.models import AuditEntry
from nvr.audit.record import record
from reviewer.models import RunState, TrashRun
from tests.factories import folder_of, make_camera, make_user

RUNS = "/api/trash-runs"
KEYS = {
    "id",
    "started_at",
    "finished_at",
    "started_by",
    "path",
    "state",
    "deleted",
    "skipped",
    "errors",
    "bytes_freed",
}
MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}\+00:00")


def run_by(user, **values) -> TrashRun:
    if values.get("state") == RunState.WORKING:
        values["leased_until"] = timezone.now() + TrashRun.LEASE
    if values.get("state") == RunState.FAILED:
        values["reason"] = "The disk failed."
    return TrashRun.objects.create(started_by=user, started_by_name=user.username, **values)


def test_a_run_has_exactly_its_keys(review, reviewer):
    run = run_by(reviewer, path="/card", state=RunState.WORKING, deleted=3, bytes_freed=2**40)

    body = review.get(f"{RUNS}/{run.pk}").json()

    assert set(body) == KEYS
    assert MOMENT.fullmatch(body["started_at"])
    assert body | {"started_at": ""} == {
        "id": run.pk,
        "started_at": "",
        "finished_at": None,
        "started_by": "ranger",
        "path": "/card",
        "state": "working",
        "deleted": 3,
        "skipped": 0,
        "errors": 0,
        "bytes_freed": 2**40,
    }


def test_the_list_is_newest_first_and_paged(review, reviewer):
    runs = [run_by(reviewer, state=RunState.DONE) for _ in range(5)]

    body = review.get(RUNS, {"offset": 1, "limit": 2}).json()

    assert set(body) == {"offset", "limit", "count", "items"}
    assert [item["id"] for item in body["items"]] == [runs[3].pk, runs[2].pk]
    assert body["count"] == 2
    assert review.get(RUNS).json()["items"][0]["path"] is None
    assert review.get(RUNS, {"offset": 99}).json()["items"] == []
    for wrong in ({"limit": 0}, {"limit": "x"}, {"offset": -1}, {"limit": 1001}):
        assert review.get(RUNS, wrong).status_code == 400


def test_one_sees_ones_own_and_managers_see_all(review, reviewer, manage):
    mine, other = run_by(reviewer), run_by(make_user("other"), state=RunState.DONE)

    assert [item["id"] for item in review.get(RUNS).json()["items"]] == [mine.pk]
    assert [item["id"] for item in manage.get(RUNS).json()["items"]] == [other.pk, mine.pk]
    for method, path in (("get", f"{RUNS}/{other.pk}"), ("post", f"{RUNS}/{other.pk}/cancel")):
        answer = getattr(review, method)(path)
        assert (answer.status_code, set(answer.json())) == (404, {"error"})


def test_runs_where_a_camera_keeps_its_files_are_for_who_may_see_it(manager, manage, group, card):
    camera = make_camera("Barn", groups=(group,))
    folder = camera.folder_path
    boss, other = make_user("boss", is_superuser=True), make_user("other")
    hidden = [
        run_by(boss, path=folder, roots=[folder], state=RunState.DONE),
        run_by(boss, roots=[str(card), folder], state=RunState.DONE),
        run_by(manager, roots=[str(folder_of(camera).parent)], state=RunState.DONE),
    ]
    shown = run_by(other, path=str(card), roots=[str(card)], state=RunState.WORKING)

    assert [item["id"] for item in manage.get(RUNS).json()["items"]] == [shown.pk]
    assert manage.get(f"{RUNS}/{shown.pk}").status_code == 200
    for run in hidden:
        assert manage.get(f"{RUNS}/{run.pk}").status_code == 404
        assert manage.post(f"{RUNS}/{run.pk}/cancel").status_code == 404
    assert set(TrashRun.objects.visible_to(boss)) == {shown, *hidden}

    manager.groups.add(group)
    assert set(TrashRun.objects.visible_to(manager)) == {shown, *hidden}


def test_the_record_of_such_runs_is_for_who_may_see_the_camera_as_well(manager, group, card):
    camera = make_camera("Barn", groups=(group,))
    boss = make_user("boss", is_superuser=True, is_staff=True)
    manager.is_staff = True
    runs = [run_by(boss, roots=[path], state=RunState.DONE) for path in (camera.folder_path, str(card))]
    for run in runs:
        record(boss, "trash_emptying_started", run, {"folders": (None, run.roots)})

    def seen_by(user) -> set[int | None]:
        return set(AuditEntry.objects.visible_to(user).values_list("target_pk", flat=True))

    assert seen_by(boss) == {run.pk for run in runs}
    assert seen_by(manager) == {runs[1].pk}


def test_cancelling_a_waiting_run_ends_it(review, reviewer):
    run = run_by(reviewer)

    body = review.post(f"{RUNS}/{run.pk}/cancel").json()

    assert (set(body), body["state"]) == (KEYS, "cancelled")
    assert MOMENT.fullmatch(body["finished_at"])


def test_cancelling_a_working_run_tells_its_worker(review, reviewer):
    run = run_by(reviewer, state=RunState.WORKING)

    assert review.post(f"{RUNS}/{run.pk}/cancel").json()["state"] == "working"
    run.refresh_from_db()
    assert run.is_cancelled


@pytest.mark.parametrize("state", [RunState.DONE, RunState.FAILED, RunState.CANCELLED])
def test_a_run_that_is_over_stays_as_it_is(review, reviewer, state):
    run = run_by(reviewer, state=state)

    assert review.post(f"{RUNS}/{run.pk}/cancel").json()["state"] == state
    run.refresh_from_db()
    assert not run.is_cancelled


def test_it_takes_the_right_to_review(db):
    client = APIClient()
    client.force_authenticate(make_user("looker"))

    assert client.get(RUNS).status_code == 403
