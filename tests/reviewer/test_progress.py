"""The progress of the first scan of a large folder."""

from __future__ import annotations

import fcntl
import json
import threading
import time
from typing import Any

import pytest

from reviewer.catalog import progress as scan_progress
from reviewer.catalog import scanner
from reviewer.catalog.store import index_file, page_of
from reviewer.models import ReviewPath
from reviewer.thumbnails import prefetch
from tests.factories import put

PROGRESS, SUMMARY = "/api/media-items/progress", "/api/media-items/summary"


def progress(review, card) -> dict[str, Any]:
    response = review.get(PROGRESS, {"path": str(card)})
    assert response.status_code == 200, response.content
    body: dict[str, Any] = response.json()
    return body


def test_progress_before_the_first_scan(review, card):
    assert progress(review, card) == {
        "path": str(card),
        "state": "unread",
        "folders": 0,
        "files": 0,
        "thumbnails": None,
    }


def test_progress_after_the_first_scan(review, card):
    review.get(SUMMARY, {"path": str(card)})

    body = progress(review, card)

    assert (body["state"], body["folders"], body["files"]) == ("ready", 4, 4)


def test_progress_during_the_first_scan(review, card, monkeypatch):
    for number in range(5):
        put(card / f"{number:03}MEDIA", "IMG_0001.JPG", b"")
    monkeypatch.setattr(scan_progress, "REPORT_INTERVAL_S", 0)
    resume, list_folder = threading.Event(), scanner.list_folder
    listed: list[bytes] = []

    def slow(path: bytes, root: bytes) -> scanner.Listing:
        listed.append(path)
        if len(listed) == 6:
            resume.wait(20)
        return list_folder(path, root)

    monkeypatch.setattr(scanner, "list_folder", slow)
    root = ReviewPath.objects.get()
    waiting = threading.Thread(target=page_of, args=(root, "all"), kwargs={"limit": 1})
    waiting.start()
    try:
        until = time.monotonic() + 60
        while (body := progress(review, card))["state"] != "reading" and time.monotonic() < until:
            time.sleep(0.01)
        while (body := progress(review, card))["folders"] < 5 and time.monotonic() < until:
            time.sleep(0.01)
    finally:
        resume.set()
        waiting.join()

    assert (body["state"], body["folders"]) == ("reading", 5)
    assert progress(review, card)["state"] == "ready"


def test_progress_of_a_dead_scan_expires(review, card):
    scan_progress.save(str(card), scan_progress.ScanProgress(7, 70))
    assert progress(review, card)["folders"] == 7

    assert scan_progress.EXPIRES_AFTER_S <= 10


def test_progress_includes_the_thumbnail_prefetch(review, card):
    response = review.get("/api/media-items/stream", {"path": str(card)})
    list(response.streaming_content)

    thumbnails = progress(review, card)["thumbnails"]

    assert thumbnails.keys() == {"state", "done", "failed", "total"}
    assert thumbnails["state"] in {"waiting", "working", "done"}


@pytest.fixture
def scanned_by_other(card, monkeypatch):
    """Another process scans the disk."""
    monkeypatch.setattr(scanner, "LOCK_TIMEOUT_S", 0.05)
    lock = index_file(str(card)).with_suffix(".lock")
    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("wb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def test_requests_during_a_long_scan_are_503(review, card, scanned_by_other):
    for url in ("/api/media-items/stream", SUMMARY):
        response = review.get(url, {"path": str(card)})

        assert response.status_code == 503
        assert response["Retry-After"] == "2"
        assert json.loads(response.content) == {
            "error": "The folder is being scanned, which takes a while. Try again in a moment."
        }


def test_indexed_files_are_listed_during_a_scan(review, card, request):
    review.get(SUMMARY, {"path": str(card)})
    request.getfixturevalue("scanned_by_other")

    assert review.get(SUMMARY, {"path": str(card)}).json()["counts"]["all"] == 4


def test_thumbnail_prefetch_waits_for_the_scan(review, card, scanned_by_other, monkeypatch):
    sent: list[str] = []
    monkeypatch.setattr(prefetch, "send", lambda pk, run: sent.append(run) or True)
    root = ReviewPath.objects.get()
    prefetch.start(root)

    prefetch.continue_run(root.pk, sent[0])

    assert sent == [sent[0]] * 2
    assert progress(review, card)["thumbnails"]["state"] == "working"


def test_plain_page_reports_a_running_scan(card, client, reviewer, review, scanned_by_other):
    client.force_login(reviewer)

    page = client.get("/review", {"path": str(card), "plain": "1"})

    assert "The folder is being scanned" in page.content.decode()


@pytest.mark.parametrize(("query", "status"), [({}, 400), ({"path": "/nowhere"}, 403)])
def test_progress_requires_a_known_path(review, card, query, status):
    assert review.get(PROGRESS, query).status_code == status
