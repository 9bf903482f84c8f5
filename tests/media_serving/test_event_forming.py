"""Detections form events by the time of their pictures, in whatever order they arrive."""

from __future__ import annotations

import threading
from datetime import datetime, timedelta
from itertools import pairwise, permutations
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cameras import registry
from cameras.models import Camera
from media_serving import events
from media_serving.events import attach, attach_all, close_quiet
from media_serving.models import Detection, Event
from media_serving.signals import event_closed
from media_serving.tasks import close_events
from nvr.errors import NotFound
from tests.factories import make_camera
from tests.media_serving.evidence import LONG_AGO, after, detect, detection_of, spans


@pytest.fixture
def news():
    """The received `event_closed` signals: (event's key, widened)."""
    heard: list[tuple[int, bool]] = []

    def hear(sender: Any, event: Event, widened: bool, **kwargs: Any) -> None:
        heard.append((event.pk, widened))

    event_closed.connect(hear)
    yield heard
    event_closed.disconnect(hear)


def test_a_detection_within_30_seconds_joins_the_event_and_a_later_one_starts_another(camera):
    for seconds in (0, 30, 61):
        detect(camera, after(seconds))

    assert spans(camera) == [(0, 30), (61, 61)]


def test_an_event_never_grows_beyond_90_seconds(camera):
    for seconds in (0, 30, 60, 90, 91):
        detect(camera, after(seconds))

    assert spans(camera) == [(0, 90), (91, 91)]


def test_a_detection_between_two_events_joins_the_nearer(camera):
    for seconds in (0, 50, 30):
        detect(camera, after(seconds))

    assert spans(camera) == [(0, 0), (30, 50)]


def test_a_late_detection_does_not_merge_two_events(camera):
    """Whoever reviewed, kept or linked to one of them still finds it."""
    for seconds in (0, 45, 20):
        detect(camera, after(seconds))

    assert spans(camera) == [(0, 20), (45, 45)]


def test_a_detection_equally_near_to_both_joins_the_earlier(camera):
    for seconds in (0, 40, 20):
        detect(camera, after(seconds))

    assert spans(camera) == [(0, 20), (40, 40)]


def test_a_detection_joins_the_farther_event_if_the_nearer_would_become_too_long(camera):
    for seconds in (0, 30, 60, 85, 110, 95):
        detect(camera, after(seconds))

    assert spans(camera) == [(0, 85), (95, 110)]


def test_a_detection_before_its_event_widens_it_backwards(camera):
    for seconds in (40, 20, 5):
        detect(camera, after(seconds))

    assert spans(camera) == [(5, 40)]


@pytest.mark.parametrize("order", list(permutations((0, 12.5, 30, 200))))
def test_detections_form_the_same_event_in_any_order_of_arrival(camera, order):
    for seconds in order:
        detect(camera, after(seconds))

    assert spans(camera) == [(0, 30), (200, 200)]


@given(st.lists(st.integers(0, 400_000), min_size=1, max_size=25), st.data())
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_every_detection_has_one_event_that_is_short_and_overlaps_no_other(db, milliseconds, data):
    camera = make_camera()
    timestamps = [after(ms / 1000) for ms in data.draw(st.permutations(milliseconds))]

    for timestamp in timestamps:
        detect(camera, timestamp)

    events = list(Event.objects.filter(camera=camera).order_by("started_at"))
    assert sum(event.detection_count for event in events) == len(timestamps)
    for event in events:
        times = sorted(event.detections.values_list("detected_at", flat=True))
        assert len(times) == event.detection_count
        assert (times[0], times[-1]) == (event.started_at, event.last_detected_at)
        assert times[-1] - times[0] <= timedelta(seconds=90)
        assert all(later - earlier <= timedelta(seconds=30) for earlier, later in pairwise(times))
    assert all(one.last_detected_at < other.started_at for one, other in pairwise(events))


@given(st.lists(st.integers(0, 400_000), min_size=1, max_size=25), st.integers(0, 25))
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_batch_of_detections_forms_the_same_events_as_single_ones(db, milliseconds, before):
    one_by_one, together = make_camera(), make_camera()
    for ms in milliseconds:
        detect(one_by_one, after(ms / 1000))
    for ms in milliseconds[:before]:
        detect(together, after(ms / 1000))

    attach_all([detection_of(together, after(ms / 1000)) for ms in milliseconds[before:]])

    assert spans(together) == spans(one_by_one)
    assert counts(together) == counts(one_by_one)
    assert all(event.detections.count() == event.detection_count for event in Event.objects.filter(camera=together))


def counts(camera: Camera) -> list[int]:
    return list(Event.objects.filter(camera=camera).order_by("started_at").values_list("detection_count", flat=True))


def test_a_long_videos_detections_cost_as_many_queries_as_its_events(camera, django_assert_max_num_queries):
    found = [detection_of(camera, after(number % 60)) for number in range(1000)]

    # As many as for one, but for SQLite, which takes the detections in parts.
    with django_assert_max_num_queries(40):
        attach_all(found)

    assert counts(camera) == [1000]


def test_events_of_two_cameras_are_independent(camera, family_camera):
    detect(camera, after(0))
    detect(family_camera, after(1))

    assert spans(camera) == [(0, 0)]
    assert spans(family_camera) == [(1, 1)]


def test_the_event_stores_count_and_classes(camera):
    for seconds, found in ((0, "person"), (1, "car"), (2, "person")):
        detect(camera, after(seconds), object_class=found)

    event = Event.objects.get()
    assert (event.object_classes, event.detection_count) == (["car", "person"], 3)


