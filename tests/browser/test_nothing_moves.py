"""Nothing that can be clicked moves under the pointer, so that a second click never lands on another button."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from playwright.sync_api import Page, Route, expect

from tests.browser.conftest import DESKTOP, PHONE, Open, keep_picture, opened_at, sign_in
from tests.browser.test_every_page import PAGES
from tests.browser.test_every_page import chief as household  # noqa: F401
from tests.browser.test_review import wait_for
from tests.factories import jpeg, make_video, put

pytestmark = [pytest.mark.browser, pytest.mark.slow]
# What moved, and from where to where, since `window.moved` was emptied.
WATCH = """() => {
    window.moved = [];
    new PerformanceObserver((list) => {
        for (const shift of list.getEntries()) for (const { node, previousRect, currentRect } of shift.sources) {
            const place = ({ x, y, width, height }) => `${x},${y} ${width}x${height}`;
            window.moved.push(`${node?.className || node?.nodeName} ${place(previousRect)} -> ${place(currentRect)}`);
        }
    }).observe({ type: "layout-shift" });
}"""
# While a page is parsed, what comes may move what was there: not in the frame after the one that shows all of it.
WATCH_ONCE_PARSED = f"""window.watching = new Promise((done) => {{
    const watch = () => {{ ({WATCH})(); done(); }};
    const frame = () => requestAnimationFrame(
        () => document.readyState === "loading" ? frame() : requestAnimationFrame(watch));
    frame();
}});"""
LATE_SCRIPTS = re.compile(r"/static/(js/(?!(theme|admin_sidebar)\b)|admin/js/(nav_sidebar|filters)\b)")
FRAMES = "() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(done))))"


@pytest.fixture
def card(tmp_path: Path) -> Path:
    folder, picture = tmp_path.resolve() / "card", jpeg(64, 48)
    for number in range(60):
        put(folder, f"IMG_{number:04}.JPG", picture)
    return folder


@pytest.fixture(params=[DESKTOP, PHONE], ids=["wide", "narrow"])
def opened(open_browser: Open, chief: User, card: Path, request: pytest.FixtureRequest) -> Iterator[Page]:
    page = open_browser(request.param)
    sign_in(page, "chief")
    opened_at(page, card)
    expect(page.locator(".shot[data-index='0'] img")).to_have_js_property("complete", True)
    yield page


def moved(page: Page, act: Callable[[], object]) -> list[str]:
    page.evaluate(FRAMES)
    page.evaluate(WATCH)
    act()
    page.evaluate(FRAMES)
    found: list[str] = page.evaluate("window.moved")
    return found


def test_choosing_moves_nothing(opened: Page) -> None:
    def choose() -> None:
        opened.locator(".shot[data-index='1']").click(modifiers=["Control"])
        expect(opened.get_by_role("toolbar", name="Selected files")).to_be_visible()
        opened.locator(".shot[data-index='3']").click(modifiers=["Shift"])
        keep_picture(opened, f"review-chosen-{opened.viewport_size['width']}")  # type: ignore[index]
        opened.get_by_role("button", name="Clear selection").click()
        expect(opened.locator("[data-selection]")).to_be_hidden()

    assert moved(opened, choose) == []


def test_a_second_click_on_the_bar_does_not_reach_what_it_covered(opened: Page) -> None:
    opened.locator(".shot[data-index='1']").click(modifiers=["Control"])
    opened.locator("[data-tools]").evaluate("tools => tools.addEventListener('click', () => { window.hit = true; })")
    opened.get_by_role("button", name="Clear selection").dblclick()

    expect(opened.locator("[data-selection]")).to_be_hidden()
    assert not opened.evaluate("window.hit")


def test_a_double_click_opens_a_picture_also_while_others_are_chosen(opened: Page) -> None:
    opened.locator(".shot[data-index='1']").click(modifiers=["Control"])
    opened.locator(".shot[data-index='0']").dblclick()

    expect(opened.locator("[data-screen]")).to_be_visible()


def test_a_double_click_that_opens_a_picture_marks_nothing(opened: Page, card: Path) -> None:
    tile = opened.locator(".shot[data-index='0']")
    place = tile.bounding_box()
    pressed = opened.locator(".screen-bar [data-do=trash]")
    pressed.evaluate(  # as it is with a tile at the foot of the window
        "(button, { x, y }) => Object.assign(button.style, { position: 'fixed', left: `${x}px`, top: `${y}px` })", place
    )
    opened.keyboard.press("Home")
    tile.dblclick(position={"x": 20, "y": 20})

    expect(opened.locator("[data-screen]")).to_be_visible()
    expect(opened.locator(".shield")).to_have_count(0)
    expect(pressed).to_have_attribute("aria-pressed", "false")
    pressed.click()
    wait_for(lambda: bool(list(card.glob("*.trash"))), opened)
    assert [path.name for path in card.glob("*.trash")] == ["IMG_0000.JPG.trash"]


def test_numbers_that_grow_move_no_filter(opened: Page, card: Path) -> None:
    def mark() -> None:
        opened.keyboard.press("Home")
        opened.keyboard.press("Shift+End")
        opened.keyboard.press("s")
        wait_for(lambda: len(list(card.glob("*.seen"))) == 60, opened)
        expect(opened.locator('[data-filter="seen"] [data-count]')).to_have_text("60")

    assert [line for line in moved(opened, mark) if "toast" not in line] == []


def test_messages_and_notices_move_nothing(opened: Page) -> None:
    def tell() -> None:
        for text in ("one", "two"):
            opened.evaluate(
                "text => document.dispatchEvent(new CustomEvent('toast', { detail: { text, level: 'error' } }))", text
            )
        opened.locator("[data-notice]").evaluate("notice => { notice.hidden = false; }")
        opened.locator("[data-review]").evaluate("review => { review.toggleAttribute('data-scanning', true); }")

    assert moved(opened, tell) == []


def test_no_button_moves_when_a_video_or_a_mark_comes(opened: Page, card: Path) -> None:
    make_video(card / "VID_0001.MP4", size="320x240", seconds=1)
    opened_at(opened, card)
    opened.keyboard.press("Home")
    opened.keyboard.press("Enter")
    expect(opened.locator("[data-stage]")).to_have_attribute("data-quality", "original")
    places = (
        "() => [...document.querySelectorAll('.screen button[data-do]')].map((one) => one.getBoundingClientRect().x)"
    )
    before = opened.evaluate(places)

    opened.keyboard.press("End")
    expect(opened.locator("[data-frame] video")).to_be_visible()
    expect(opened.get_by_role("button", name="+ speed")).to_be_visible()
    opened.keyboard.press("s")
    expect(opened.locator("[data-marks] [data-mark=seen]")).to_be_visible()

    assert opened.evaluate(places) == before


@pytest.mark.parametrize("viewport", [DESKTOP, PHONE], ids=["wide", "narrow"])
def test_nothing_moves_while_a_page_loads(open_browser: Open, household: User, viewport: dict[str, int]) -> None:  # noqa: F811
    page = open_browser(viewport)
    sign_in(page, "chief")
    page.add_init_script(WATCH_ONCE_PARSED)

    found: list[str] = []
    for name, address in PAGES.items():
        if name == "api":
            continue
        open_with_late_scripts(page, address)
        page.evaluate("document.fonts.ready")
        page.wait_for_timeout(500)  # for what comes a little later
        moved_here = [line for line in page.evaluate("window.moved") if "rail-foot" not in line]  # it grows upwards
        found += [f"{name}: {line}" for line in moved_here]

    assert not found, "\n".join(found)


def open_with_late_scripts(page: Page, address: str) -> None:
    """Its deferred scripts arrive once the page is shown, as on a slow line."""
    held: list[Route] = []
    page.route(LATE_SCRIPTS, lambda script: held.append(script))
    page.goto(address, wait_until="commit")
    page.evaluate("window.watching")
    page.route(LATE_SCRIPTS, lambda script: script.continue_())  # those that the held ones import
    for script in held:
        script.continue_()
    page.wait_for_load_state()
    page.unroute(LATE_SCRIPTS)
