"""Clip jobs: requested, claimed, leased, regenerated, postponed, failed; also with killed workers."""

from __future__ import annotations

import errno
import os
import secrets
import signal
import subprocess
import sys
import threading
import time
from datetime import timedelta
from pathlib import Path

import pytest
from celery import current_app
from django.db import connection
from django.utils import timezone
from kombu.exceptions import OperationalError

from cameras import registry
from media_serving.clips import requests as clip_requests
from media_serving.clips import worker as clip_worker
from media_serving.clips.rendering import FootageRange
from media_serving.events import close_quiet
from media_serving.models import ClipWork, Event
from media_serving.signals import clip_created
from nvr.jobs.models import Job, JobState
from nvr.jobs.worker import attempt, send_pending_of
from nvr.media.ffmpeg import operations as ffmpeg
from nvr.media.ffmpeg.clips import Deadline
from nvr.media.files.paths import StorageFault
from tests.factories import folder_of, make_video
from tests.films import frame_numbers
from tests.media_serving.evidence import LONG_AGO, after, detect
from tests.media_serving.footage import event_over, still, uploaded
from tests.servers import BASE_DIR

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("own_folders")]


@pytest.fixture
def sent(monkeypatch) -> list[int]:
    """The row ids that were sent to the workers."""
    ids: list[int] = []
    monkeypatch.setattr(current_app, "send_task", lambda name, args, queue: ids.extend(args))
    return ids


@pytest.fixture
def event(camera, sent) -> Event:
    """Over, with a still, its clip waiting for a worker."""
    still(camera, "a.jpg", 0, 33)
    event = event_over(camera, 0, 0)
    ClipWork.objects.update(retry_at=None)
    return event


def work_of(event: Event) -> ClipWork:
    return ClipWork.objects.get(event=event)


def make(event: Event) -> ClipWork:
    clip_worker.make(work_of(event).pk)
    return work_of(event)


def lapse() -> None:
    ClipWork.objects.update(leased_until=timezone.now() - timedelta(seconds=1))


def test_closing_an_event_requests_its_clip_on_commit(camera, sent, django_capture_on_commit_callbacks):
    detect(camera, timezone.now() - timedelta(seconds=20))
    event = detect(camera, timezone.now() - timedelta(seconds=10)).event
    assert not ClipWork.objects.exists()

    with django_capture_on_commit_callbacks(execute=True):
        close_quiet(timezone.now() + timedelta(seconds=60))
        assert sent == []

    assert work_of(event).state == JobState.WAITING
    assert sent == [work_of(event).pk]


def test_late_detections_delay_the_clip_which_beat_sends(camera, sent, django_capture_on_commit_callbacks):
    with django_capture_on_commit_callbacks(execute=True):
        for number in range(10):
            event = detect(camera, after(number)).event

    assert sent == []
    send_pending_of(ClipWork)
    assert sent == [], "more of it is likely on its way"
    ClipWork.objects.update(retry_at=timezone.now() - timedelta(seconds=1))
    send_pending_of(ClipWork)
    send_pending_of(ClipWork)
    assert sent == [work_of(event).pk], "and not at each beat"


def test_a_complete_clip_is_stored_and_signalled(event):
    signalled = []
    clip_created.connect(receiver := lambda sender, event, **kwargs: signalled.append(event), weak=False)
    try:
        work = make(event)
    finally:
        clip_created.disconnect(receiver)

    event.refresh_from_db()
    assert (work.state, work.reason, work.leased_until) == (JobState.DONE, "", None)
    assert work.shows == [[LONG_AGO.timestamp() * 1000, 1500]]
    assert event.clip_size_bytes == event.clip_path.stat().st_size
    assert event.clip_created_at is not None
    assert signalled == [event]
    assert [path.name for path in event.clip_path.parent.iterdir()] == [event.clip_path.name]


def test_a_duplicate_message_makes_it_once(event):
    make(event)
    made_at = event.clip_path.stat().st_mtime_ns

    make(event)
    clip_worker.make(987_654)

    assert event.clip_path.stat().st_mtime_ns == made_at


def test_a_late_detection_regenerates_the_clip(camera, event):
    make(event)
    short = len(frame_numbers(event.clip_path))
    still(camera, "b.jpg", 9, 50)
    detect(camera, after(8))

    assert work_of(event).state == JobState.WAITING
    assert event.clip_path.exists(), "the former one stays meanwhile"
    ClipWork.objects.update(retry_at=None)
    make(event)

    assert len(frame_numbers(event.clip_path)) > short


