"""The page `/uploads`: the queue, what came, and what could not be read."""

from __future__ import annotations

import html
from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from media_serving.ingest.state import WATCHER
from media_serving.pages.uploads import ingest_status
from nvr.health.models import beat
from tests.factories import make_user
from tests.media_serving.evidence import after
from tests.media_serving.test_camera_day import upload
from tests.media_serving.test_events_page import browser_of


@pytest.fixture
def browser(admin: User) -> Client:
    return browser_of(admin)


def page_of(client: Client) -> str:
    response = client.get("/uploads")
    assert response.status_code == 200
    return html.unescape(response.content.decode())


def test_it_counts_waiting_and_arrived_files(admin, camera):
    now = timezone.now()
    upload(camera, b"1.jpg", after(0), state="waiting")
    upload(camera, b"2.jpg", after(1), state="working")
    upload(camera, b"3.jpg", after(2), received_at=now - timedelta(minutes=30), done_at=now - timedelta(minutes=29))
    upload(camera, b"4.jpg", after(3), received_at=now - timedelta(hours=2), done_at=now - timedelta(seconds=10))

    state = ingest_status(admin)

    assert (state["waiting"], state["working"], state["not_processed"]) == (1, 1, 0)
    assert [(row.period, row.done, row.arrived) for row in state["rates"]] == [("minute", 1, 2), ("hour", 2, 3)]


def test_the_oldest_file_is_one_of_the_waiting_files(admin, browser, camera):
    upload(camera, b"long.avi", after(0), state="working", received_at=timezone.now() - timedelta(minutes=5))
    assert "none waiting" in page_of(browser)

    following = upload(camera, b"next.jpg", after(1), state="waiting")
    assert ingest_status(admin)["oldest_at"] == following.received_at


def test_each_camera_shows_its_last_file(admin, camera, family_camera):
    now = timezone.now()
    upload(camera, b"old.jpg", after(50), received_at=now - timedelta(minutes=2))
    upload(camera, b"new.jpg", after(0), received_at=now, state="waiting")

    rows = {row.name: row for row in ingest_status(admin)["cameras"]}

    assert (rows["Front Door"].last_path, rows["Front Door"].waiting) == ("new.jpg", 1)
    assert (rows["Back Yard"].last_path, rows["Back Yard"].last_at) == ("", None)


def test_failed_files_are_listed_with_their_reason(browser, camera):
    upload(camera, b"torn.jpg", after(0), state="rejected", reason="The file ends in its middle.", attempts=1)
    upload(camera, b"slow.avi", after(1), state="failed", reason="ffmpeg did not end.", attempts=3)

    page = page_of(browser)

    assert "The file ends in its middle." in page and "ffmpeg did not end." in page
    assert page.index("slow.avi") < page.index("torn.jpg")
    assert "fix the cause, then retry them" in page


def test_postponed_files_are_listed_with_their_reason(browser, camera):
    later = timezone.now() + timedelta(minutes=1)
    half = upload(camera, b"half.jpg", after(0), state="waiting", reason="It is incomplete.", retry_at=later)
    upload(camera, b"next.jpg", after(1), state="waiting")

    page = page_of(browser)

    assert "half.jpg" in page and "It is incomplete." in page
    assert f"/uploads/{half.pk}/retry" not in page
    assert "1 will be retried later" in page
    listed = page[page.index("failures-title") :]
    assert "next.jpg" not in listed


def test_the_retry_button_retries_a_file(browser, camera):
    torn = upload(camera, b"torn.jpg", after(0), state="rejected", reason="The file ends in its middle.", attempts=1)
    assert f'action="/uploads/{torn.pk}/retry"' in page_of(browser)

    page = browser.post(f"/uploads/{torn.pk}/retry", follow=True).content.decode()

    assert "torn.jpg will be retried." in page
    torn.refresh_from_db()
    assert (torn.state, torn.attempts) == ("waiting", 0)


def test_a_rejected_retry_shows_its_reason(browser, camera):
    done = upload(camera, b"done.jpg", after(0))

    assert "has already been processed" in browser.post(f"/uploads/{done.pk}/retry", follow=True).content.decode()


def test_retry_requires_the_permission_and_access_to_the_camera(family, camera, family_camera):
    hidden = upload(camera, b"a.jpg", after(0), state="failed", reason="x")
    seen = upload(family_camera, b"b.jpg", after(0), state="failed", reason="x")
    operator = browser_of(make_user("operator", is_staff=True, groups=(family,)))

    assert operator.post(f"/uploads/{hidden.pk}/retry").status_code == 404
    assert operator.post("/uploads/99999999999999999999/retry").status_code == 404
    assert operator.post(f"/uploads/{seen.pk}/retry").status_code == 403
    assert "Retry" not in page_of(operator)


def test_it_warns_if_the_folder_watcher_is_not_running(browser, camera):
    assert "Folder watcher is not running" in page_of(browser)
    beat(WATCHER)
    assert "Folder watcher is not running" not in page_of(browser)


def test_staff_see_only_visible_cameras(family, camera, family_camera):
    operator = make_user("operator", is_staff=True, groups=(family,))
    upload(camera, b"secret.jpg", after(0), state="rejected", reason="no")
    upload(family_camera, b"mine.jpg", after(1), state="waiting")

    page, state = page_of(browser_of(operator)), ingest_status(operator)

    assert "mine.jpg" in page and "secret.jpg" not in page and "Front Door" not in page
    assert (state["waiting"], state["not_processed"]) == (1, 0)


def test_only_staff_see_the_page_and_its_navigation_entry(member, browser, camera):
    assert browser_of(member).get("/uploads").status_code == 403
    assert 'href="/uploads"' not in browser_of(member).get("/").content.decode()
    assert 'href="/uploads"' in browser.get("/").content.decode()


def test_the_number_of_queries_does_not_grow(browser, camera, django_assert_max_num_queries):
    upload(camera, b"0.jpg", after(0), state="failed", reason="x")
    with django_assert_max_num_queries(13) as before:
        page_of(browser)
    for number in range(1, 9):
        upload(camera, f"{number}.jpg".encode(), after(number), state="failed", reason="x")
    with django_assert_max_num_queries(len(before)):
        page_of(browser)
