"""Large lists and quick fingers in a real browser: what one runs past costs little, a tall grid moves as it should."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, Request, Route, expect

from tests.browser.conftest import opened_at
from tests.browser.test_review import wait_for
from tests.factories import jpeg, put

pytestmark = [pytest.mark.browser, pytest.mark.slow]
FILES = 600


@pytest.fixture
def card(tmp_path: Path) -> Path:
    folder, picture = tmp_path.resolve() / "card", jpeg(320, 240, seed=1)
    for number in range(FILES):
        put(folder, f"IMG_{number:04}.JPG", picture)
    return folder


def test_what_one_runs_past_is_not_fetched_whole(opened: Page) -> None:
    opened.keyboard.press("Enter")
    expect(opened.locator("[data-stage]")).to_have_attribute("data-quality", "original")
    opened.wait_for_timeout(500)
    whole: list[str] = []

    def note(request: Request) -> None:
        if "/api/media-file" in request.url:
            whole.append(request.url)

    opened.on("request", note)
    opened.evaluate(
        # Without a pause, so that no slow machine makes a walk of this run.
        """async () => { for (let at = 0; at < 80; at += 1) {
            document.body.dispatchEvent(new KeyboardEvent("keydown", { key: "ArrowRight", bubbles: true }));
            await Promise.resolve(); } }"""
    )

    expect(opened.locator("[data-details]")).to_contain_text("IMG_0080.JPG")
    expect(opened.locator("[data-stage]")).to_have_attribute("data-quality", "original")
    opened.wait_for_timeout(300)
    assert len(whole) < 40
    assert any("IMG_0080.JPG" in url for url in whole)


def test_what_is_not_there_yet_is_not_taken_for_the_one_before(opened: Page, card: Path) -> None:
    waiting: list[Route] = []
    opened.route("**/api/media-*IMG_0300.JPG*", lambda route: waiting.append(route))
    opened_at(opened, card, f"filter=all&item={card}/IMG_0299.JPG")
    expect(opened.locator("[data-stage]")).to_have_attribute("data-shown", re.compile("IMG_0299"))
    opened.keyboard.press("r")

    expect(opened.locator("[data-details]")).to_contain_text("IMG_0300.JPG")
    expect(opened.locator("[data-stage]")).to_have_attribute("data-waiting", "")
    expect(opened.locator("[data-frame] img")).to_have_css("opacity", "0.25")
    for route in waiting:
        route.continue_()
    opened.unroute_all()
    expect(opened.locator("[data-stage]")).to_have_attribute("data-shown", re.compile("IMG_0300"))
    expect(opened.locator("[data-frame] img")).to_have_css("opacity", "1")


def test_a_folder_that_cannot_be_read_says_why_where_the_files_would_be(opened: Page, card: Path) -> None:
    away = card.rename(card.parent / "away")
    opened.goto(f"/review?path={card}&filter=all")
    failure = opened.locator("[data-failure]")
    expect(failure).to_contain_text("The files cannot be shown")
    expect(failure).to_contain_text(f"The folder {card} does not exist")
    expect(opened.locator("[data-toast]")).to_have_count(0)

    away.rename(card)
    opened.get_by_role("button", name="Refresh").click()
    expect(opened.locator("[data-summary]")).to_have_text(f"{FILES} files")
    expect(failure).to_be_hidden()


def test_all_above_are_marked_also_those_that_were_never_loaded(opened: Page, card: Path) -> None:
    opened.keyboard.press("End")
    opened.keyboard.press("a")

    expect(opened.locator("[data-toasts]")).to_contain_text(f"{FILES - 1} files above marked as seen.")
    wait_for(lambda: len(list(card.glob("*.seen"))) == FILES - 1, opened)
    opened.keyboard.press("u")
    wait_for(lambda: not list(card.glob("*.seen")), opened)


def test_a_range_to_the_end_is_marked_whole(opened: Page, card: Path) -> None:
    opened.keyboard.press("Home")
    opened.keyboard.press("Shift+End")
    expect(opened.locator("[data-selection-count]")).to_have_text(f"{FILES} selected")
    opened.keyboard.press("d")

    wait_for(lambda: len(list(card.glob("*.trash"))) == FILES, opened)


def test_the_wheel_moves_by_its_own_pixels_in_a_list_too_tall_for_the_browser(opened: Page, card: Path) -> None:
    opened.route("**/api/media-items/summary*", lambda route: route.fulfill(json=a_million(card)))
    opened_at(opened, card)
    frame = opened.locator("[data-grid-frame]")
    frame.evaluate("frame => { frame.scrollTop = frame.scrollHeight / 2; }")
    box = frame.bounding_box()
    assert box is not None
    opened.mouse.move(box["x"] + 50, box["y"] + 50)
    opened.wait_for_timeout(300)
    # y of a tile in sight, before and after a turn of the wheel
    place = opened.evaluate(
        """() => [...document.querySelectorAll(".shot")].find((shot) => shot.getBoundingClientRect().top > 300)
            .dataset.index"""
    )
    before = y_of(opened, place)
    opened.mouse.wheel(0, 120)
    opened.wait_for_timeout(400)

    assert int(place) > 400_000
    assert before - y_of(opened, place) == pytest.approx(120, abs=2)

    frame.evaluate("frame => { frame.scrollTop = frame.scrollHeight; }")
    expect(opened.locator('.shot[data-index="999999"]')).to_be_in_viewport()


def y_of(page: Page, place: str) -> float:
    y: float = page.evaluate(
        "place => document.querySelector(`.shot[data-index='${place}']`).getBoundingClientRect().top", place
    )
    return y


def a_million(card: Path) -> dict[str, object]:
    counts = {"all": 1_000_000, "unseen": 1_000_000, "seen": 0, "locked": 0, "trashed": 0}
    return {"path": str(card), "counts": counts}


def test_the_first_reading_tells_how_far_it_is(opened: Page, card: Path) -> None:
    waiting = []
    opened.route("**/api/media-items/summary*", lambda route: waiting.append(route))
    told = {"path": str(card), "state": "reading", "folders": 130, "files": 120_000, "thumbnails": None}
    opened.route("**/api/media-items/progress*", lambda route: route.fulfill(json=told))
    opened.goto(f"/review?path={card}&filter=all")

    expect(opened.locator("[data-summary]")).to_have_text(
        "Scanning the folder… 120\u202f000 files in 130 folders so far"
    )
    expect(opened.locator("[data-skeleton]")).to_be_visible()
    for route in waiting:
        route.continue_()
    expect(opened.locator("[data-summary]")).to_have_text(f"{FILES} files")
    expect(opened.locator("[data-skeleton]")).to_be_hidden()
