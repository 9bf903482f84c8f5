"""Thumbnails made ahead: after a stream call, of the whole path, in short turns, by one pass at a time."""

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
    """The arguments of the tasks that were sent."""
    found: list[list[Any]] = []

    def send(name: str, *, args: list[Any], queue: str) -> None:
        assert (name, queue) == ("reviewer.make_thumbnails", "bulk")
        found.append(args)

    monkeypatch.setattr("reviewer.thumbnails.prefetch.current_app.send_task", send)
    return found


def made(card: Path) -> int:
    return len(list((card / ".thumbnails/large").glob("*.png")))


def state(root: ReviewPath) -> tuple[str, int, int, int]:
    progress = progress_of(root)
    assert progress is not None
    return progress.state, progress.done, progress.failed, progress.total


def test_a_stream_call_has_all_of_them_made(review, card, known, sent):
    put(card, "torn.jpg", jpeg()[:200])
    assert review.get(STREAM, {"path": str(card), "limit": 1}).status_code == 200
    assert state(known) == ("waiting", 0, 0, 0)

    continue_run(*sent[0])

    assert state(known) == ("done", 5, 1, 5)
    assert made(card) == 4
    assert len(sent) == 1


def test_asking_again_begins_no_second_pass_until_it_has_rested(review, card, known, sent):
    for _ in range(3):
        review.get(STREAM, {"path": str(card)})
    assert len(sent) == 1
    continue_run(*sent[0])
    review.get(STREAM, {"path": str(card)})
    assert len(sent) == 1

    cache.delete(prefetch.lease_key(known.pk))  # as if the time had passed
    review.get(STREAM, {"path": str(card)})
    assert len(sent) == 2


def test_a_long_pass_goes_back_to_the_queue_and_goes_on_where_it_was(known, card, sent, monkeypatch):
    monkeypatch.setattr(prefetch, "TIME_BUDGET_S", 0.0)
    start(known)

    for number in range(4):
        continue_run(*sent[-1])
        assert (made(card), len(sent)) == (number + 1, number + 2)
        assert state(known) == ("working", number + 1, 0, 4)
    continue_run(*sent[-1])

    assert state(known) == ("done", 4, 0, 4)
    assert len(sent) == 5


def test_a_pass_stops_when_its_path_is_removed(known, card, sent, monkeypatch):
    monkeypatch.setattr(prefetch, "SAVE_INTERVAL_S", 0.0)
    monkeypatch.setattr(thumbnails, "render", removing(known, thumbnails.render))
    start(known)

    continue_run(*sent[0])

    assert made(card) == 1
    assert len(sent) == 1
    continue_run(*sent[0])
    assert made(card) == 1


def removing(root: ReviewPath, drawn: Any) -> Any:
    def draw(*given: Any) -> bytes:
        ReviewPath.objects.filter(pk=root.pk).delete()
        return bytes(drawn(*given))

    return draw


def test_a_pass_whose_worker_was_killed_has_stopped_and_another_goes_on(review, card, known, sent, monkeypatch):
    review.get(STREAM, {"path": str(card)})
    with monkeypatch.context() as patched:
        patched.setattr(prefetch, "TIME_BUDGET_S", 0)
        continue_run(*sent[0])
    assert state(known) == ("working", 1, 0, 4)

    cache.delete(prefetch.lease_key(known.pk))  # as if nothing had been heard of it for long
    assert state(known) == ("stopped", 1, 0, 4)

    review.get(STREAM, {"path": str(card)})
    assert state(known) == ("waiting", 0, 0, 0)
    continue_run(*sent[-1])
    assert made(card) == 4


def died(root: ReviewPath) -> None:
    """As if nothing had been heard of the pass for long."""
    cache.delete(prefetch.lease_key(root.pk))


def test_a_pass_whose_worker_was_killed_goes_on_where_it_was_without_a_call(known, card, sent, monkeypatch):
    start(known)
    with monkeypatch.context() as patched:
        patched.setattr(prefetch, "TIME_BUDGET_S", 0)
        continue_run(*sent[-1])
    tasks.revive_thumbnail_passes()
    assert len(sent) == 2  # the pass itself: somebody is at it
    died(known)

    for _ in range(2):
        tasks.revive_thumbnail_passes()

    assert len(sent) == 3
    assert state(known) == ("waiting", 1, 0, 4)
    continue_run(*sent[1])  # of the worker that was taken for dead
    assert made(card) == 1
    continue_run(*sent[2])
    assert state(known) == ("done", 4, 0, 4)
    assert made(card) == 4


def test_a_pass_that_kills_its_workers_is_not_revived_for_ever(known, sent):
    start(known)
    for _ in range(6):
        died(known)
        tasks.revive_thumbnail_passes()

    assert len(sent) == 1 + prefetch.MAX_REVIVALS
    assert state(known)[0] == "stopped"


def test_a_slice_that_ended_well_makes_up_for_deaths(known, sent, monkeypatch):
    monkeypatch.setattr(prefetch, "TIME_BUDGET_S", 0)
    start(known)
    for _ in range(4):
        died(known)
        tasks.revive_thumbnail_passes()
        continue_run(*sent[-1])

    assert state(known) == ("working", 4, 0, 4)


