"""axe-core finds no serious violations in any state of the review, wide and narrow, light and dark."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from playwright.sync_api import Page, expect

from tests.browser.axe import Look, every_look, violations_in
from tests.browser.conftest import opened_at, sign_in
from tests.browser.test_review import shows
from tests.factories import jpeg, make_video, put

pytestmark = [pytest.mark.browser, pytest.mark.slow]


@pytest.fixture
def card(tmp_path: Path) -> Path:
    """A file in each state, in two folders, and a video."""
    root, picture = tmp_path.resolve() / "card", jpeg(320, 240)
    for number, mark in enumerate(("", "seen", "lock", "trash")):
        put(root / "100MEDIA", f"IMG_{number:04}.JPG", picture)
        if mark:
            put(root / "100MEDIA", f"IMG_{number:04}.JPG.{mark}", b"")
    make_video(root / "101MEDIA" / "VID_0001.MP4", size="320x240", seconds=1)
    return root


@pytest.fixture
def opened(page: Page, chief: User) -> Page:
    sign_in(page, "chief")
    return page


@every_look
def test_grid_toolbar_toasts_and_dialogs_are_accessible(opened: Page, card: Path, looks: tuple[Look, ...]) -> None:
    opened_at(opened, card)
    expect(opened.locator(".shot")).to_have_count(5)
    opened.locator("[data-grid]").press("Shift+ArrowRight")
    opened.keyboard.press("s")
    expect(opened.locator("[data-toast]")).to_be_visible()
    found = violations_in(opened, looks)

    opened.get_by_role("button", name="Empty trash").click()
    expect(opened.locator("[data-trash-summary]")).to_contain_text("1 file")
    found += violations_in(opened, looks)
    opened.keyboard.press("Escape")
    opened.locator("[data-grid]").press("?")
    found += violations_in(opened, looks)

    assert not found, "\n".join(found)


@every_look
def test_full_screen_is_accessible(opened: Page, card: Path, looks: tuple[Look, ...]) -> None:
    opened_at(opened, card).keyboard.press("Enter")
    shows(opened, 0)
    found = violations_in(opened, looks)
    opened.keyboard.press("End")
    expect(opened.locator("[data-frame] video")).to_be_visible()
    found += violations_in(opened, looks)

    assert not found, "\n".join(found)


@every_look
def test_empty_and_unavailable_folders_are_accessible(opened: Page, card: Path, looks: tuple[Look, ...]) -> None:
    opened_at(opened, card)
    opened.locator("[data-type]").select_option("video")
    opened.locator('[data-filter="trashed"].chip').click()
    expect(opened.locator("[data-empty]")).to_be_visible()
    found = violations_in(opened, looks)
    card.rename(card.parent / "away")
    opened.goto(f"/review?path={card}")
    expect(opened.locator("[data-failure]")).to_be_visible()
    found += violations_in(opened, looks)

    assert not found, "\n".join(found)


@every_look
def test_folder_list_and_its_errors_are_accessible(opened: Page, card: Path, looks: tuple[Look, ...]) -> None:
    opened.goto("/review")
    opened.get_by_text("Browse folders on the server").click()
    opened.get_by_role("button", name="Folders", exact=True).click()
    expect(opened.get_by_role("link", name="100MEDIA")).to_be_visible()
    expect(opened.locator("[data-folder-picker] [data-toggle]").first).to_be_visible()
    found = violations_in(opened, looks)
    opened.get_by_label("Folder on the server").fill("/proc/1")
    opened.get_by_role("button", name="Add and review").click()
    expect(opened.get_by_role("alert")).to_be_visible()
    found += violations_in(opened, looks)

    assert not found, "\n".join(found)


@every_look
def test_pages_without_javascript_are_accessible(opened: Page, card: Path, looks: tuple[Look, ...]) -> None:
    opened.goto(f"/review?path={card}&plain=1")
    found = violations_in(opened, looks)
    opened.locator(".plain-file a").first.click()
    expect(opened).to_have_url(re.compile("file="))
    found += violations_in(opened, looks)
    opened.goto(f"/review/trash?path={card}")
    found += violations_in(opened, looks)

    assert not found, "\n".join(found)
