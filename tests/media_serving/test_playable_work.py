"""Transcode jobs: rows, messages, leases, failures; with concurrent threads and a real worker."""

from __future__ import annotations

import errno
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from celery import current_app
from django.db import IntegrityError, connection, transaction
from django.utils import timezone
from kombu.exceptions import OperationalError

from media_serving.models import Transcode
from media_serving.transcoding import requests as transcode_requests
from media_serving.transcoding import worker as transcoder
from nvr.jobs.dispatch import send_next
from nvr.jobs.models import Job, JobState
from nvr.jobs.worker import attempt, send_pending_of
from nvr.media.ffmpeg import operations as ffmpeg
from tests.conftest import client_of
from tests.factories import folder_of, make_user, make_video, put
from tests.media_serving.stored import MEDIA, MJPEG, body_of, facts_of, the_row
from tests.servers import BASE_DIR

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("own_folders")]


def test_an_unavailable_broker_leaves_a_pending_row_that_is_sent_later(
    api, camera, avi, monkeypatch, django_capture_on_commit_callbacks
):
    def away(*args: object, **kwargs: object) -> None:
        raise OperationalError("connection refused")

    monkeypatch.setattr(current_app, "send_task", away)
    with django_capture_on_commit_callbacks(execute=True):
        assert api.get(f"{MEDIA}cameras/{camera.slug}/v.avi?playable=1").status_code == 202

    sent: list[int] = []
    monkeypatch.setattr(current_app, "send_task", lambda name, args, queue: sent.extend(args))
    send_pending_of(Transcode)
    assert sent == [], "the first message may still be on its way"
    Transcode.objects.update(sent_at=timezone.now() - timedelta(minutes=3))
    send_pending_of(Transcode)
    assert sent == [the_row().pk]
    send_pending_of(Transcode)
    assert sent == [the_row().pk], "not at each beat"


def test_a_duplicate_message_transcodes_once(request_video, avi, monkeypatch):
    request_video()
    calls = []
    monkeypatch.setattr(transcoder, "convert", counting(transcoder.convert, calls))

    transcoder.make_playable(the_row().pk)
    transcoder.make_playable(the_row().pk)
    transcoder.make_playable(987_654)

    assert len(calls) == 1


def counting(function, calls: list[object]):
    def counted(*args, **kwargs):
        calls.append(args)
        return function(*args, **kwargs)

    return counted


def test_one_row_is_processed_at_a_time_and_its_end_sends_the_next(request_video, camera, avi, sent):
    make_video(folder_of(camera) / "w.avi", seconds=1, codec=MJPEG)
    request_video("v.avi")
    request_video("w.avi")
    first, second = Transcode.objects.order_by("pk")
    working = Transcode.objects.claim(first.pk)
    assert working is not None
    sent.clear()

    transcoder.make_playable(second.pk)
    second.refresh_from_db()
    assert second.state == JobState.WAITING

    attempt(working, transcoder.transcode)
    send_next(Transcode)
    assert sent[-1] == second.pk


def test_the_database_rejects_two_working_rows(request_video, camera, avi):
    request_video()
    row = the_row()
    now = timezone.now()
    facts = {"path": "/x", "mtime_ns": 1, "source_size_bytes": 1, "state": "working", "leased_until": now}
    Transcode.objects.filter(pk=row.pk).update(state="working", leased_until=now)

    with pytest.raises(IntegrityError), transaction.atomic():
        Transcode.objects.create(key="another", **facts)


def test_a_killed_workers_lease_expires_and_the_job_is_retried(request_video, avi):
    request_video()
    Transcode.objects.claim(the_row().pk)  # and then nothing: the worker is dead
    assert request_video().json()["state"] == "working"

    transcoder.make_playable(the_row().pk)
    assert the_row().state == JobState.WORKING, "the lease is not over"
    Transcode.objects.update(leased_until=timezone.now() - timedelta(seconds=1))
    transcoder.make_playable(the_row().pk)

    assert the_row().state == JobState.DONE
    assert the_row().attempts == 2


