"""What is asked for each clip, and every few seconds, costs as little after a million clips as after ten."""

from __future__ import annotations

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from media_serving.clips import worker as clip_worker
from media_serving.models import ClipWork
from tests.ingest.test_costs import plans
from tests.media_serving.evidence import after, detect
from tests.media_serving.test_events_page import browser_of

pytestmark = pytest.mark.skipif(connection.vendor != "sqlite", reason="the plans are told in SQLite's words")


@pytest.mark.parametrize(
    "work",
    [
        lambda row: clip_worker.send_pending(),
        lambda row: clip_worker.send_next(),
        lambda row: clip_worker.release_expired_leases(),
        lambda row: clip_worker.wait_for_disk_space(row),
        lambda row: clip_worker.resume_after_full_disk(),
    ],
    ids=["what is owed", "the next", "dead workers", "a full disk", "room again"],
)
def test_nothing_looks_at_every_clip(camera, sent, work):
    detect(camera, after(0))
    with CaptureQueriesContext(connection) as captured:
        work(ClipWork.objects.get())

    asked = [q["sql"] for q in captured if "clipwork" in q["sql"] and q["sql"].startswith(("SELECT", "UPDATE"))]
    told = plans(asked[1:])
    assert told and not [plan for plan in told if plan.startswith("SCAN media_serving_clipwork")]


@pytest.mark.parametrize("query", ["", "?state__exact=failed"])
def test_the_admins_page_of_clips_sorts_none_of_them(camera, admin, query):
    for number in range(5):
        detect(camera, after(number * 100))
    with CaptureQueriesContext(connection) as captured:
        page = browser_of(admin).get(f"/admin/media_serving/clipwork/{query}")

    assert page.status_code == 200
    told = plans([q["sql"] for q in captured if q["sql"].startswith("SELECT") and "_clipwork" in q["sql"]])
    assert told and not [plan for plan in told if "TEMP B-TREE FOR ORDER BY" in plan]
