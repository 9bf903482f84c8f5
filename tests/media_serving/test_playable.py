"""`?playable=1`: a form of every video that browsers play, as a client sees it, and the cache that keeps it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest
from django.utils import timezone

from media_serving.models import Transcode
from media_serving.transcoding import requests as transcode_requests
from media_serving.transcoding import worker as transcoder
from media_serving.transcoding.requests import playback_version
from nvr.jobs.models import JobState
from nvr.media.ffmpeg import operations as ffmpeg
from tests.conftest import client_of
from tests.factories import folder_of, jpeg, make_video, put
from tests.media_serving.stored import MEDIA, MJPEG, body_of, facts_of, make_event, the_row

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("own_folders")]


def test_a_transcode_is_queued_then_created_then_served(request_video, avi, sent, camera, tmp_path):
    pending = request_video()
    assert pending.status_code == 202
    assert pending.json() == {"state": "waiting", "path": f"cameras/{camera.slug}/v.avi"}
    assert int(pending["Retry-After"]) > 0
    assert sent == [the_row().pk]

    transcoder.make_playable(the_row().pk)

    made = request_video()
    data = body_of(made)
    assert made.status_code == 200
    assert made["Content-Type"] == "video/mp4"
    assert made["Content-Disposition"] == 'inline; filename="v.mp4"'
    facts = facts_of(data, tmp_path)
    assert (facts.video_codec, facts.pix_fmt, facts.container) == ("h264", "yuv420p", "mov")
    assert data.index(b"moov") < data.index(b"mdat"), "it plays while it loads"
    assert request_video(HTTP_RANGE="bytes=4-7").getvalue() == b"ftyp"
    assert request_video(HTTP_IF_NONE_MATCH=made["ETag"]).status_code == 304


def test_head_can_queue_and_poll_a_transcode(request_video, avi, sent):
    assert request_video(method="head").status_code == 202
    assert request_video(method="head").status_code == 202
    assert len(sent) == 1

    transcoder.make_playable(the_row().pk)

    answer = request_video(method="head")
    assert answer.status_code == 200
    assert answer["Content-Type"] == "video/mp4"


def test_videos_that_browsers_play_are_served_unchanged(request_video, camera, sent):
    folder = folder_of(camera)
    make_video(folder / "v.mp4", seconds=1)
    make_video(folder / "v.webm", seconds=1, codec=("-c:v", "libvpx", "-deadline", "realtime"))

    for name, content_type in {"v.mp4": "video/mp4", "v.webm": "video/webm"}.items():
        for _ in range(2):
            response = request_video(name)
            assert response.status_code == 200
            assert response["Content-Type"] == content_type
            assert body_of(response) == (folder / name).read_bytes()
    assert sent == []


def test_streams_that_browsers_play_are_copied_not_converted_again(request_video, camera, sent, tmp_path, monkeypatch):
    make_video(folder_of(camera) / "v.mkv", seconds=1)
    monkeypatch.setattr(ffmpeg, "transcode_mp4", lambda *args, **kwargs: pytest.fail("transcoded"))
    assert request_video("v.mkv").status_code == 202

    transcoder.make_playable(the_row().pk)

    assert facts_of(body_of(request_video("v.mkv")), tmp_path).video_codec == "h264"


@pytest.mark.parametrize(
    ("name", "codec"),
    [
        ("v.mov", ("-c:v", "mpeg4")),
        ("v.mp4", ("-c:v", "libx264", "-pix_fmt", "yuv444p")),
        ("v.mp4", ("-c:v", "libx265", "-x265-params", "log-level=none")),
        ("v.mkv", MJPEG),
    ],
)
def test_other_codecs_are_converted(request_video, camera, tmp_path, name, codec):
    make_video(folder_of(camera) / name, seconds=1, size="161x121" if codec == MJPEG else "160x120", codec=codec)
    assert request_video(name).status_code == 202

    transcoder.make_playable(the_row().pk)

    facts = facts_of(body_of(request_video(name)), tmp_path)
    assert (facts.video_codec, facts.pix_fmt) == ("h264", "yuv420p")


def test_an_image_has_no_web_playback_version(request_video, camera):
    put(folder_of(camera), "a.jpg", jpeg())

    response = request_video("a.jpg")

    assert response.status_code == 400
    assert set(response.json()) == {"error", "path"}
    assert Transcode.objects.count() == 0


@pytest.mark.parametrize("value", ["", "0", "2", "true", "1" * 100])
def test_the_parameter_playable_accepts_only_1(api, camera, avi, value):
    assert api.get(f"{MEDIA}cameras/{camera.slug}/v.avi?playable={value}").status_code == 400


def test_a_failed_transcode_returns_its_reason(request_video, camera, sent):
    put(folder_of(camera), "v.avi", b"RIFF\0\0\0\0AVI nothing that could be a film")
    put(folder_of(camera), "v.mp4", b"#EXTM3U\nfile:///etc/passwd\n")
    for name in ("v.avi", "v.mp4"):
        assert request_video(name).status_code == 202
        transcoder.make_playable(Transcode.objects.latest("pk").pk)

        response = request_video(name)

        assert response.status_code == 422
        assert set(response.json()) == {"error", "path"}
        assert "video" in response.json()["error"]
    assert len(sent) == 2, "a final failure is not tried again"


def test_a_changed_file_is_transcoded_again(request_video, camera, avi):
    request_video()
    transcoder.make_playable(the_row().pk)
    make_video(avi, seconds=2, codec=MJPEG)

    assert request_video().status_code == 202
    assert Transcode.objects.count() == 2


def test_a_user_without_access_cannot_queue_a_transcode(outsider, camera, avi):
    response = client_of(outsider).get(f"{MEDIA}cameras/{camera.slug}/v.avi?playable=1")

    assert response.status_code == 404
    assert Transcode.objects.count() == 0


def test_a_clip_has_a_web_playback_version_too(api, camera, settings, tmp_path):
    settings.CLIP_DIR = tmp_path / "clips"
    event = make_event(camera, clip=make_video(tmp_path / "c.mp4", seconds=1).read_bytes())

    assert api.get(f"{MEDIA}clips/{event.pk}_clip.mp4?playable=1").status_code == 200


# The cache


@pytest.fixture
def made(request_video, camera, sent) -> Iterator[list[Transcode]]:
    """Three forms, the first the longest unused."""
    for number in range(3):
        make_video(folder_of(camera) / f"{number}.avi", seconds=1, codec=MJPEG)
        request_video(f"{number}.avi")
        transcoder.make_playable(Transcode.objects.latest("pk").pk)
    rows = list(Transcode.objects.order_by("pk"))
    for age, row in zip((30, 20, 10), rows, strict=True):
        row.used_at = timezone.now() - timedelta(minutes=age)
        row.save()
    yield rows


def test_the_least_recently_used_are_evicted_with_row_and_file(made, settings):
    settings.NVR_TRANSCODE_CACHE_MB = (made[1].size_bytes + made[2].size_bytes) / 2**20

    assert transcoder.evict() == made[0].size_bytes

    assert set(Transcode.objects.all()) == set(made[1:])
    assert [transcode_requests.cached_path(row).exists() for row in made] == [False, True, True]


def test_used_versions_are_not_evicted(made, request_video, settings):
    request_video("0.avi")
    settings.NVR_TRANSCODE_CACHE_MB = (made[0].size_bytes + made[2].size_bytes) / 2**20

    transcoder.evict()

    assert {row.pk for row in Transcode.objects.all()} == {made[0].pk, made[2].pk}


def test_a_version_larger_than_the_cache_is_still_served(request_video, avi, settings):
    settings.NVR_TRANSCODE_CACHE_MB = 0
    request_video()

    transcoder.make_playable(the_row().pk)

    assert request_video().status_code == 200


def test_adding_a_version_evicts_others_above_the_limit(made, request_video, avi, settings):
    settings.NVR_TRANSCODE_CACHE_MB = 0
    request_video()

    transcoder.make_playable(Transcode.objects.latest("pk").pk)

    assert [row.path for row in Transcode.objects.all()] == [Transcode.objects.latest("pk").path]


def test_versions_unused_for_a_month_and_files_without_a_row_are_removed(made):
    Transcode.objects.filter(pk=made[0].pk).update(used_at=timezone.now() - timedelta(days=31))
    folder = transcode_requests.cached_path(made[0]).parent
    orphan = put(folder, f"{'0' * 64}.mp4", b"x", age_s=2 * 86_400)
    fresh = put(folder, "abcdef.part", b"being written", age_s=60)

    transcoder.remove_unused()

    assert Transcode.objects.count() == 2
    assert not transcode_requests.cached_path(made[0]).exists()
    assert not orphan.exists()
    assert fresh.exists()
    assert transcode_requests.cached_path(made[1]).exists()


@pytest.mark.django_db
def test_staff_can_retry_a_failed_transcode(admin_client, camera):
    video = make_video(folder_of(camera) / "a.avi", codec=("-c:v", "mpeg4"))
    playback_version(video.resolve())
    Transcode.objects.update(state=JobState.FAILED, reason="it was cut short")
    row = Transcode.objects.get()
    page = "/admin/media_serving/transcode/"

    listed = admin_client.get(page)
    admin_client.post(page, {"action": "retry_transcodes", "_selected_action": [row.pk]})

    assert "it was cut short" in listed.content.decode()
    row.refresh_from_db()
    assert (row.state, row.reason) == (JobState.WAITING, "")
