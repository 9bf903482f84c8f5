"""Each content of each file is entered once, whoever saw it and however often."""

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
from tests.ingest.conftest import scanned, uploads


def test_a_file_is_entered_once_however_often_it_is_seen(porch):
    put(folder_of(porch), "a.jpg", jpeg())

    assert [scanned(porch) for _ in range(3)] == [1, 0, 0]
    row = Upload.objects.get()
    assert (row.path, row.state, row.size_bytes) == ("a.jpg", "waiting", len(jpeg()))


def test_a_name_that_is_used_again_is_another_upload_once_the_first_was_read(porch):
    put(folder_of(porch), "snap.jpg", jpeg(), age_s=60)
    scanned(porch)
    Upload.objects.update(state="done")
    put(folder_of(porch), "snap.jpg", jpeg(seed=1), age_s=30)

    assert scanned(porch) == 1
    assert Upload.objects.count() == 2


def test_a_file_that_grows_before_it_was_read_stays_one_upload(porch):
    put(folder_of(porch), "a.jpg", jpeg()[:100], age_s=60)
    scanned(porch)
    Upload.objects.update(reason="The picture breaks off.", retry_at="2100-01-01T00:00Z", attempts=2)
    put(folder_of(porch), "a.jpg", jpeg(), age_s=30)

    assert scanned(porch) == 1
    row = Upload.objects.get()
    assert (row.size_bytes, row.retry_at, row.reason, row.attempts) == (len(jpeg()), None, "", 0)


def test_what_is_no_media_or_no_file_is_on_record_with_its_reason_and_only_once(porch):
    folder = folder_of(porch)
    put(folder, "index.txt", b"1")
    os.mkfifo(folder / "pipe.jpg")
    (folder / "link.jpg").symlink_to("/etc/hostname")

    assert scanned(porch) == 0
    put(folder, "index.txt", b"22", age_s=1)
    scanned(porch)

    assert uploads(porch) == {
        "index.txt": ("rejected", NOT_MEDIA),
        "pipe.jpg": ("rejected", NOT_REGULAR),
        "link.jpg": ("rejected", NOT_REGULAR),
    }
    assert Upload.objects.count() == 3


@pytest.mark.parametrize("name", [b"new\nline.jpg", b"broken\xff.jpg", b"a%41.jpg", "Türklingel.jpg".encode()])
def test_the_disks_own_name_is_kept_beside_the_one_for_people(porch, name):
    path = os.fsencode(folder_of(porch)) + b"/" + name
    with open(path, "wb") as file:
        file.write(jpeg())
    scanned(porch)

    row = Upload.objects.get()
    assert row.below == name
    assert row.path == name.decode("utf-8", "replace")
    assert os.fsencode(row.file) == path


@pytest.mark.django_db(transaction=True)
def test_of_many_who_enter_the_same_files_at_once_each_is_kept_once(porch):
    for number in range(50):
        put(folder_of(porch), f"{number}.jpg", jpeg())
    together = threading.Barrier(4)

    def enter_all(_):
        together.wait()
        try:
            return scanned(porch)
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(enter_all, range(4)))

    assert Upload.objects.count() == 50


def test_ten_thousand_files_are_entered_with_few_queries(porch, django_assert_max_num_queries):
    for number in range(2000):
        (folder_of(porch) / f"{number:05}.jpg").touch()

    with django_assert_max_num_queries(80):  # SQLite takes 999 values at a time: some forty rows
        assert scanned(porch) == 2000
    with django_assert_max_num_queries(5 * 4):
        assert scanned(porch) == 0


def test_what_was_put_off_by_a_clock_that_has_been_put_back_is_due(porch):
    put(folder_of(porch), "a.jpg", jpeg())
    scanned(porch)
    Upload.objects.update(retry_at=timezone.now() + timedelta(minutes=20))
    assert not Upload.objects.due(timezone.now()).exists()

    an_hour_ago = timezone.now() - timedelta(hours=1)
    assert Upload.objects.due(an_hour_ago).exists()
    assert not Upload.objects.postponed(an_hour_ago).exists()
