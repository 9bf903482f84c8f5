"""`?playable=1`: a form of every video that browsers play, as a client sees it, and the cache that keeps it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest
from django.utils import timezone

from media_serving.models import PlayableForm, WorkState
from media_serving.transcoding import requests as transcode_requests
from media_serving.transcoding import worker as transcoder
from media_serving.transcoding.requests import playback_version
from nvr.media.ffmpeg import operations as ffmpeg
from tests.conftest import client_of
from tests.factories import folder_of, jpeg, make_video, put
from tests.media_serving.stored import MEDIA, MJPEG, body_of, facts_of, make_event, the_row

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("own_folders")]


def test_it_is_promised_then_made_then_served(ask, avi, sent, camera, tmp_path):
    promised = ask()
    assert promised.status_code == 202
    assert promised.json() == {"state": "waiting", "path": f"cameras/{camera.slug}/v.avi"}
    assert int(promised["Retry-After"]) > 0
    assert sent == [the_row().pk]

    transcoder.make_playable(the_row().pk)

    made = ask()
    data = body_of(made)
    assert made.status_code == 200
    assert made["Content-Type"] == "video/mp4"
    assert made["Content-Disposition"] == 'inline; filename="v.mp4"'
    facts = facts_of(data, tmp_path)
    assert (facts.video_codec, facts.pix_fmt, facts.container) == ("h264", "yuv420p", "mov")
    assert data.index(b"moov") < data.index(b"mdat"), "it plays while it loads"
    assert ask(HTTP_RANGE="bytes=4-7").getvalue() == b"ftyp"
    assert ask(HTTP_IF_NONE_MATCH=made["ETag"]).status_code == 304


def test_head_is_enough_to_ask_and_to_wait(ask, avi, sent):
    assert ask(method="head").status_code == 202
    assert ask(method="head").status_code == 202
    assert len(sent) == 1

    transcoder.make_playable(the_row().pk)

    answer = ask(method="head")
    assert answer.status_code == 200
    assert answer["Content-Type"] == "video/mp4"


def test_what_browsers_play_is_served_as_it_is(ask, camera, sent):
    folder = folder_of(camera)
    make_video(folder / "v.mp4", seconds=1)
    make_video(folder / "v.webm", seconds=1, codec=("-c:v", "libvpx", "-deadline", "realtime"))

    for name, content_type in {"v.mp4": "video/mp4", "v.webm": "video/webm"}.items():
        for _ in range(2):
            response = ask(name)
            assert response.status_code == 200
            assert response["Content-Type"] == content_type
            assert body_of(response) == (folder / name).read_bytes()
    assert sent == []


def test_streams_that_browsers_play_are_copied_not_converted_again(ask, camera, sent, tmp_path, monkeypatch):
    make_video(folder_of(camera) / "v.mkv", seconds=1)
    monkeypatch.setattr(ffmpeg, "transcode_mp4", lambda *args, **kwargs: pytest.fail("transcoded"))
    assert ask("v.mkv").status_code == 202

    transcoder.make_playable(the_row().pk)

    assert facts_of(body_of(ask("v.mkv")), tmp_path).video_codec == "h264"


@pytest.mark.parametrize(
    ("name", "codec"),
    [
        ("v.mov", ("-c:v", "mpeg4")),
        ("v.mp4", ("-c:v", "libx264", "-pix_fmt", "yuv444p")),
        ("v.mp4", ("-c:v", "libx265", "-x265-params", "log-level=none")),
        ("v.mkv", MJPEG),
    ],
)
def test_other_codecs_are_converted(ask, camera, tmp_path, name, codec):
    make_video(folder_of(camera) / name, seconds=1, size="161x121" if codec == MJPEG else "160x120", codec=codec)
    assert ask(name).status_code == 202

    transcoder.make_playable(the_row().pk)

    facts = facts_of(body_of(ask(name)), tmp_path)
    assert (facts.video_codec, facts.pix_fmt) == ("h264", "yuv420p")


def test_an_image_has_no_playable_form(ask, camera):
    put(folder_of(camera), "a.jpg", jpeg())

    response = ask("a.jpg")

    assert response.status_code == 400
    assert set(response.json()) == {"error", "path"}
    assert PlayableForm.objects.count() == 0


@pytest.mark.parametrize("value", ["", "0", "2", "true", "1" * 100])
def test_only_one_is_a_yes(api, camera, avi, value):
    assert api.get(f"{MEDIA}cameras/{camera.slug}/v.avi?playable={value}").status_code == 400


def test_what_cannot_be_converted_says_why(ask, camera, sent):
    put(folder_of(camera), "v.avi", b"RIFF\0\0\0\0AVI nothing that could be a film")
    put(folder_of(camera), "v.mp4", b"#EXTM3U\nfile:///etc/passwd\n")
    for name in ("v.avi", "v.mp4"):
        assert ask(name).status_code == 202
        transcoder.make_playable(PlayableForm.objects.latest("pk").pk)

        response = ask(name)

        assert response.status_code == 422
        assert set(response.json()) == {"error", "path"}
        assert "video" in response.json()["error"]
    assert len(sent) == 2, "a final failure is not tried again"


def test_a_changed_file_is_another(ask, camera, avi):
    ask()
    transcoder.make_playable(the_row().pk)
    make_video(avi, seconds=2, codec=MJPEG)

    assert ask().status_code == 202
    assert PlayableForm.objects.count() == 2


def test_one_who_may_not_see_the_video_makes_no_work(outsider, camera, avi):
    response = client_of(outsider).get(f"{MEDIA}cameras/{camera.slug}/v.avi?playable=1")

    assert response.status_code == 404
    assert PlayableForm.objects.count() == 0


def test_a_clip_has_a_playable_form_too(api, camera, settings, tmp_path):
    settings.CLIP_DIR = tmp_path / "clips"
    event = make_event(camera, clip=make_video(tmp_path / "c.mp4", seconds=1).read_bytes())

    assert api.get(f"{MEDIA}clips/{event.pk}_clip.mp4?playable=1").status_code == 200


# The cache


@pytest.fixture
def made(ask, camera, sent) -> Iterator[list[PlayableForm]]:
    """Three forms, the first the longest unused."""
    for number in range(3):
        make_video(folder_of(camera) / f"{number}.avi", seconds=1, codec=MJPEG)
        ask(f"{number}.avi")
        transcoder.make_playable(PlayableForm.objects.latest("pk").pk)
    rows = list(PlayableForm.objects.order_by("pk"))
    for age, row in zip((30, 20, 10), rows, strict=True):
        row.used_at = timezone.now() - timedelta(minutes=age)
        row.save()
    yield rows


def test_the_least_recently_used_go_row_and_file_together(made, settings):
    settings.NVR_TRANSCODE_CACHE_MB = (made[1].size_bytes + made[2].size_bytes) / 2**20

    assert transcoder.evict() == made[0].size_bytes

    assert set(PlayableForm.objects.all()) == set(made[1:])
    assert [transcode_requests.cached_path(row).exists() for row in made] == [False, True, True]


def test_use_keeps_it(made, ask, settings):
    ask("0.avi")
    settings.NVR_TRANSCODE_CACHE_MB = (made[0].size_bytes + made[2].size_bytes) / 2**20

    transcoder.evict()

    assert {row.pk for row in PlayableForm.objects.all()} == {made[0].pk, made[2].pk}


def test_a_form_larger_than_the_cache_is_still_seen(ask, avi, settings):
    settings.NVR_TRANSCODE_CACHE_MB = 0
    ask()

    transcoder.make_playable(the_row().pk)

    assert ask().status_code == 200


def test_the_cache_is_made_smaller_when_one_is_added(made, ask, avi, settings):
    settings.NVR_TRANSCODE_CACHE_MB = 0
    ask()

    transcoder.make_playable(PlayableForm.objects.latest("pk").pk)

    assert [row.path for row in PlayableForm.objects.all()] == [PlayableForm.objects.latest("pk").path]


def test_what_nobody_asked_for_in_a_month_and_what_no_row_knows_goes(made):
    PlayableForm.objects.filter(pk=made[0].pk).update(used_at=timezone.now() - timedelta(days=31))
    folder = transcode_requests.cached_path(made[0]).parent
    orphan = put(folder, f"{'0' * 64}.mp4", b"x", age_s=2 * 86_400)
    fresh = put(folder, "abcdef.part", b"being written", age_s=60)

    transcoder.remove_unused()

    assert PlayableForm.objects.count() == 2
    assert not transcode_requests.cached_path(made[0]).exists()
    assert not orphan.exists()
    assert fresh.exists()
    assert transcode_requests.cached_path(made[1]).exists()


@pytest.mark.django_db
def test_staff_can_have_a_failed_conversion_tried_again(admin_client, camera):
    video = make_video(folder_of(camera) / "a.avi", codec=("-c:v", "mpeg4"))
    playback_version(video.resolve())
    PlayableForm.objects.update(state=WorkState.FAILED, reason="it was cut short")
    row = PlayableForm.objects.get()
    page = "/admin/media_serving/playableform/"

    listed = admin_client.get(page)
    admin_client.post(page, {"action": "retry_conversions", "_selected_action": [row.pk]})

    assert "it was cut short" in listed.content.decode()
    row.refresh_from_db()
    assert (row.state, row.reason) == (WorkState.WAITING, "")
