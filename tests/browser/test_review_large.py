"""Large lists in a real browser: skipped files cost little, and a very long grid scrolls correctly."""

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


def test_skipped_originals_are_not_fetched(opened: Page) -> None:
    opened.keyboard.press("Enter")
    expect(opened.locator("[data-stage]")).to_have_attribute("data-quality", "original")
    opened.wait_for_timeout(500)
    originals: list[str] = []

    def note(request: Request) -> None:
        if "/api/media-file" in request.url:
            originals.append(request.url)

    opened.on("request", note)
    opened.evaluate(
        # Without pauses, so that it is fast on slow machines as well.
        """async () => { for (let at = 0; at < 80; at += 1) {
            document.body.dispatchEvent(new KeyboardEvent("keydown", { key: "ArrowRight", bubbles: true }));
            await Promise.resolve(); } }"""
    )

    expect(opened.locator("[data-details]")).to_contain_text("IMG_0080.JPG")
    expect(opened.locator("[data-stage]")).to_have_attribute("data-quality", "original")
    opened.wait_for_timeout(300)
    assert len(originals) < 40
    assert any("IMG_0080.JPG" in url for url in originals)


def test_previous_picture_is_dimmed_until_the_next_is_loaded(opened: Page, card: Path) -> None:
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


def test_unavailable_folder_shows_the_reason_instead_of_files(opened: Page, card: Path) -> None:
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


def test_marking_all_above_includes_files_that_are_not_loaded(opened: Page, card: Path) -> None:
    opened.keyboard.press("End")
    opened.keyboard.press("a")

    expect(opened.locator("[data-toasts]")).to_contain_text(f"{FILES - 1} files above marked as seen.")
    wait_for(lambda: len(list(card.glob("*.seen"))) == FILES - 1, opened)
    opened.keyboard.press("u")
    wait_for(lambda: not list(card.glob("*.seen")), opened)


def test_range_to_the_end_is_marked_completely(opened: Page, card: Path) -> None:
    opened.keyboard.press("Home")
    opened.keyboard.press("Shift+End")
    expect(opened.locator("[data-selection-count]")).to_have_text(f"{FILES} selected")
    opened.keyboard.press("d")

    wait_for(lambda: len(list(card.glob("*.trash"))) == FILES, opened)


def test_wheel_scrolls_pixel_by_pixel_in_a_very_long_list(opened: Page, card: Path) -> None:
    opened.route("**/api/media-items/summary*", lambda route: route.fulfill(json=a_million(card)))
    opened_at(opened, card)
    frame = opened.locator("[data-grid-frame]")
    frame.evaluate("frame => { frame.scrollTop = frame.scrollHeight / 2; }")
    box = frame.bounding_box()
    assert box is not None
    opened.mouse.move(box["x"] + 50, box["y"] + 50)
    opened.wait_for_timeout(300)
    # y of a tile in sight, before and after a turn of the wheel
    index = opened.evaluate(
        """() => [...document.querySelectorAll(".shot")].find((shot) => shot.getBoundingClientRect().top > 300)
            .dataset.index"""
    )
    before = y_of(opened, index)
    opened.mouse.wheel(0, 120)
    opened.wait_for_timeout(400)

    assert int(index) > 400_000
    assert before - y_of(opened, index) == pytest.approx(120, abs=2)

    frame.evaluate("frame => { frame.scrollTop = frame.scrollHeight; }")
    expect(opened.locator('.shot[data-index="999999"]')).to_be_in_viewport()


def y_of(page: Page, index: str) -> float:
    y: float = page.evaluate(
        "index => document.querySelector(`.shot[data-index='${index}']`).getBoundingClientRect().top", index
    )
    return y


def a_million(card: Path) -> dict[str, object]:
    counts = {"all": 1_000_000, "unseen": 1_000_000, "seen": 0, "locked": 0, "trashed": 0}
    return {"path": str(card), "counts": counts}


def test_first_scan_shows_its_progress(opened: Page, card: Path) -> None:
    waiting = []
    opened.route("**/api/media-items/summary*", lambda route: waiting.append(route))
    progress = {"path": str(card), "state": "reading", "folders": 130, "files": 120_000, "thumbnails": None}
    opened.route("**/api/media-items/progress*", lambda route: route.fulfill(json=progress))
    opened.goto(f"/review?path={card}&filter=all")

    expect(opened.locator("[data-summary]")).to_have_text(
        "Scanning the folder… 120\u202f000 files in 130 folders so far"
    )
    expect(opened.locator("[data-skeleton]")).to_be_visible()
    for route in waiting:
        route.continue_()
    expect(opened.locator("[data-summary]")).to_have_text(f"{FILES} files")
    expect(opened.locator("[data-skeleton]")).to_be_hidden()