def test_an_outdated_clip_is_not_published(camera, event, monkeypatch):
    make_clip = clip_worker.make_clip

    def slow(event: Event, part: Path) -> list[FootageRange]:
        shown = make_clip(event, part)
        detect(camera, after(8))
        return shown

    with monkeypatch.context() as patch:
        patch.setattr(clip_worker, "make_clip", slow)
        work = make(event)

    assert work.state == JobState.WAITING
    assert list(event.clip_path.parent.iterdir()) == []
    ClipWork.objects.update(retry_at=None)
    assert make(event).state == JobState.DONE


def test_an_unavailable_broker_leaves_a_pending_row_that_is_sent_later(
    event, monkeypatch, django_capture_on_commit_callbacks
):
    def away(*args: object, **kwargs: object) -> None:
        raise OperationalError("connection refused")

    with monkeypatch.context() as patch, django_capture_on_commit_callbacks(execute=True):
        patch.setattr(current_app, "send_task", away)
        clip_requests.regenerate_clip(None, event)
    sent: list[int] = []
    monkeypatch.setattr(current_app, "send_task", lambda name, args, queue: sent.extend(args))

    send_pending_of(ClipWork)
    assert sent == [], "the first message may still be on its way"
    ClipWork.objects.update(sent_at=timezone.now() - timedelta(minutes=3))
    send_pending_of(ClipWork)
    send_pending_of(ClipWork)

    assert sent == [work_of(event).pk]


@pytest.mark.parametrize(("all_died", "most"), [(False, 3), (True, 20)])
def test_a_killed_workers_lease_expires_and_after_several_the_clip_fails(event, monkeypatch, all_died, most):
    for _ in range(most):
        assert work_of(event).state == JobState.WAITING
        assert ClipWork.objects.claim(work_of(event).pk) is not None
        assert ClipWork.objects.claim(work_of(event).pk) is None, "the lease is not over"
        lapse()
        if all_died:
            monkeypatch.setattr("nvr.jobs.models.WORKER", secrets.token_hex(6))  # what starts afterwards is another
        ClipWork.objects.release_expired()

    assert work_of(event).state == JobState.FAILED
    assert f"died {most} times" in work_of(event).reason


AHEAD = timedelta(days=1000)


@pytest.mark.parametrize(
    "left",
    [
        {"state": JobState.WAITING, "retry_at": AHEAD},
        {"state": JobState.WAITING, "retry_at": None, "sent_at": AHEAD},
        {"state": JobState.WORKING, "leased_until": AHEAD, "sent_at": AHEAD},
    ],
)
def test_a_clip_is_resent_after_the_clock_was_set_back(event, sent, left):
    now = timezone.now()
    ClipWork.objects.update(**{key: now + at if isinstance(at, timedelta) else at for key, at in left.items()})
    sent.clear()

    send_pending_of(ClipWork)

    assert sent
    assert make(event).state == JobState.DONE


def test_a_worker_without_its_lease_does_not_overwrite_newer_work(event):
    slow = ClipWork.objects.claim(work_of(event).pk)
    lapse()
    ClipWork.objects.release_expired()
    ClipWork.objects.claim(work_of(event).pk)

    slow.postpone("too late", timedelta(0))
    attempt(slow, clip_worker.render_clip)

    assert work_of(event).state == JobState.WORKING
    assert work_of(event).reason == ""
    assert not event.clip_path.exists()


def test_missing_footage_fails_the_job_and_keeps_an_existing_clip(camera, event):
    make(event)
    for file in folder_of(camera).iterdir():
        file.unlink()
    clip_requests.schedule_clip(event)

    work = make(event)

    assert (work.state, work.reason) == (JobState.FAILED, "The footage of this event no longer exists.")
    assert event.clip_path.exists()
    assert Event.objects.get(pk=event.pk).clip_size_bytes


def test_a_job_over_the_time_limit_is_stopped(camera, event, settings, monkeypatch):
    settings.NVR_CLIP_TIME_LIMIT = timedelta(milliseconds=1)
    monkeypatch.setattr(Deadline, "remaining", lambda deadline: deadline.timeout)  # nothing is done in the last moment

    work = make(event)

    assert work.state == JobState.FAILED
    assert "longer" in work.reason
    assert list(event.clip_path.parent.iterdir()) == []


