"""That a clip which was copied from its video begins, in a real browser, where the event does."""

from __future__ import annotations

import base64
from datetime import timedelta
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from nvr.media.ffmpeg import operations as ffmpeg
from nvr.media.ffmpeg.clips import Cut, cut_videos
from tests.films import DARKEST, H264, STEP, numbered_video

pytestmark = pytest.mark.browser

BRIGHTNESS = """async ([address, moments]) => {
    const video = document.createElement("video");
    video.src = address;
    await new Promise((resolve, reject) => { video.onloadeddata = resolve; video.onerror = reject; });
    const canvas = document.createElement("canvas").getContext("2d");
    const found = [];
    for (const moment of moments) {
        video.currentTime = moment;
        await new Promise((resolve) => { video.onseeked = resolve; });
        // On a busy machine the frame comes a little after the word that it has.
        await new Promise((resolve) => setTimeout(resolve, 500));
        canvas.drawImage(video, 0, 0, 16, 16);
        found.push(canvas.getImageData(8, 8, 1, 1).data[0]);
    }
    return [video.duration, found];
}"""


@pytest.mark.slow
@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_a_copied_clip_begins_at_its_place_and_not_at_the_key_frame_before(browser: Browser, tmp_path: Path, suffix):
    film = numbered_video(tmp_path / f"film{suffix}", *H264, "-bf", "0")
    clip = tmp_path / "clip.mp4"
    with ffmpeg.open_source(film) as source:
        cut_videos([Cut(source, ffmpeg.probe_source(source), 3.3, 4.0)], clip, timeout=timedelta(minutes=1))
    address = f"data:video/mp4;base64,{base64.b64encode(clip.read_bytes()).decode()}"

    page = browser.new_page()
    duration, levels = page.evaluate(BRIGHTNESS, [address, [0.0, 1.05, 3.95]])
    page.close()

    numbers = [round((level * 219 / 255 + 16 - DARKEST) / STEP) for level in levels]
    assert duration == pytest.approx(4.0, abs=0.11)
    assert numbers == [pytest.approx(expected, abs=1) for expected in (33, 43, 72)]
