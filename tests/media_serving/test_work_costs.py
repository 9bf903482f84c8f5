"""Queries for each clip and periodic queries cost as little with a million clips as with ten."""

from __future__ import annotations

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from media_serving.clips import worker as clip_worker
from media_serving.models import ClipWork
from nvr.jobs.dispatch import send_next
from nvr.jobs.worker import send_pending_of
from tests.ingest.test_costs import plans
from tests.media_serving.evidence import after, detect
from tests.media_serving.test_events_page import browser_of

pytestmark = pytest.mark.skipif(connection.vendor != "sqlite", reason="the query plans are in SQLite's format")


@pytest.mark.parametrize(
    "work",
    [
        lambda row: send_pending_of(ClipWork),
        lambda row: send_next(ClipWork),
        lambda row: ClipWork.objects.release_expired(),
        lambda row: clip_worker.wait_for_disk_space(row, "full"),
        lambda row: clip_worker.resume_after_full_disk(),
    ],
    ids=["pending", "the next", "dead workers", "a full disk", "disk space available"],
)
def test_no_query_scans_every_clip(camera, sent, work):
    detect(camera, after(0))
    with CaptureQueriesContext(connection) as captured:
        work(ClipWork.objects.get())

    queries = [q["sql"] for q in captured if "clipwork" in q["sql"] and q["sql"].startswith(("SELECT", "UPDATE"))]
    query_plans = plans(queries[1:])
    assert query_plans and not [plan for plan in query_plans if plan.startswith("SCAN media_serving_clipwork")]


@pytest.mark.parametrize("query", ["", "?state__exact=failed"])
def test_the_admin_list_of_clips_is_not_sorted_by_the_database(camera, admin, query):
    for number in range(5):
        detect(camera, after(number * 100))
    with CaptureQueriesContext(connection) as captured:
        page = browser_of(admin).get(f"/admin/media_serving/clipwork/{query}")

    assert page.status_code == 200
    query_plans = plans([q["sql"] for q in captured if q["sql"].startswith("SELECT") and "_clipwork" in q["sql"]])
    assert query_plans and not [plan for plan in query_plans if "TEMP B-TREE FOR ORDER BY" in plan]