def test_a_video_that_kills_three_workers_fails(request_video, avi):
    request_video()
    for _ in range(Job.MAX_ATTEMPTS):
        assert Transcode.objects.claim(the_row().pk) is not None
        Transcode.objects.update(leased_until=timezone.now() - timedelta(seconds=1))
        Transcode.objects.release_expired()

    assert the_row().state == JobState.FAILED
    assert request_video().status_code == 422
    assert "died" in request_video().json()["error"]


def test_a_worker_without_its_lease_does_not_overwrite_newer_work(request_video, avi):
    request_video()
    slow = Transcode.objects.claim(the_row().pk)
    Transcode.objects.update(leased_until=timezone.now() - timedelta(seconds=1))
    Transcode.objects.release_expired()
    Transcode.objects.claim(the_row().pk)

    slow.postpone("too late", timedelta(0))

    assert the_row().state == JobState.WORKING
    assert the_row().reason == ""


def test_a_job_over_the_time_limit_is_stopped(request_video, avi, settings):
    settings.NVR_TRANSCODE_TIME_LIMIT = timedelta(milliseconds=1)
    request_video()

    transcoder.make_playable(the_row().pk)

    response = request_video()
    assert response.status_code == 422
    assert "longer" in response.json()["error"]


@pytest.mark.parametrize(
    "trouble",
    [
        OSError(errno.ENOSPC, "No space left on device"),
        ffmpeg.FfmpegOutOfSpace("The disk is full: av_interleaved_write_frame(): Disk quota exceeded"),
        ffmpeg.FfmpegMissing(),
        OSError(errno.EIO, "Input/output error"),
    ],
)
def test_a_missing_resource_is_reported_and_retried_later(request_video, avi, sent, monkeypatch, trouble):
    def fail(*args: object, **kwargs: object) -> None:
        raise trouble

    request_video()
    with monkeypatch.context() as patch:
        patch.setattr(ffmpeg, "transcode_mp4", fail)
        transcoder.make_playable(the_row().pk)
    waiting = request_video()
    assert waiting.status_code == 503
    assert 0 < int(waiting["Retry-After"]) <= 300
    assert not list(transcode_requests.cached_path(the_row()).parent.glob("*"))

    Transcode.objects.update(retry_at=timezone.now() - timedelta(seconds=1))
    assert request_video().status_code == 202
    transcoder.make_playable(the_row().pk)
    assert request_video().status_code == 200


def test_no_transcode_starts_on_a_full_disk(request_video, avi, monkeypatch):
    request_video()
    usage = shutil.disk_usage("/")._replace(free=1000)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)

    transcoder.make_playable(the_row().pk)

    response = request_video()
    assert response.status_code == 503
    assert "disk" in response.json()["error"]


def test_the_row_of_a_missing_or_linked_original_is_deleted(request_video, camera, avi, tmp_path):
    request_video()
    elsewhere = shutil.copy2(avi, tmp_path / "elsewhere.avi")
    avi.unlink()
    avi.symlink_to(elsewhere)

    transcoder.make_playable(the_row().pk)

    assert Transcode.objects.count() == 0
    assert not list((tmp_path / "cache").rglob("*.mp4"))


def test_a_version_deleted_from_the_disk_is_regenerated(request_video, avi, sent):
    request_video()
    transcoder.make_playable(the_row().pk)
    transcode_requests.cached_path(the_row()).unlink()

    assert request_video().status_code == 202
    transcoder.make_playable(the_row().pk)
    assert request_video().status_code == 200


def test_names_that_are_not_utf_8_are_stored(sent, tmp_path):
    source = make_video(tmp_path / "v.avi", seconds=1, codec=MJPEG)
    odd = source.rename(tmp_path / "caf\udce9 %41\n.avi")

    form = transcode_requests.playback_version(odd)
    transcoder.make_playable(the_row().pk)

    assert form.path is None
    assert transcode_requests.playback_version(odd).path == transcode_requests.cached_path(the_row())