def test_stored_timestamps_are_whole_milliseconds(camera):
    detection = detect(camera, after(0.1239))

    detection.refresh_from_db()
    assert detection.detected_at == after(0.123)
    assert detection.event.started_at == after(0.123)


def test_gap_and_maximum_length_are_settings(camera, settings):
    settings.NVR_EVENT_GAP = timedelta(seconds=5)
    settings.NVR_EVENT_MAX_LENGTH = timedelta(seconds=8)

    for seconds in (0, 5, 9, 20):
        detect(camera, after(seconds))

    assert spans(camera) == [(0, 5), (9, 9), (20, 20)]


def test_an_event_older_than_30_seconds_is_created_closed_and_signalled(camera, news):
    event = detect(camera, timezone.now() - timedelta(seconds=31)).event

    assert event.ended_at == event.last_detected_at
    assert news == [(event.pk, False)]


def test_an_event_that_starts_now_is_open(camera, news):
    event = detect(camera, timezone.now()).event

    assert event.is_open
    assert news == []


def test_a_late_arrival_widens_a_closed_event_which_stays_closed(camera, news):
    event = detect(camera, after(0)).event
    for seconds in (20, -10):
        detect(camera, after(seconds))

    event.refresh_from_db()
    assert (event.started_at, event.last_detected_at, event.ended_at) == (after(-10), after(20), after(20))
    assert news == [(event.pk, False), (event.pk, True), (event.pk, True)]


def test_an_event_closes_after_30_seconds_without_a_detection(camera, news):
    now = timezone.now()
    event = detect(camera, now).event

    assert close_quiet(event.last_detected_at + timedelta(seconds=29.999)) == 0
    assert close_quiet(event.last_detected_at + timedelta(seconds=30)) == 1
    assert close_quiet(event.last_detected_at + timedelta(seconds=31)) == 0

    event.refresh_from_db()
    assert event.ended_at == event.last_detected_at
    assert news == [(event.pk, False)]


def test_an_event_that_keeps_going_closes_at_90_seconds(camera):
    now = timezone.now()
    event = open_event(camera, now - timedelta(seconds=90), now - timedelta(seconds=1))

    assert close_quiet(now) == 1

    event.refresh_from_db()
    assert event.ended_at == now - timedelta(seconds=1)


def test_an_event_from_before_the_clock_was_set_back_closes(camera):
    now = timezone.now()
    event = open_event(camera, now + timedelta(days=1000), now + timedelta(days=1000, seconds=5))

    assert close_quiet(now) == 1

    event.refresh_from_db()
    assert event.ended_at == event.last_detected_at


def test_an_orphan_of_a_crash_closes_at_its_last_detection(camera):
    event = open_event(camera, LONG_AGO, after(12))

    close_events()

    event.refresh_from_db()
    assert event.ended_at == after(12)


def test_events_of_a_trashed_camera_close_too(camera, admin):
    open_event(camera, LONG_AGO, after(12))
    registry.trash_camera(admin, camera)

    assert close_quiet(timezone.now()) == 1


def test_a_failing_receiver_leaves_its_event_open_and_does_not_block_other_cameras(camera, family_camera):
    troubled, other = (open_event(each, LONG_AGO, after(12)) for each in (camera, family_camera))

    def fail(sender: Any, event: Event, **kwargs: Any) -> None:
        if event.camera_id == camera.pk:
            raise RuntimeError("the disk is on fire")

    event_closed.connect(fail)
    try:
        closed = close_quiet(timezone.now())
    finally:
        event_closed.disconnect(fail)

    assert closed == 1
    assert Event.objects.get(pk=troubled.pk).is_open
    assert not Event.objects.get(pk=other.pk).is_open
    assert close_quiet(timezone.now()) == 1


def test_a_detection_of_a_purged_camera_is_rejected(camera, admin):
    late = detection_of(camera, LONG_AGO)
    registry.trash_camera(admin, camera)
    registry.purge_camera(admin, camera)

    with pytest.raises(NotFound):
        attach(late)

    assert not Detection.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_concurrent_detections_form_one_event():
    camera = make_camera("Crossing")
    start = threading.Barrier(8)

    def arrive(number: int) -> None:
        start.wait()
        try:
            detect(camera, after(number))
        finally:
            connection.close()

    threads = [threading.Thread(target=arrive, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    event = Event.objects.get()
    assert event.detection_count == Detection.objects.count() == 8
    assert spans(camera) == [(0, 7)]


def test_old_footage_reads_only_the_events_around_it(camera, django_assert_num_queries):
    for hours in range(10):
        detect(camera, after(hours * 3600))

    # Savepoint, lock, query, event, detection, release; and for the clip: query, savepoint, row, release.
    with django_assert_num_queries(10):
        detect(camera, after(-60))


def open_event(camera: Camera, started_at: datetime, last_detected_at: datetime) -> Event:
    return Event.objects.create(
        camera=camera, started_at=started_at, last_detected_at=last_detected_at, detection_count=1
    )


def test_changes_by_users_stay_when_an_event_grows(camera, monkeypatch):
    detect(camera, after(0))
    grow = events._grow

    def meanwhile(event, detection):
        Event.objects.update(keep=True, notes="the postman", clip_size_bytes=5, clip_created_at=timezone.now())
        grow(event, detection)

    monkeypatch.setattr(events, "_grow", meanwhile)
    detect(camera, after(5))

    event = Event.objects.get()
    assert (event.keep, event.notes, event.clip_size_bytes, event.detection_count) == (True, "the postman", 5, 2)
