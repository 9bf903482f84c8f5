"""What is asked every few seconds costs as little after a million uploads as after ten."""

from __future__ import annotations

import pytest
from django.db import connection
from django.db.models import QuerySet
from django.utils import timezone

from media_serving import kept_copies
from media_serving.ingest import leases, overwrites, places, state
from media_serving.ingest.capture_time import CaptureTime
from media_serving.ingest.missing import names_of_missing
from media_serving.models import CaptureClue, Upload
from media_serving.thumbnails.rendering import make_pending
from tests.factories import folder_of, jpeg, put
from tests.ingest.conftest import scan_and_enter

pytestmark = pytest.mark.skipif(connection.vendor != "sqlite", reason="the plans are told in SQLite's words")


def plans(queries: list[str]) -> list[str]:
    told = []
    for query in queries:
        with connection.cursor() as cursor:
            cursor.execute(f"EXPLAIN QUERY PLAN {query}")
            told += [row[3] for row in cursor.fetchall()]
    return told


def asked_of(tables: tuple[str, ...], captured: list[dict[str, str]]) -> list[str]:
    return [q["sql"] for q in captured if q["sql"].startswith("SELECT") and any(table in q["sql"] for table in tables)]


@pytest.mark.parametrize(
    "work",
    [
        lambda camera: leases.cameras_with_work(timezone.now()),
        lambda camera: leases.next_batch(camera.pk, timezone.now()),
        lambda camera: state.ingest_state(),
        lambda camera: make_pending(),
        lambda camera: overwrites.reused_names([Upload(camera=camera, path_digest="0" * 64)]),
        lambda camera: places.find_same_content(
            Upload(camera=camera, raw_path="a.jpg"), "0" * 64, CaptureTime(timezone.now(), CaptureClue.FILE)
        ),
        lambda camera: state.section(),
        lambda camera: kept_copies.trim(),
        lambda camera: names_of_missing(camera, before=None, limit=10),
    ],
    ids=[
        "who has work",
        "the next batch",
        "the state",
        "pending thumbnails",
        "names used again",
        "the same content",
        "health",
        "kept",
        "missing",
    ],
)
def test_no_query_scans_a_whole_table(porch, django_assert_max_num_queries, work):
    put(folder_of(porch), "a.jpg", jpeg())
    scan_and_enter(porch)

    with django_assert_max_num_queries(12) as captured:
        work(porch)

    told = plans(asked_of(("media_serving_upload", "media_serving_detection"), captured.captured_queries))
    # An index that holds only what is not done yet may be walked; the table itself may not.
    small = ("upload_waiting", "upload_in_hand", "upload_not_done", "detection_without_thumbnail", "upload_kept")
    walked = [plan for plan in told if plan.startswith("SCAN media") and not plan.endswith(small)]
    assert told and not walked


def test_the_rows_of_a_file_are_found_by_an_index(porch):
    rows: QuerySet[Upload] = Upload.objects.of_file(porch.pk, b"a.jpg")

    assert "path_digest=?" in rows.explain()


def test_counting_failures_does_not_read_processed_uploads(db, django_assert_max_num_queries):
    with django_assert_max_num_queries(12) as captured:
        state.ingest_state()

    (asked,) = [q["sql"] for q in captured.captured_queries if "'failed'" in q["sql"]]
    assert "upload_not_done" in " ".join(plans([asked]))