@pytest.mark.parametrize(
    "trouble",
    [
        ffmpeg.FfmpegMissing(),
        ffmpeg.FfmpegKilled(),
        StorageFault("The volume is not mounted."),
        OSError(errno.EIO, "Input/output error"),
    ],
)
def test_a_missing_resource_is_reported_and_retried_later(event, monkeypatch, trouble):
    def fail(*args: object, **kwargs: object) -> None:
        raise trouble

    with monkeypatch.context() as patch:
        patch.setattr(clip_worker, "make_clip", fail)
        work = make(event)
    assert work.state == JobState.WAITING
    assert work.reason
    assert work.retry_at > timezone.now() + timedelta(minutes=4)
    assert ClipWork.objects.claim(work.pk) is None

    ClipWork.objects.update(retry_at=timezone.now())
    assert make(event).state == JobState.DONE


def test_footage_that_always_exhausts_memory_fails(event, monkeypatch):
    def fail(*args: object, **kwargs: object) -> None:
        raise ffmpeg.FfmpegKilled

    monkeypatch.setattr(clip_worker, "make_clip", fail)
    for _ in range(Job.MAX_ATTEMPTS):
        ClipWork.objects.update(retry_at=None)
        make(event)

    assert work_of(event).state == JobState.FAILED


def test_an_internal_error_is_reported_retried_and_then_fails(event, monkeypatch):
    def fail(*args: object, **kwargs: object) -> None:
        raise RuntimeError("never thought of")

    monkeypatch.setattr(clip_worker, "make_clip", fail)
    for number in range(Job.MAX_ATTEMPTS):
        ClipWork.objects.update(retry_at=None)
        assert make(event).attempts == number + 1

    assert work_of(event).state == JobState.FAILED
    assert work_of(event).reason == "It could not be processed: RuntimeError. See the log."


def test_an_event_purged_during_the_job_leaves_no_files(camera, admin, event, monkeypatch):
    make_clip = clip_worker.make_clip

    def slow(event: Event, part: Path) -> list[FootageRange]:
        shown = make_clip(event, part)
        event.detections.all().delete()
        Event.objects.filter(pk=event.pk).delete()
        return shown

    monkeypatch.setattr(clip_worker, "make_clip", slow)
    clip_worker.make(work_of(event).pk)

    assert not ClipWork.objects.exists()
    assert list(event.clip_path.parent.iterdir()) == []


@pytest.mark.django_db(transaction=True)
def test_purging_a_camera_removes_its_clips_and_clip_jobs(camera, admin, event, monkeypatch):
    make(event)
    event.camera.uploads.all().delete()
    assert event.clip_path.exists()
    make_clip = clip_worker.make_clip

    def slow(event: Event, part: Path) -> None:
        part.write_bytes(b"made")
        registry.trash_camera(admin, camera)
        registry.purge_camera(admin, camera)

    clip_requests.schedule_clip(event)
    monkeypatch.setattr(clip_worker, "make_clip", slow)
    clip_worker.make(work_of(event).pk)

    assert make_clip is not slow
    assert not ClipWork.objects.exists()
    assert not Event.objects.exists()
    assert list(event.clip_path.parent.iterdir()) == []


# A disk that is full, really


@pytest.mark.slow
@pytest.mark.parametrize("spare_bytes", [0, 2**20], ids=["in the middle", "before it is begun"])
@pytest.mark.parametrize("footage", ["video", "stills"])
def test_a_full_disk_pauses_all_clips_with_one_alert_and_they_resume(
    camera, sent, small_disk, settings, monkeypatch, caplog, spare_bytes, footage
):
    monkeypatch.setattr(clip_worker, "MIN_FREE_BYTES", spare_bytes)
    settings.CLIP_DIR = small_disk
    events = []
    for at in (0, 1000, 2000):
        if footage == "video":
            uploaded(camera, make_video(folder_of(camera) / f"{at}.mp4", seconds=2, size="640x480"), after(at - 1))
        else:
            still(camera, f"{at}.jpg", at, 30)
        events.append(event_over(camera, at, at))
    ClipWork.objects.update(retry_at=None)
    ballast = small_disk / "ballast"
    ballast.write_bytes(bytes(2 * 2**20 - 4096))

    for _ in range(2):
        for event in events:
            work = make(event)
            assert work.state == JobState.WAITING
            assert "disk is full" in work.reason
            ClipWork.objects.update(retry_at=None)
    assert [record.levelname for record in caplog.records if "disk full" in record.getMessage()] == ["ERROR"]
    assert list(small_disk.iterdir()) == [ballast]

    ballast.unlink()
    ClipWork.objects.update(retry_at=timezone.now() + timedelta(minutes=1))
    ClipWork.objects.filter(event=events[0]).update(retry_at=None)
    sent.clear()
    assert make(events[0]).state == JobState.DONE
    assert sent, "the others need not wait for their minute"
    assert work_of(events[1]).retry_at is None
    assert events[0].clip_path.stat().st_size == Event.objects.get(pk=events[0].pk).clip_size_bytes


