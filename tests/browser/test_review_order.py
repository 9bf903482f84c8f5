"""Sort orders, folder captions and progress of the review in a real browser."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from playwright.sync_api import Page, expect

from tests.browser.conftest import PHONE, Open, keep_picture, opened_at, sign_in
from tests.browser.test_review import wait_for
from tests.factories import jpeg, put

pytestmark = [pytest.mark.browser, pytest.mark.slow]
NAMES = [f"DCIM/{folder}MEDIA/IMG_{number:04}.JPG" for folder in (100, 101) for number in range(3)]


@pytest.fixture
def card(tmp_path: Path) -> Path:
    """Two folders with the same file names; by time, the files are in reverse order."""
    root, picture = tmp_path.resolve() / "card", jpeg(64, 48)
    for age, name in enumerate(NAMES):
        put(root / Path(name).parent, Path(name).name, picture)
        os.utime(root / name, (1_700_000_000 - 60 * age,) * 2)
    return root


def caption(name: str) -> str:
    folder, _, name = name.rpartition("/")
    return f"{name}{folder}"


def captions(page: Page, *expected: str) -> None:
    for index, caption in enumerate(expected):
        expect(page.locator(f".shot[data-index='{index}'] .shot-caption")).to_have_text(caption)


def test_files_are_sorted_by_folder_name_or_time(opened: Page) -> None:
    folders = [caption(name) for name in NAMES]
    captions(opened, *folders)

    opened.get_by_label("Order").select_option("name")
    expect(opened).to_have_url(re.compile("order=name"))
    captions(opened, *(folders[at] for at in (0, 3, 1, 4, 2, 5)))
    keep_picture(opened, "review-order")

    opened.get_by_label("Order").select_option("time")
    captions(opened, *reversed(folders))
    opened.reload()
    captions(opened, *reversed(folders))
    opened.go_back()
    captions(opened, *(folders[at] for at in (0, 3, 1, 4, 2, 5)))


def test_cursor_stays_on_its_file_in_another_order(opened: Page) -> None:
    opened.keyboard.press("ArrowRight")
    expect(opened.locator(".shot[data-cursor]")).to_have_attribute("title", re.compile(f"{NAMES[1]}$"))
    for order in ("name", "time", "folder"):
        opened.get_by_label("Order").select_option(order)
        expect(opened.locator(".shot[data-cursor]")).to_have_attribute("title", re.compile(f"{NAMES[1]}$"))


def test_cursor_stays_on_its_file_when_the_order_changes_while_loading(opened: Page) -> None:
    opened.keyboard.press("ArrowRight")
    expect(opened.locator(".shot[data-cursor]")).to_have_attribute("title", re.compile(f"{NAMES[1]}$"))

    opened.evaluate("""() => {
        const choice = document.querySelector("[data-order]");
        for (const order of ["name", "time", "folder", "name"]) {
            choice.value = order;
            choice.dispatchEvent(new Event("change", { bubbles: true }));
        }
    }""")

    expect(opened.locator(".shot[data-index='1'] .shot-caption")).to_have_text(caption(NAMES[3]))
    expect(opened.locator(".shot[data-cursor]")).to_have_attribute("title", re.compile(f"{NAMES[1]}$"))


def test_file_in_the_url_is_found_by_time(opened: Page, card: Path) -> None:
    opened.goto(f"/review?path={card}&filter=all&order=time&item={card / NAMES[1]}")
    expect(opened.locator("[data-details]")).to_contain_text("IMG_0001.JPG")
    opened.keyboard.press("r")
    expect(opened.locator("[data-details]")).to_contain_text("IMG_0000.JPG")


def test_captions_show_the_folder(opened: Page) -> None:
    expect(opened.locator(".shot[data-index='3']")).to_have_attribute(
        "aria-label", "DCIM/101MEDIA, IMG_0000.JPG, not seen"
    )


def test_progress_counts_reviewed_files(opened: Page, card: Path) -> None:
    opened.keyboard.press("End")
    opened.keyboard.press("Enter")
    counter = opened.locator("[data-counter]")
    expect(counter).to_contain_text("0 of 6 reviewed · 0 %")
    opened.keyboard.press("s")
    expect(counter).to_contain_text("1 of 6 reviewed · 16 %")
    opened.keyboard.press("u")
    expect(counter).to_contain_text("0 of 6 reviewed")
    opened.keyboard.press("f")
    wait_for(lambda: bool(list(card.rglob("*.lock"))), opened)
    expect(counter).to_contain_text("1 of 6 reviewed")
    opened.keyboard.press("Escape")
    expect(opened.locator('[data-filter="locked"] [data-count]')).to_have_text("1")


def test_phone_shows_the_order_control(open_browser: Open, chief: User, card: Path) -> None:
    page = open_browser({**PHONE, "width": 360}, "dark")
    sign_in(page, "chief")
    opened_at(page, card)
    page.get_by_label("Order").select_option("time")
    captions(page, caption(NAMES[-1]))
    keep_picture(page, "review-order-phone")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_list_by_time_continues_after_a_removed_file(opened: Page, card: Path) -> None:
    """A hundred loaded files no longer match the filter, and another user has removed the last of them."""
    names = opened.evaluate(
        """async (root) => {
            const loaded = performance.getEntriesByType("resource").map(({ name }) => name);
            const { PagedSource } = await import(loaded.find((name) => name.includes("review/source")));
            const source = new PagedSource(root, { filter: "unseen", order: "time" });
            const seen = { confirmed: { seen: true }, exact: `${root}/GONE.JPG` };
            source.total = 106;
            source.chunks.set(0, Array(100).fill(seen));
            await source.load(100);
            return source.chunks.get(1).map(({ path }) => path);
        }""",
        str(card),
    )

    assert names == [str(card / name) for name in reversed(NAMES)]
