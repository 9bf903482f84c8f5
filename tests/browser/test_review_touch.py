"""Touch and the wheel in a real browser: a long press selects, a pinch and the wheel zoom."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from playwright.sync_api import CDPSession, Page, expect

from tests.browser.conftest import PHONE, Open, keep_picture, opened_at, sign_in
from tests.browser.test_review import pressed, shows, wait_for
from tests.factories import jpeg, put

pytestmark = [pytest.mark.browser, pytest.mark.slow]
SCALE = """() => { const frame = document.querySelector("[data-frame]");
    return frame.getBoundingClientRect().width / frame.clientWidth; }"""


@pytest.fixture
def card(tmp_path: Path) -> Path:
    folder, picture = tmp_path.resolve() / "card", jpeg(2400, 1800)
    for number in range(24):
        put(folder, f"IMG_{number:04}.JPG", picture)
    return folder


@pytest.fixture
def opened(page: Page, chief: User, card: Path) -> Page:
    """The first picture, fitted to the screen."""
    sign_in(page, "chief")
    opened_at(page, card).keyboard.press("Enter")
    shows(page, 0)
    expect(page.locator("[data-stage]")).to_have_attribute("data-quality", "original")
    expect(page.locator(".shield")).to_have_count(0)
    return page


@pytest.fixture
def phone(open_browser: Open, chief: User, card: Path) -> Iterator[Page]:
    page = open_browser(PHONE, has_touch=True, is_mobile=True)
    sign_in(page, "chief")
    yield opened_at(page, card)


def touch(page: Page, kind: str, *points: tuple[float, float]) -> None:
    session: CDPSession = page.__dict__.setdefault("touches", page.context.new_cdp_session(page))
    found = [{"x": x, "y": y, "id": number} for number, (x, y) in enumerate(points)]
    session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": found})


def centre(page: Page, index: int) -> tuple[float, float]:
    box = page.locator(f".shot[data-index='{index}'] .shot-frame").bounding_box()
    assert box is not None
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def scale(page: Page) -> float:
    return float(page.evaluate(SCALE))


def test_long_press_selects_and_taps_extend_the_selection(phone: Page) -> None:
    touch(phone, "touchStart", centre(phone, 0))
    expect(phone.locator("[data-selection-count]")).to_have_text("1 selected")
    touch(phone, "touchEnd")
    expect(phone.locator("[data-screen]")).to_be_hidden()
    phone.locator(".shot[data-index='3']").tap()
    expect(phone.locator("[data-selection-count]")).to_have_text("2 selected")
    phone.locator(".shot[data-index='0']").tap()
    phone.locator(".shot[data-index='3']").tap()
    expect(phone.locator("[data-selection]")).to_be_hidden()
    expect(phone.locator(".shield")).to_have_count(0)

    phone.locator(".shot[data-index='3']").tap()
    shows(phone, 3)


def test_dragging_after_a_long_press_selects_a_range(phone: Page, card: Path) -> None:
    touch(phone, "touchStart", centre(phone, 1))
    expect(phone.locator("[data-selection-count]")).to_have_text("1 selected")
    for index in (2, 3, 5):
        touch(phone, "touchMove", centre(phone, index))
    expect(phone.locator("[data-selection-count]")).to_have_text("5 selected")
    keep_picture(phone, "review-touch")
    touch(phone, "touchMove", centre(phone, 3))
    touch(phone, "touchEnd")

    expect(phone.locator("[data-selection-count]")).to_have_text("3 selected")
    phone.get_by_role("button", name="Seen", exact=True).tap()
    wait_for(lambda: len(list(card.glob("*.seen"))) == 3, phone)


def test_moving_finger_scrolls_without_selecting(phone: Page) -> None:
    x, y = centre(phone, 3)
    touch(phone, "touchStart", (x, y))
    for step in range(1, 8):
        touch(phone, "touchMove", (x, y - 20 * step))
    phone.wait_for_timeout(600)
    touch(phone, "touchEnd")

    expect(phone.locator("[data-selection]")).to_be_hidden()
    assert phone.locator("[data-grid-frame]").evaluate("frame => frame.scrollTop") > 50


def test_pinch_zooms_and_one_finger_drags(phone: Page) -> None:
    phone.locator(".shot").first.tap()
    shows(phone, 0)
    expect(phone.locator(".shield")).to_have_count(0)
    touch(phone, "touchStart", (180, 400), (210, 400))
    touch(phone, "touchMove", (140, 400), (250, 400))
    touch(phone, "touchMove", (100, 400), (290, 400))
    touch(phone, "touchEnd")
    assert scale(phone) > 3
    left = left_edge(phone)

    touch(phone, "touchStart", (300, 400))
    for x in (250, 200, 150):
        touch(phone, "touchMove", (x, 400))
    touch(phone, "touchEnd")

    wait_for(lambda: left_edge(phone) == pytest.approx(left - 150, abs=20), phone)
    shows(phone, 0)  # it was not a swipe
    keep_picture(phone, "review-pinch")


def left_edge(page: Page) -> float:
    box = page.locator("[data-frame]").bounding_box()
    assert box is not None
    return box["x"]


def double_tap(phone: Page, *, until: Callable[[], bool]) -> None:
    """Double-tap; again if a busy machine was too slow for a double tap."""
    for _ in range(10):
        for _ in range(2):
            touch(phone, "touchStart", (200, 400))
            touch(phone, "touchEnd")
        for _ in range(20):
            if until():
                return
            phone.wait_for_timeout(50)
    raise AssertionError("no double tap had an effect")


def test_double_tap_toggles_zoom_and_swipe_moves_on(phone: Page) -> None:
    phone.locator(".shot").first.tap()
    shows(phone, 0)
    expect(phone.locator(".shield")).to_have_count(0)
    for closer in (True, False):
        double_tap(phone, until=lambda closer=closer: (scale(phone) > 1.5) == closer)  # type: ignore[misc]

    touch(phone, "touchStart", (300, 400))
    touch(phone, "touchMove", (100, 405))
    touch(phone, "touchEnd")
    shows(phone, 1)


def test_wheel_zooms_at_the_pointer(opened: Page) -> None:
    stage = opened.locator("[data-stage]").bounding_box()
    assert stage is not None
    x, y = stage["x"] + stage["width"] * 0.6, stage["y"] + stage["height"] * 0.4
    opened.mouse.move(x, y)
    under = part_under(opened, x, y)
    opened.mouse.wheel(0, -400)
    wait_for(lambda: scale(opened) > 2, opened)

    assert part_under(opened, x, y) == pytest.approx(under, abs=0.01)
    opened.keyboard.down("Control")
    opened.mouse.wheel(0, -50)
    opened.keyboard.up("Control")
    wait_for(lambda: scale(opened) > 3, opened)
    assert opened.evaluate("devicePixelRatio") == 1
    opened.mouse.wheel(0, 5000)
    wait_for(lambda: scale(opened) == 1, opened)


def part_under(page: Page, x: float, y: float) -> list[float]:
    found: list[float] = page.evaluate(
        """([x, y]) => { const box = document.querySelector("[data-frame]").getBoundingClientRect();
            return [(x - box.x) / box.width, (y - box.y) / box.height]; }""",
        [x, y],
    )
    return found


def test_keys_double_click_and_button_zoom_and_dragging_moves_the_picture(opened: Page) -> None:
    opened.keyboard.press("+")
    assert scale(opened) == pytest.approx(1.5, abs=0.01)
    opened.keyboard.press("-")
    assert scale(opened) == 1
    opened.keyboard.press("=")
    opened.keyboard.press("0")
    assert scale(opened) == 1
    stage = opened.locator("[data-stage]")
    stage.dblclick()
    assert scale(opened) >= 2
    expect(opened.get_by_role("button", name="100 %")).to_have_attribute("aria-pressed", "true")

    before = opened.locator("[data-frame]").bounding_box()
    opened.mouse.move(700, 400)
    opened.mouse.down()
    opened.mouse.move(600, 350, steps=4)
    opened.mouse.up()
    after = opened.locator("[data-frame]").bounding_box()
    assert before is not None and after is not None
    assert after["x"] == pytest.approx(before["x"] - 100, abs=1)
    keep_picture(opened, "review-zoom")

    opened.keyboard.press("r")
    shows(opened, 1)
    assert scale(opened) == 1
    expect(pressed(opened, "next")).to_be_enabled()
