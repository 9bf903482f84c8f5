"""Reviewing a card in a real browser: keys, undo, filters in the URL, rejected marks, the trash, phones."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from PIL import Image, ImageChops
from playwright.sync_api import Locator, Page, expect

from tests.browser.conftest import DESKTOP, PHONE, Open, keep_picture, opened_at, sign_in
from tests.factories import jpeg, make_video, put

pytestmark = pytest.mark.browser
FILES = 120


@pytest.fixture
def card(tmp_path: Path) -> Path:
    folder = tmp_path.resolve() / "card"
    for number in range(FILES):
        put(folder / f"DCIM/10{number // 60}MEDIA", f"IMG_{number:04}.JPG", jpeg(320, 240, seed=number % 7))
    return folder


def file_at(card: Path, number: int) -> Path:
    return card / f"DCIM/10{number // 60}MEDIA/IMG_{number:04}.JPG"


def marks_of(card: Path, number: int) -> set[str]:
    file = file_at(card, number)
    return {path.suffix for path in file.parent.glob(f"{file.name}.*")}


def wait_for(check: Callable[[], bool], page: Page) -> None:
    for _ in range(1200):
        if check():
            return
        page.wait_for_timeout(50)
    raise AssertionError("the condition did not become true")


def shows(page: Page, number: int) -> None:
    expect(page.locator("[data-stage]")).to_have_attribute("data-shown", re.compile(f"IMG_{number:04}.JPG"))
    expect(page.locator("[data-details]")).to_contain_text(f"IMG_{number:04}.JPG")


def cursor_is_on(page: Page, number: int) -> None:
    expect(page.locator(".shot[data-cursor]")).to_contain_text(f"IMG_{number:04}.JPG")


def pressed(page: Page, command: str) -> Locator:
    return page.locator(f'.screen-bar [data-do="{command}"]')


def test_selecting_a_folder_in_the_tree_opens_its_review(page: Page, chief: User, card: Path) -> None:
    sign_in(page, "chief")
    page.goto("/")
    page.get_by_role("link", name="Review").click()
    expect(page.locator("[data-counts]")).to_contain_text("120 of 120 unseen")
    page.get_by_role("button", name="Folders", exact=True).click()
    page.get_by_role("button", name="Folders in DCIM").click()
    keep_picture(page, "review-pick")

    page.get_by_role("link", name="101MEDIA").click()

    expect(page.locator("[data-summary]")).to_have_text("60 files")
    cursor_is_on(page, 60)
    expect(page.locator("[data-folder]")).to_have_value(f"{card}/DCIM/101MEDIA")


@pytest.mark.slow
def test_folder_picker_fills_the_form(page: Page, chief: User, card: Path) -> None:
    new = card.parent / "new card"
    new.mkdir()
    sign_in(page, "chief")
    page.goto("/review")
    page.get_by_text("Browse folders on the server").click()
    tree = page.locator("[data-folder-picker]")
    for part in card.parent.parts[1:]:
        tree.get_by_role("button", name=f"Folders in {part}", exact=True).click()
    tree.get_by_role("button", name="new card", exact=True).click()

    expect(page.get_by_label("Folder on the server")).to_have_value(str(new))
    expect(page.get_by_label("Folder on the server")).to_be_focused()
    expect(tree.get_by_role("button", name="new card", exact=True)).to_have_attribute("aria-pressed", "true")
    keep_picture(page, "review-picker")


def test_keys_move_between_files(opened: Page) -> None:
    opened.keyboard.press("Enter")
    shows(opened, 0)
    for key, number in (("ArrowRight", 1), ("r", 2), ("ArrowLeft", 1), ("e", 0), ("End", 119), ("Home", 0)):
        opened.keyboard.press(key)
        shows(opened, number)
    expect(opened.locator("[data-counter]")).to_contain_text("0 of 120 reviewed")
    keep_picture(opened, "review-screen")

    opened.keyboard.press("Escape")
    expect(opened.locator("[data-screen]")).to_be_hidden()
    cursor_is_on(opened, 0)


@pytest.mark.parametrize(
    ("key", "marks"),
    [
        ("s", {".seen"}),
        ("t", {".trash", ".seen"}),
        ("d", {".trash", ".seen"}),
        ("l", {".lock", ".seen"}),
        ("f", {".lock", ".seen"}),
    ],
)
def test_marking_moves_to_the_next_file(opened: Page, card: Path, key: str, marks: set[str]) -> None:
    opened.keyboard.press("Enter")
    shows(opened, 0)
    opened.keyboard.press(key)

    shows(opened, 1)
    wait_for(lambda: marks_of(card, 0) == marks, opened)
    assert marks_of(card, 1) == set()


@pytest.mark.parametrize("undo", ["u", "Control+z"])
def test_undo_returns_to_the_marked_file(opened: Page, card: Path, undo: str) -> None:
    opened.keyboard.press("Enter")
    for key in "sdf":
        opened.keyboard.press(key)
    shows(opened, 3)
    opened.keyboard.press("End")
    shows(opened, 119)

    for number in (2, 1, 0):
        opened.keyboard.press(undo)
        shows(opened, number)

    wait_for(lambda: not any(marks_of(card, number) for number in range(3)), opened)
    expect(pressed(opened, "undo")).to_be_disabled()


@pytest.mark.slow
def test_pressing_a_key_again_reverts_the_mark_and_stays(opened: Page, card: Path) -> None:
    opened.keyboard.press("Enter")
    opened.keyboard.press("f")
    opened.keyboard.press("e")
    shows(opened, 0)
    expect(pressed(opened, "lock")).to_have_attribute("aria-pressed", "true")
    opened.keyboard.press("f")

    expect(pressed(opened, "lock")).to_have_attribute("aria-pressed", "false")
    shows(opened, 0)
    wait_for(lambda: marks_of(card, 0) == {".seen"}, opened)
    opened.keyboard.press("Shift+S")
    wait_for(lambda: marks_of(card, 0) == set(), opened)


@pytest.mark.slow
def test_keys_find_unseen_and_locked_files(opened: Page, card: Path) -> None:
    for number in range(110):
        put(file_at(card, number).parent, f"{file_at(card, number).name}.seen", b"")
    put(file_at(card, 115).parent, "IMG_0115.JPG.lock", b"")
    page = opened_at(opened, card)
    page.keyboard.press("Home")
    page.keyboard.press("Enter")

    page.keyboard.press("n")
    shows(page, 110)
    page.keyboard.press("o")
    shows(page, 115)
    page.keyboard.press("p")
    shows(page, 114)


@pytest.mark.slow
def test_all_files_above_are_marked_and_undone_with_one_key(opened: Page, card: Path) -> None:
    opened.keyboard.press("Enter")
    for _ in range(5):
        opened.keyboard.press("r")
    shows(opened, 5)
    opened.keyboard.press("a")
    wait_for(lambda: all(marks_of(card, number) == {".seen"} for number in range(5)), opened)
    assert marks_of(card, 5) == set()

    opened.keyboard.press("u")
    wait_for(lambda: not any(marks_of(card, number) for number in range(5)), opened)


@pytest.mark.slow
def test_modifiers_form_fields_and_key_repeat_do_not_mark(opened: Page, card: Path) -> None:
    opened.keyboard.press("Enter")
    shows(opened, 0)
    for key in ("Control+f", "Control+d", "Alt+s", "Meta+l", "Control+Shift+z"):
        opened.keyboard.press(key)
    held = "document.dispatchEvent(new KeyboardEvent('keydown', {key: 'd', repeat: true, bubbles: true}))"
    opened.evaluate(held.replace("document.", "document.body."))
    shows(opened, 0)
    opened.keyboard.press("Escape")
    opened.locator("[data-type]").focus()
    opened.keyboard.press("s")

    opened.wait_for_timeout(300)
    assert not any(marks_of(card, number) for number in range(3))


@pytest.mark.slow
def test_keys_for_zoom_brightness_and_help(opened: Page) -> None:
    opened.keyboard.press("Enter")
    shows(opened, 0)
    stage = opened.locator("[data-stage]")
    opened.keyboard.down("z")
    expect(stage).to_have_attribute("data-zoom", "")
    opened.keyboard.up("z")
    expect(stage).not_to_have_attribute("data-zoom", "")
    opened.keyboard.press("b")
    expect(stage).to_have_attribute("data-bright", "")
    opened.keyboard.press("?")
    expect(opened.locator("#keys")).to_be_visible()
    opened.keyboard.press("d")
    opened.keyboard.press("Escape")
    expect(opened.locator("#keys")).to_be_hidden()
    shows(opened, 0)


@pytest.mark.slow
def test_selected_range_is_marked_and_undone_together(opened: Page, card: Path) -> None:
    opened.keyboard.press("j")
    opened.keyboard.press("k")
    cursor_is_on(opened, 0)
    for _ in range(3):
        opened.keyboard.press("Shift+ArrowRight")
    expect(opened.locator("[data-selection-count]")).to_have_text("4 selected")
    keep_picture(opened, "review-grid")
    opened.keyboard.press("d")
    wait_for(lambda: all(marks_of(card, number) == {".trash", ".seen"} for number in range(4)), opened)

    opened.locator("[data-toasts]").get_by_role("button", name="Undo").click()
    wait_for(lambda: not any(marks_of(card, number) for number in range(4)), opened)


@pytest.mark.slow
def test_marked_files_stay_listed_until_refresh(opened: Page, card: Path) -> None:
    opened.locator('[data-filter="unseen"].chip').click()
    expect(opened).to_have_url(re.compile("filter=unseen"))
    opened.keyboard.press("Home")
    for _ in range(3):
        opened.keyboard.press("s")
    cursor_is_on(opened, 3)
    wait_for(lambda: marks_of(card, 2) == {".seen"}, opened)
    expect(opened.locator("[data-summary]")).to_have_text("120 files")
    expect(opened.locator('[data-filter="seen"] [data-count]')).to_have_text("3")

    opened.keyboard.press("End")
    cursor_is_on(opened, 119)
    opened.get_by_role("button", name="Refresh").click()
    expect(opened.locator("[data-summary]")).to_have_text("117 files")
    opened.go_back()
    expect(opened.locator("[data-summary]")).to_have_text("120 files")


@pytest.mark.slow
def test_rejected_mark_is_reverted_with_the_reason(opened: Page, card: Path) -> None:
    opened.keyboard.press("Enter")
    shows(opened, 0)
    put(file_at(card, 0).parent, "IMG_0000.JPG.lock", b"")  # by another user, meanwhile
    opened.keyboard.press("d")
    shows(opened, 1)

    expect(opened.locator("[data-toasts]")).to_contain_text("IMG_0000.JPG was not changed: The item is locked.")
    assert ".trash" not in marks_of(card, 0)
    opened.keyboard.press("e")
    expect(pressed(opened, "trash")).to_have_attribute("aria-pressed", "false")
    expect(pressed(opened, "undo")).to_be_disabled()


@pytest.mark.slow
def test_marks_are_sent_after_a_lost_connection(opened: Page, card: Path) -> None:
    opened.keyboard.press("Enter")
    shows(opened, 0)
    opened.route("**/api/media-actions", lambda route: route.abort())
    opened.keyboard.press("s")
    opened.keyboard.press("f")
    expect(opened.locator("[data-notice]")).to_contain_text("2 marks wait")
    opened.unroute("**/api/media-actions")

    wait_for(lambda: marks_of(card, 0) == {".seen"} and marks_of(card, 1) == {".lock", ".seen"}, opened)
    expect(opened.locator("[data-notice]")).to_be_hidden()


@pytest.mark.slow
def test_position_is_remembered_and_url_can_be_shared(opened: Page, card: Path) -> None:
    opened.keyboard.press("Enter")
    for _ in range(7):
        opened.keyboard.press("r")
    shows(opened, 7)
    expect(opened).to_have_url(re.compile("item=.*IMG_0007"))
    url = opened.url
    opened.go_back()
    expect(opened.locator("[data-screen]")).to_be_hidden()

    cursor_is_on(opened_at(opened, card), 7)
    opened.goto(url)
    shows(opened, 7)


@pytest.mark.slow
def test_marking_a_hundred_files_shows_no_blank_frame(opened: Page, card: Path) -> None:
    opened.keyboard.press("Enter")
    shows(opened, 0)
    opened.evaluate(
        """() => { window.blank = 0; const look = () => {
            const picture = document.querySelector("[data-frame] img");
            if (!picture?.complete || !picture.naturalWidth) window.blank += 1;
            requestAnimationFrame(look); }; look(); }"""
    )
    for _ in range(100):
        opened.keyboard.press("s")
        opened.wait_for_timeout(40)
    shows(opened, 100)

    assert opened.evaluate("window.blank") == 0
    wait_for(lambda: all(marks_of(card, number) == {".seen"} for number in range(100)), opened)


@pytest.mark.slow
def test_open_toast_is_not_repeated(opened: Page) -> None:
    opened.keyboard.press("End")
    opened.keyboard.press("Enter")
    shows(opened, 119)
    for key in "rrr":
        opened.keyboard.press(key)
    expect(opened.locator("[data-toast]")).to_have_count(1)
    expect(opened.locator("[data-toasts]")).to_contain_text("This is the last file.")

    opened.locator("[data-toast-close]").click()
    opened.keyboard.press("r")
    expect(opened.locator("[data-toast]")).to_have_count(1)


@pytest.mark.slow
def test_toast_has_the_icon_of_its_level(opened: Page) -> None:
    for level in ("info", "success", "warning", "error"):
        opened.evaluate(
            "detail => document.dispatchEvent(new CustomEvent('toast', { detail }))",
            {"text": f"This is {level}.", "level": level},
        )
        toast = opened.locator("[data-toast]").filter(has_text=f"This is {level}.")
        expect(toast).to_have_attribute("data-level", level)
        expect(toast.locator(f"> .icon-{level}")).to_be_visible()


@pytest.mark.slow
def test_open_dialog_dims_the_whole_window(opened: Page) -> None:
    opened.get_by_role("button", name="Empty trash").click()
    expect(opened.locator("[data-trash-summary]")).not_to_contain_text("Counting")

    picture = Image.open(io.BytesIO(opened.screenshot())).convert("L")
    at_the_edge, beside = (picture.crop((picture.width - x, 0, picture.width - x + 1, 900)) for x in (3, 24))
    seen = ImageChops.difference(at_the_edge, beside).point(lambda step: 255 * (step > 2))
    assert seen.getbbox() is None


@pytest.mark.slow
@pytest.mark.parametrize("viewport", [DESKTOP, {"width": 1280, "height": 800}, PHONE, {"width": 360, "height": 740}])
def test_only_the_grid_scrolls(open_browser: Open, chief: User, card: Path, viewport: dict[str, int]) -> None:
    page = open_browser(viewport)
    sign_in(page, "chief")
    opened_at(page, card)

    assert page.evaluate("document.documentElement.scrollHeight") == viewport["height"]
    last = page.locator("[data-grid-frame]").bounding_box()
    assert last is not None
    assert last["height"] > viewport["height"] / 2


@pytest.mark.slow
def test_phone_shows_the_selected_type_completely(open_browser: Open, chief: User, card: Path) -> None:
    page = open_browser({"width": 360, "height": 740})
    sign_in(page, "chief")
    opened_at(page, card)

    has, wants = page.locator("[data-type]").evaluate(
        """select => {
            const has = select.offsetWidth;
            Object.assign(select.style, { position: "absolute", width: "max-content" });
            return [has, select.offsetWidth];
        }"""
    )
    assert has >= wants


def test_keys_control_video_playback(page: Page, chief: User, card: Path) -> None:
    make_video(card / "AAA.MP4", size="320x240", seconds=4)
    sign_in(page, "chief")
    opened_at(page, card).keyboard.press("Enter")
    video = page.locator("[data-frame] video")
    wait_for(lambda: bool(video.evaluate("video => video.currentTime > 0")), page)

    page.keyboard.press(" ")
    expect(video).to_have_js_property("paused", True)
    page.keyboard.press("]")
    expect(video).to_have_js_property("playbackRate", 1.5)
    page.keyboard.press("[")
    expect(video).to_have_js_property("playbackRate", 1)


@pytest.mark.slow
def test_phone_has_action_buttons_and_swipes(open_browser: Open, chief: User, card: Path) -> None:
    page = open_browser(PHONE, "dark", has_touch=True)
    sign_in(page, "chief")
    opened_at(page, card)
    page.locator(".shot").first.tap()
    shows(page, 0)
    swipe(page, 300, 80)
    shows(page, 1)
    swipe(page, 80, 300)
    shows(page, 0)
    keep_picture(page, "review-phone")

    for button in page.locator(".screen-bar button").all():
        box = button.bounding_box()
        assert box is not None
        assert box["width"] >= 44 and box["height"] >= 44
        assert box["y"] > PHONE["height"] / 2
    pressed(page, "trash").tap()
    shows(page, 1)
    wait_for(lambda: marks_of(card, 0) == {".trash", ".seen"}, page)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def swipe(page: Page, start: int, end: int) -> None:
    page.evaluate(
        """([from, to]) => { const stage = document.querySelector("[data-stage]");
            const send = (type, x) => stage.dispatchEvent(new PointerEvent(type,
                {pointerId: 7, pointerType: "touch", clientX: x, clientY: 400, bubbles: true}));
            send("pointerdown", from); send("pointerup", to); }""",
        [start, end],
    )


def test_review_works_without_javascript(open_browser: Open, chief: User, card: Path) -> None:
    page = open_browser(java_script_enabled=False)
    sign_in(page, "chief")
    page.goto("/")
    page.get_by_role("link", name="Review").click()
    page.locator(".pick-root").get_by_role("link", name="Review", exact=True).click()
    page.wait_for_url(re.compile("plain=1"))
    page.locator("input[name=files]").first.check()
    page.get_by_role("button", name="Trash", exact=True).click()

    assert marks_of(card, 0) == {".trash", ".seen"}
    keep_picture(page, "review-plain")
    page.locator(".plain-file a").first.click()
    page.get_by_role("button", name="Lock", exact=True).click()
    assert marks_of(card, 1) == {".lock", ".seen"}
    expect(page.get_by_role("heading", level=1)).to_have_text("IMG_0002.JPG")