# Two at once, and kill -9, really


@pytest.mark.django_db(transaction=True)
def test_two_concurrent_workers_make_it_once(camera, event, monkeypatch):
    made = []
    make_clip = clip_worker.make_clip

    def counted(event: Event, part: Path) -> list[FootageRange]:
        made.append(part)
        return make_clip(event, part)

    monkeypatch.setattr(clip_worker, "make_clip", counted)

    def work() -> None:
        try:
            make(event)
        finally:
            connection.close()

    workers = [threading.Thread(target=work) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()

    assert len(made) == 1
    assert work_of(event).state == JobState.DONE


@pytest.mark.django_db(transaction=True)
def test_a_lease_is_renewed_while_work_is_in_progress(event, monkeypatch):
    monkeypatch.setattr(ClipWork, "LEASE", timedelta(seconds=0.4))
    leases = set()

    def slow(event: Event, part: Path) -> list[FootageRange]:
        for _ in range(6):
            time.sleep(0.15)
            leases.add(work_of(event).leased_until)
        part.write_bytes(b"made")
        return []

    monkeypatch.setattr(clip_worker, "make_clip", slow)

    assert make(event).state == JobState.DONE
    assert len(leases) > 2


WORKER = "import django; django.setup(); from media_serving.clips import worker; worker.make({pk})"


def a_worker(pk: int, settings) -> subprocess.Popen[bytes]:
    database = settings.DATABASES["default"]
    outer = os.environ.get("DATABASE_URL", "").rpartition("/")[0]
    embedded = database["ENGINE"].endswith("sqlite3")
    environment = {
        "DJANGO_SETTINGS_MODULE": "nvr.settings",
        "NVR_DATA_DIR": str(settings.NVR_DATA_DIR),
        "DATABASE_URL": f"sqlite:///{database['NAME']}" if embedded else f"{outer}/{database['NAME']}",
    }
    command = [sys.executable, "-c", WORKER.format(pk=pk)]
    return subprocess.Popen(command, env=os.environ | environment, cwd=BASE_DIR, start_new_session=True)


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_another_worker_takes_over_from_a_killed_one(settings, camera, sent):
    settings.CLIP_DIR = settings.NVR_DATA_DIR / "clips"  # the worker's
    film = make_video(folder_of(camera) / "v.mp4", seconds=20, size="1280x720")
    uploaded(camera, film, after(-5))
    event = event_over(camera, 0, 10)
    ClipWork.objects.update(retry_at=None)
    before = set(settings.CLIP_DIR.glob("*"))

    worker = a_worker(work_of(event).pk, settings)
    deadline = time.monotonic() + 60
    while not (parts := set(settings.CLIP_DIR.glob("*.part")) - before):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    os.kill(worker.pid, signal.SIGKILL)
    worker.wait()

    assert work_of(event).state == JobState.WORKING
    assert not event.clip_path.exists()
    assert gone(ffmpeg_on(parts)), "it dies with its worker"
    lapse()
    worker = a_worker(work_of(event).pk, settings)
    assert worker.wait(timeout=120) == 0

    work = work_of(event)
    assert (work.state, work.attempts) == (JobState.DONE, 2)
    event.refresh_from_db()
    assert event.clip_path.stat().st_size == event.clip_size_bytes
    assert ffmpeg.probe(event.clip_path).duration == pytest.approx(20, abs=0.2)


def ffmpeg_on(parts: set[Path]) -> set[Path]:
    """The processes that write one of these files."""
    names = {part.name.encode() for part in parts}
    found = set()
    for process in Path("/proc").glob("[0-9]*"):
        try:
            words = (process / "cmdline").read_bytes()
        except OSError:
            continue
        if any(name in words for name in names):
            found.add(process)
    return found


def gone(processes: set[Path]) -> bool:
    deadline = time.monotonic() + 60
    while any(process.exists() for process in processes):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True
