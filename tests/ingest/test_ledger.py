"""Each content of each file is entered once, however often it is found."""

from __future__ import annotations

import os
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone

from media_serving.ingest.ledger import NOT_MEDIA, NOT_REGULAR
from media_serving.models import Upload
from tests.factories import folder_of, jpeg, put
from tests.ingest.conftest import scan_and_enter, uploads


def test_a_file_is_entered_once_however_often_it_is_scanned(porch):
    put(folder_of(porch), "a.jpg", jpeg())

    assert [scan_and_enter(porch) for _ in range(3)] == [1, 0, 0]
    row = Upload.objects.get()
    assert (row.path, row.state, row.size_bytes) == ("a.jpg", "waiting", len(jpeg()))


def test_a_reused_name_is_another_upload_once_the_first_is_done(porch):
    put(folder_of(porch), "snap.jpg", jpeg(), age_s=60)
    scan_and_enter(porch)
    Upload.objects.update(state="done")
    put(folder_of(porch), "snap.jpg", jpeg(seed=1), age_s=30)

    assert scan_and_enter(porch) == 1
    assert Upload.objects.count() == 2


def test_a_file_that_grows_before_processing_stays_one_upload(porch):
    put(folder_of(porch), "a.jpg", jpeg()[:100], age_s=60)
    scan_and_enter(porch)
    Upload.objects.update(reason="The picture is incomplete.", retry_at="2100-01-01T00:00Z", attempts=2)
    put(folder_of(porch), "a.jpg", jpeg(), age_s=30)

    assert scan_and_enter(porch) == 1
    row = Upload.objects.get()
    assert (row.size_bytes, row.retry_at, row.reason, row.attempts) == (len(jpeg()), None, "", 0)


def test_invalid_files_are_recorded_once_with_a_reason(porch):
    folder = folder_of(porch)
    put(folder, "index.txt", b"1")
    os.mkfifo(folder / "pipe.jpg")
    (folder / "link.jpg").symlink_to("/etc/hostname")

    assert scan_and_enter(porch) == 0
    put(folder, "index.txt", b"22", age_s=1)
    scan_and_enter(porch)

    assert uploads(porch) == {
        "index.txt": ("rejected", NOT_MEDIA),
        "pipe.jpg": ("rejected", NOT_REGULAR),
        "link.jpg": ("rejected", NOT_REGULAR),
    }
    assert Upload.objects.count() == 3


@pytest.mark.parametrize("name", [b"new\nline.jpg", b"broken\xff.jpg", b"a%41.jpg", "Türklingel.jpg".encode()])
def test_the_raw_name_is_stored_with_the_readable_one(porch, name):
    path = os.fsencode(folder_of(porch)) + b"/" + name
    with open(path, "wb") as file:
        file.write(jpeg())
    scan_and_enter(porch)

    row = Upload.objects.get()
    assert row.below == name
    assert row.path == name.decode("utf-8", "replace")
    assert os.fsencode(row.file) == path


@pytest.mark.django_db(transaction=True)
def test_files_entered_by_several_threads_at_once_are_stored_once(porch):
    for number in range(50):
        put(folder_of(porch), f"{number}.jpg", jpeg())
    barrier = threading.Barrier(4)

    def enter_all(_):
        barrier.wait()
        try:
            return scan_and_enter(porch)
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(enter_all, range(4)))

    assert Upload.objects.count() == 50


def test_ten_thousand_files_are_entered_with_few_queries(porch, django_assert_max_num_queries):
    for number in range(2000):
        (folder_of(porch) / f"{number:05}.jpg").touch()

    with django_assert_max_num_queries(80):  # SQLite takes 999 values at a time: some forty rows
        assert scan_and_enter(porch) == 2000
    with django_assert_max_num_queries(5 * 4):
        assert scan_and_enter(porch) == 0


def test_a_retry_postponed_before_the_clock_was_set_back_is_due(porch):
    put(folder_of(porch), "a.jpg", jpeg())
    scan_and_enter(porch)
    Upload.objects.update(retry_at=timezone.now() + timedelta(minutes=20))
    assert not Upload.objects.due(timezone.now()).exists()

    an_hour_ago = timezone.now() - timedelta(hours=1)
    assert Upload.objects.due(an_hour_ago).exists()
    assert not Upload.objects.postponed(an_hour_ago).exists()
