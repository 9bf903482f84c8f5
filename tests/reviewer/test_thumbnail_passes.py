"""The thumbnail prefetch: started by a stream request, for the whole path, in short tasks, one run at a time."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from django.core.cache import cache

from nvr.celery import app
from nvr.media.files.cached_files import cache_folder
from reviewer import tasks
from reviewer.catalog.scanner import ScanInProgress
from reviewer.models import ReviewPath
from reviewer.thumbnails import prefetch
from reviewer.thumbnails import rendering as thumbnails
from reviewer.thumbnails.prefetch import Progress, continue_run, progress_of, start
from tests.factories import jpeg, put

STREAM = "/api/media-items/stream"


@pytest.fixture(autouse=True)
def own_cache(settings, tmp_path: Path) -> None:
    settings.CACHE_DIR = tmp_path / "cache"


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[list[Any]]:
    """The arguments of the sent tasks."""
    found: list[list[Any]] = []

    def send(name: str, *, args: list[Any], queue: str) -> None:
        assert (name, queue) == ("reviewer.make_thumbnails", "bulk")
        found.append(args)

    monkeypatch.setattr("reviewer.thumbnails.prefetch.current_app.send_task", send)
    return found


def thumbnail_count(card: Path) -> int:
    return len(list((card / ".thumbnails/large").glob("*.png")))


def state(root: ReviewPath) -> tuple[str, int, int, int]:
    progress = progress_of(root)
    assert progress is not None
    return progress.state, progress.done, progress.failed, progress.total


def test_stream_request_starts_a_prefetch_of_all_thumbnails(review, card, known, sent):
    put(card, "torn.jpg", jpeg()[:200])
    assert review.get(STREAM, {"path": str(card), "limit": 1}).status_code == 200
    assert state(known) == ("waiting", 0, 0, 0)

    continue_run(*sent[0])

    assert state(known) == ("done", 5, 1, 5)
    assert thumbnail_count(card) == 4
    assert len(sent) == 1


def test_next_run_starts_only_after_a_pause(review, card, known, sent):
    for _ in range(3):
        review.get(STREAM, {"path": str(card)})
    assert len(sent) == 1
    continue_run(*sent[0])
    review.get(STREAM, {"path": str(card)})
    assert len(sent) == 1

    cache.delete(prefetch.lease_key(known.pk))  # as if the pause was over
    review.get(STREAM, {"path": str(card)})
    assert len(sent) == 2


def test_long_run_continues_in_the_next_task(known, card, sent, monkeypatch):
    monkeypatch.setattr(prefetch, "TIME_BUDGET_S", 0.0)
    start(known)

    for number in range(4):
        continue_run(*sent[-1])
        assert (thumbnail_count(card), len(sent)) == (number + 1, number + 2)
        assert state(known) == ("working", number + 1, 0, 4)
    continue_run(*sent[-1])

    assert state(known) == ("done", 4, 0, 4)
    assert len(sent) == 5


def test_run_stops_when_its_path_is_removed(known, card, sent, monkeypatch):
    monkeypatch.setattr(prefetch, "SAVE_INTERVAL_S", 0.0)
    monkeypatch.setattr(thumbnails, "render", removing(known, thumbnails.render))
    start(known)

    continue_run(*sent[0])

    assert thumbnail_count(card) == 1
    assert len(sent) == 1
    continue_run(*sent[0])
    assert thumbnail_count(card) == 1


def removing(root: ReviewPath, render: Any) -> Any:
    def remove_and_render(*args: Any) -> bytes:
        ReviewPath.objects.filter(pk=root.pk).delete()
        return bytes(render(*args))

    return remove_and_render


def test_run_of_a_killed_worker_is_stopped_and_another_can_start(review, card, known, sent, monkeypatch):
    review.get(STREAM, {"path": str(card)})
    with monkeypatch.context() as patched:
        patched.setattr(prefetch, "TIME_BUDGET_S", 0)
        continue_run(*sent[0])
    assert state(known) == ("working", 1, 0, 4)

    cache.delete(prefetch.lease_key(known.pk))  # as if its lease had expired
    assert state(known) == ("stopped", 1, 0, 4)

    review.get(STREAM, {"path": str(card)})
    assert state(known) == ("waiting", 0, 0, 0)
    continue_run(*sent[-1])
    assert thumbnail_count(card) == 4


def expire_lease(root: ReviewPath) -> None:
    """Let the lease of the run expire."""
    cache.delete(prefetch.lease_key(root.pk))


def test_run_of_a_killed_worker_is_resumed(known, card, sent, monkeypatch):
    start(known)
    with monkeypatch.context() as patched:
        patched.setattr(prefetch, "TIME_BUDGET_S", 0)
        continue_run(*sent[-1])
    tasks.revive_thumbnail_passes()
    assert len(sent) == 2  # sent by the run itself, whose lease is valid
    expire_lease(known)

    for _ in range(2):
        tasks.revive_thumbnail_passes()

    assert len(sent) == 3
    assert state(known) == ("waiting", 1, 0, 4)
    continue_run(*sent[1])  # of the worker that was considered dead
    assert thumbnail_count(card) == 1
    continue_run(*sent[2])
    assert state(known) == ("done", 4, 0, 4)
    assert thumbnail_count(card) == 4


def test_run_that_kills_its_workers_is_resumed_only_a_few_times(known, sent):
    start(known)
    for _ in range(6):
        expire_lease(known)
        tasks.revive_thumbnail_passes()

    assert len(sent) == 1 + prefetch.MAX_REVIVALS
    assert state(known)[0] == "stopped"


def test_successful_task_resets_the_resume_count(known, sent, monkeypatch):
    monkeypatch.setattr(prefetch, "TIME_BUDGET_S", 0)
    start(known)
    for _ in range(4):
        expire_lease(known)
        tasks.revive_thumbnail_passes()
        continue_run(*sent[-1])

    assert state(known) == ("working", 4, 0, 4)


@pytest.mark.parametrize("final_state", ["done", "stopped"])
def test_finished_run_is_not_resumed(known, sent, final_state):
    prefetch.save_progress(known.pk, Progress("working", "x", 1.0))
    expire_lease(known)
    tasks.revive_thumbnail_passes()
    assert len(sent) == 1

    prefetch.save_progress(known.pk, Progress(final_state, "x", 1.0))
    tasks.revive_thumbnail_passes()

    assert len(sent) == 1


def test_check_for_dead_runs_takes_one_query(known, card, sent, django_assert_num_queries):
    for folder in (card / "DCIM/100MEDIA", card / "DCIM/101MEDIA"):
        start(ReviewPath.objects.create(path=str(folder)))
    sent.clear()

    with django_assert_num_queries(1):
        tasks.revive_thumbnail_passes()

    assert sent == []


def test_no_run_is_resumed_without_a_cache(known, sent, monkeypatch):
    def fail(*_: Any, **__: Any) -> None:
        raise OSError("away")

    start(known)
    monkeypatch.setattr(prefetch.cache, "get_many", fail)

    tasks.revive_thumbnail_passes()

    assert len(sent) == 1


def test_run_that_waits_for_the_first_scan_stays_alive(known, sent, monkeypatch):
    monkeypatch.setattr(prefetch, "counts_of", raise_scan_in_progress)
    start(known)
    expire_lease(known)  # while the message was waiting in the queue

    continue_run(*sent[0])

    assert state(known)[0] == "working"


def raise_scan_in_progress(root: ReviewPath) -> None:
    raise ScanInProgress


def test_run_never_reports_more_done_than_total(review, card, known, sent, monkeypatch):
    review.get(STREAM, {"path": str(card)})
    with monkeypatch.context() as patched:
        patched.setattr(prefetch, "TIME_BUDGET_S", 0)
        for _ in range(3):
            continue_run(*sent[-1])
    assert state(known) == ("working", 3, 0, 4)
    for file in sorted(card.rglob("*.JPG"))[:3]:
        file.unlink()

    continue_run(*sent[-1])

    _, done, _, total = state(known)
    assert done <= total


def test_replaced_run_stops(known, card, sent):
    start(known)
    cache.delete(prefetch.lease_key(known.pk))  # as if its lease had expired
    start(known)

    continue_run(*sent[0])
    assert thumbnail_count(card) == 0
    continue_run(*sent[1])
    assert thumbnail_count(card) == 4


def test_missing_card_stops_the_run_and_keeps_thumbnails(known, card, sent):
    start(known)
    continue_run(*sent[0])
    cache.delete(prefetch.lease_key(known.pk))
    card.rename(card.with_name("away"))
    start(known)

    continue_run(*sent[1])

    assert state(known)[0] == "stopped"
    assert thumbnail_count(card.with_name("away")) == 4


def test_run_prunes_thumbnails_of_deleted_files(known, card, sent):
    start(known)
    continue_run(*sent[0])
    (card / "DCIM/100MEDIA/IMG_0001.JPG").unlink()
    cache.delete(prefetch.lease_key(known.pk))
    start(known)

    continue_run(*sent[1])

    assert thumbnail_count(card) == 3


def test_stream_works_without_broker_and_cache(review, card, known, monkeypatch):
    def fail(*args: Any, **options: Any) -> None:
        raise OSError("away")

    monkeypatch.setattr("reviewer.thumbnails.prefetch.current_app.send_task", fail)
    assert review.get(STREAM, {"path": str(card)}).status_code == 200
    monkeypatch.setattr(prefetch.cache, "add", fail)
    monkeypatch.setattr(prefetch.cache, "get_many", fail)
    assert review.get(STREAM, {"path": str(card)}).status_code == 200
    assert progress_of(known) is None


def test_trash_run_prunes_thumbnails(known):
    from reviewer.trash import worker as trash_worker

    assert thumbnails.prune in trash_worker._pruners


def test_daily_task_prunes_every_path(review, known, card):
    file = card / "DCIM/100MEDIA/IMG_0001.JPG"
    review.get("/api/media-thumbnail", {"path": str(file)})
    file.unlink()

    tasks.prune_thumbnails()

    assert thumbnail_count(card) == 0


def test_thumbnails_in_the_data_directory_are_limited(review, card, settings):
    for number in (1, 2, 3):
        review.get("/api/media-thumbnail", {"path": str(card / f"DCIM/100MEDIA/IMG_000{number}.JPG"), "size": "200"})
    settings.NVR_REVIEW_CACHE_MB = 0

    tasks.sweep_thumbnails()

    assert list(cache_folder("review-thumbnails").rglob("*.png")) == []


def test_tasks_are_registered_and_scheduled():
    entries = {entry["task"] for entry in app.conf.beat_schedule.values()}

    due = {f"reviewer.{name}" for name in ("prune_thumbnails", "sweep_thumbnails", "revive_thumbnail_passes")}
    assert due <= entries
    assert due | {"reviewer.make_thumbnails"} <= set(app.tasks)


def test_progress_is_stored_in_the_cache(known):
    cache.set(prefetch.lease_key(known.pk), True, 60)
    prefetch.save_progress(known.pk, Progress("working", "x", 1.0, 2, 1, 9, "a%F6"))

    assert progress_of(known) == Progress("working", "x", 1.0, 2, 1, 9, "a%F6")
