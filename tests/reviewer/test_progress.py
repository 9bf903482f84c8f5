"""How far the first reading of a large folder is."""

from __future__ import annotations

import fcntl
import json
import threading
import time
from typing import Any

import pytest

from reviewer.catalog import progress as reading
from reviewer.catalog import scanner
from reviewer.catalog.store import index_file, page_of
from reviewer.models import ReviewPath
from reviewer.thumbnails import prefetch
from tests.factories import put

PROGRESS, SUMMARY = "/api/media-items/progress", "/api/media-items/summary"


def progress(review, card) -> dict[str, Any]:
    response = review.get(PROGRESS, {"path": str(card)})
    assert response.status_code == 200, response.content
    told: dict[str, Any] = response.json()
    return told


def test_before_the_first_reading_nothing_is_known(review, card):
    assert progress(review, card) == {
        "path": str(card),
        "state": "unread",
        "folders": 0,
        "files": 0,
        "thumbnails": None,
    }


def test_after_it_what_there_is(review, card):
    review.get(SUMMARY, {"path": str(card)})

    told = progress(review, card)

    assert (told["state"], told["folders"], told["files"]) == ("ready", 4, 4)


def test_meanwhile_what_has_been_read(review, card, monkeypatch):
    for number in range(5):
        put(card / f"{number:03}MEDIA", "IMG_0001.JPG", b"")
    monkeypatch.setattr(reading, "REPORT_INTERVAL_S", 0)
    goes_on, read = threading.Event(), scanner.list_folder
    listed: list[bytes] = []

    def slow(path: bytes, root: bytes) -> scanner.Listing:
        listed.append(path)
        if len(listed) == 6:
            goes_on.wait(20)
        return read(path, root)

    monkeypatch.setattr(scanner, "list_folder", slow)
    root = ReviewPath.objects.get()
    waiting = threading.Thread(target=page_of, args=(root, "all"), kwargs={"limit": 1})
    waiting.start()
    try:
        until = time.monotonic() + 60
        while (told := progress(review, card))["state"] != "reading" and time.monotonic() < until:
            time.sleep(0.01)
        while (told := progress(review, card))["folders"] < 5 and time.monotonic() < until:
            time.sleep(0.01)
    finally:
        goes_on.set()
        waiting.join()

    assert (told["state"], told["folders"]) == ("reading", 5)
    assert progress(review, card)["state"] == "ready"


def test_a_reading_that_died_is_not_told_for_long(review, card):
    reading.save(str(card), reading.ScanProgress(7, 70))
    assert progress(review, card)["folders"] == 7

    assert reading.EXPIRES_AFTER_S <= 10


def test_the_thumbnails_made_ahead_are_told(review, card):
    response = review.get("/api/media-items/stream", {"path": str(card)})
    list(response.streaming_content)

    made = progress(review, card)["thumbnails"]

    assert made.keys() == {"state", "done", "failed", "total"}
    assert made["state"] in {"waiting", "working", "done"}


@pytest.fixture
def being_read(card, monkeypatch):
    """Another process reads the disk."""
    monkeypatch.setattr(scanner, "LOCK_TIMEOUT_S", 0.05)
    lock = index_file(str(card)).with_suffix(".lock")
    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("wb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def test_others_do_not_wait_for_a_long_reading_without_end(review, card, being_read):
    for address in ("/api/media-items/stream", SUMMARY):
        response = review.get(address, {"path": str(card)})

        assert response.status_code == 503
        assert response["Retry-After"] == "2"
        assert json.loads(response.content) == {"error": "The folder is being read, which takes a while: ask again."}


def test_what_is_known_is_answered_during_a_reading(review, card, request):
    review.get(SUMMARY, {"path": str(card)})
    request.getfixturevalue("being_read")

    assert review.get(SUMMARY, {"path": str(card)}).json()["counts"]["all"] == 4


def test_thumbnails_wait_for_the_reading(review, card, being_read, monkeypatch):
    sent: list[str] = []
    monkeypatch.setattr(prefetch, "send", lambda pk, run: sent.append(run) or True)
    root = ReviewPath.objects.get()
    prefetch.start(root)

    prefetch.continue_run(root.pk, sent[0])

    assert sent == [sent[0]] * 2
    assert progress(review, card)["thumbnails"]["state"] == "working"


def test_the_page_without_scripts_says_that_it_is_being_read(card, client, reviewer, review, being_read):
    client.force_login(reviewer)

    page = client.get("/review", {"path": str(card), "plain": "1"})

    assert "The folder is being read" in page.content.decode()


@pytest.mark.parametrize(("query", "status"), [({}, 400), ({"path": "/nowhere"}, 403)])
def test_the_path_must_be_known(review, card, query, status):
    assert review.get(PROGRESS, query).status_code == status