@pytest.mark.parametrize("kept", ["done", "stopped"])
def test_a_pass_that_is_over_is_not_revived(known, sent, kept):
    prefetch.save_progress(known.pk, Progress("working", "x", 1.0))
    died(known)
    tasks.revive_thumbnail_passes()
    assert len(sent) == 1

    prefetch.save_progress(known.pk, Progress(kept, "x", 1.0))
    tasks.revive_thumbnail_passes()

    assert len(sent) == 1


def test_looking_for_dead_passes_is_cheap(known, card, sent, django_assert_num_queries):
    for folder in (card / "DCIM/100MEDIA", card / "DCIM/101MEDIA"):
        start(ReviewPath.objects.create(path=str(folder)))
    sent.clear()

    with django_assert_num_queries(1):
        tasks.revive_thumbnail_passes()

    assert sent == []


def test_without_a_cache_no_pass_is_revived(known, sent, monkeypatch):
    def away(*_: Any, **__: Any) -> None:
        raise OSError("away")

    start(known)
    monkeypatch.setattr(prefetch.cache, "get_many", away)

    tasks.revive_thumbnail_passes()

    assert len(sent) == 1


def test_a_pass_that_waits_for_the_first_reading_stays_alive(known, sent, monkeypatch):
    monkeypatch.setattr(prefetch, "counts_of", being_read)
    start(known)
    died(known)  # while the message was waiting in the queue

    continue_run(*sent[0])

    assert state(known)[0] == "working"


def being_read(root: ReviewPath) -> None:
    raise ScanInProgress


def test_a_pass_is_never_told_as_more_than_all(review, card, known, sent, monkeypatch):
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


def test_a_pass_that_another_has_replaced_stops(known, card, sent):
    start(known)
    cache.delete(prefetch.lease_key(known.pk))  # as if its worker had died
    start(known)

    continue_run(*sent[0])
    assert made(card) == 0
    continue_run(*sent[1])
    assert made(card) == 4


def test_a_card_that_is_away_ends_the_pass_and_takes_no_thumbnail_along(known, card, sent):
    start(known)
    continue_run(*sent[0])
    cache.delete(prefetch.lease_key(known.pk))
    card.rename(card.with_name("away"))
    start(known)

    continue_run(*sent[1])

    assert state(known)[0] == "stopped"
    assert made(card.with_name("away")) == 4


def test_a_pass_takes_away_what_has_lost_its_file(known, card, sent):
    start(known)
    continue_run(*sent[0])
    (card / "DCIM/100MEDIA/IMG_0001.JPG").unlink()
    cache.delete(prefetch.lease_key(known.pk))
    start(known)

    continue_run(*sent[1])

    assert made(card) == 3


def test_the_stream_goes_on_without_broker_or_cache(review, card, known, monkeypatch):
    def away(*given: Any, **options: Any) -> None:
        raise OSError("away")

    monkeypatch.setattr("reviewer.thumbnails.prefetch.current_app.send_task", away)
    assert review.get(STREAM, {"path": str(card)}).status_code == 200
    monkeypatch.setattr(prefetch.cache, "add", away)
    monkeypatch.setattr(prefetch.cache, "get_many", away)
    assert review.get(STREAM, {"path": str(card)}).status_code == 200
    assert progress_of(known) is None


def test_emptying_the_trash_prunes(known):
    from reviewer.trash import worker as trash_worker

    assert thumbnails.prune in trash_worker._pruners


def test_the_daily_task_prunes_every_path(review, known, card):
    file = card / "DCIM/100MEDIA/IMG_0001.JPG"
    review.get("/api/media-thumbnail", {"path": str(file)})
    file.unlink()

    tasks.prune_thumbnails()

    assert made(card) == 0


def test_the_data_directorys_part_keeps_below_its_cap(review, card, settings):
    for number in (1, 2, 3):
        review.get("/api/media-thumbnail", {"path": str(card / f"DCIM/100MEDIA/IMG_000{number}.JPG"), "size": "200"})
    settings.NVR_REVIEW_CACHE_MB = 0

    tasks.sweep_thumbnails()

    assert list(cache_folder("review-thumbnails").rglob("*.png")) == []


def test_the_tasks_are_known_and_due():
    entries = {entry["task"] for entry in app.conf.beat_schedule.values()}

    due = {f"reviewer.{name}" for name in ("prune_thumbnails", "sweep_thumbnails", "revive_thumbnail_passes")}
    assert due <= entries
    assert due | {"reviewer.make_thumbnails"} <= set(app.tasks)


def test_progress_survives_the_cache(known):
    cache.set(prefetch.lease_key(known.pk), True, 60)
    prefetch.save_progress(known.pk, Progress("working", "x", 1.0, 2, 1, 9, "a%F6"))

    assert progress_of(known) == Progress("working", "x", 1.0, 2, 1, 9, "a%F6")