# Two at once, really


@pytest.mark.django_db(transaction=True)
def test_twenty_concurrent_requests_create_one_row(camera, avi, sent):
    answers: list[str] = []

    def ask_once() -> None:
        try:
            answers.append(transcode_requests.playback_version(avi).state)
        finally:
            connection.close()

    askers = [threading.Thread(target=ask_once) for _ in range(20)]
    for asker in askers:
        asker.start()
    for asker in askers:
        asker.join()

    assert answers == ["waiting"] * 20
    assert Transcode.objects.count() == 1
    assert len(sent) == 1


@pytest.mark.django_db(transaction=True)
def test_two_workers_with_two_rows_work_one_after_the_other(camera, sent, monkeypatch):
    at_work, most = [], []

    def convert(source: Path, target: Path) -> None:
        at_work.append(source)
        most.append(len(at_work))
        threading.Event().wait(0.3)
        target.write_bytes(b"made")
        at_work.remove(source)

    monkeypatch.setattr(transcoder, "convert", convert)
    for name in ("v.avi", "w.avi"):
        transcode_requests.playback_version(put(folder_of(camera), name, b"RIFF0000AVI " + name.encode()))

    def work(pk: int) -> None:
        try:
            transcoder.make_playable(pk)
        finally:
            connection.close()

    workers = [threading.Thread(target=work, args=(pk,)) for pk in sent]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    for pk in sent[2:]:
        transcoder.make_playable(pk)

    assert max(most) == 1
    assert {row.state for row in Transcode.objects.all()} == {JobState.DONE}


@pytest.mark.django_db(transaction=True)
def test_a_lease_is_renewed_while_work_is_in_progress(camera, avi, sent, monkeypatch):
    monkeypatch.setattr(Transcode, "LEASE", timedelta(seconds=0.4))
    leases = []

    def convert(source: Path, target: Path) -> None:
        for _ in range(6):
            threading.Event().wait(0.15)
            leases.append(Transcode.objects.get().leased_until)
        target.write_bytes(b"made")

    monkeypatch.setattr(transcoder, "convert", convert)
    transcode_requests.playback_version(avi)

    transcoder.make_playable(Transcode.objects.get().pk)

    assert len(set(leases)) > 2
    assert Transcode.objects.get().state == JobState.DONE


# All of it, with a real server, broker and worker


@pytest.fixture
def worker(transactional_db, settings) -> Iterator[subprocess.Popen[bytes]]:
    database = settings.DATABASES["default"]
    outer = os.environ.get("DATABASE_URL", "").rpartition("/")[0]
    embedded = database["ENGINE"].endswith("sqlite3")
    environment = {
        "DJANGO_SETTINGS_MODULE": "nvr.settings",
        "NVR_DATA_DIR": str(settings.NVR_DATA_DIR),
        "DATABASE_URL": f"sqlite:///{database['NAME']}" if embedded else f"{outer}/{database['NAME']}",
    }
    command = [sys.executable, "-m", "celery", "--quiet", "-A", "nvr", "worker", "-Q", "bulk", "--concurrency", "1"]
    process = subprocess.Popen(command, env=os.environ | environment, cwd=BASE_DIR, start_new_session=True)
    yield process
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


@pytest.mark.django_db(transaction=True)
def test_a_real_worker_transcodes_a_video(settings, worker, camera, tmp_path):
    settings.CACHE_DIR = settings.NVR_DATA_DIR / "cache"  # the worker's
    make_video(folder_of(camera) / "v.avi", seconds=1, codec=MJPEG)
    client = client_of(make_user("chief", is_superuser=True))
    deadline = time.monotonic() + 60

    while (answer := client.get(f"{MEDIA}cameras/{camera.slug}/v.avi?playable=1")).status_code == 202:
        assert time.monotonic() < deadline, the_row().reason
        time.sleep(0.2)

    assert answer.status_code == 200
    assert facts_of(body_of(answer), tmp_path).video_codec == "h264"
