"""An administrator's first camera, from the empty live view to the trash and back."""

from __future__ import annotations

import re
import shutil
from datetime import timedelta
from pathlib import Path

import pytest
from django.conf import settings
from django.contrib.auth.models import User
from django.utils import timezone
from playwright.sync_api import Page, expect

from cameras.registry import create_camera
from tests.browser.conftest import DESKTOP, PHONE, Open, keep_picture, sign_in, sign_in_by_form
from tests.factories import PASSWORD, jpeg, make_camera, make_user, put

pytestmark = pytest.mark.browser


@pytest.fixture
def chief(site: str) -> User:
    return make_user("chief", is_staff=True, is_superuser=True)


def add_camera(page: Page, name: str, folder: Path) -> None:
    page.goto("/")
    page.get_by_role("link", name="Add camera").or_(page.get_by_role("link", name="Add a camera")).first.click()
    page.get_by_label("Name:", exact=True).fill(name)
    page.get_by_label("Folder:", exact=True).fill(str(folder))
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.locator("#result_list")).to_contain_text(name)


def test_a_camera_is_added_seen_trashed_and_restored(page: Page, chief: User) -> None:
    folder = settings.NVR_CAMERA_ROOT / "journey"
    folder.mkdir(exist_ok=True)
    put(folder, "first.jpg", jpeg(320, 240, seed=1), age_s=30)
    sign_in_by_form(page, "chief", PASSWORD)
    keep_picture(page, "empty-live-view")

    add_camera(page, "Front Door", folder)
    keep_picture(page, "admin-cameras")
    page.goto("/")
    tile = page.locator('[data-tile="front_door"]')
    expect(tile).to_contain_text("Front Door")
    picture = tile.locator("img").first
    expect(picture).to_have_js_property("complete", True)
    first = picture.evaluate("image => image.currentSrc")
    keep_picture(page, "live-view")

    put(folder, "second.jpg", jpeg(320, 240, seed=2), age_s=1)
    page.wait_for_function(
        "before => document.querySelector('[data-tile=front_door] img').currentSrc !== before",
        arg=first,
        timeout=60_000,
    )

    page.goto("/admin/cameras/camera/")
    page.locator("input.action-select").first.check()
    page.locator("select[name=action]").select_option("move_to_trash")
    page.get_by_role("button", name="Go").click()
    page.goto("/")
    expect(page.locator("[data-tile]")).to_have_count(0)

    page.goto("/admin/cameras/trashedcamera/")
    keep_picture(page, "admin-trash")
    page.locator("input.action-select").first.check()
    page.locator("select[name=action]").select_option("restore")
    page.get_by_role("button", name="Go").click()
    page.goto("/")
    expect(tile).to_contain_text("Front Door")


def test_a_stranger_is_asked_to_sign_in(page: Page, chief: User) -> None:
    page.goto("/")

    expect(page.get_by_label("Password")).to_be_visible()
    keep_picture(page, "login")


def test_a_file_is_opened_on_the_cameras_page(page: Page, chief: User) -> None:
    folder = settings.NVR_CAMERA_ROOT / "viewer"
    folder.mkdir(exist_ok=True)
    for number in range(5):
        put(folder, f"2026/0{number}.jpg", jpeg(320, 240, seed=number), age_s=60 - number)
    sign_in(page, "chief")
    add_camera(page, "Garage", folder)

    page.goto("/cameras/garage")
    keep_picture(page, "camera")
    expect(page.locator("[data-file]")).to_have_count(5)
    page.locator("[data-file]").first.click()

    expect(page.locator("#viewer")).to_contain_text("2026/04.jpg")
    page.keyboard.press("j")
    expect(page.locator("#viewer")).to_contain_text("2026/03.jpg")
    keep_picture(page, "camera-file")


def test_a_picture_that_cannot_be_shown_is_told_in_words(page: Page, chief: User) -> None:
    folder = settings.NVR_CAMERA_ROOT / "broken"
    put(folder, "torn.jpg", jpeg(640, 480)[:3000])
    create_camera(chief, {"name": "Broken", "folder_path": str(folder)})
    sign_in(page, "chief")

    page.goto("/cameras/broken?file=torn.jpg")

    expect(page.locator("#viewer .no-picture")).to_have_text("The image is incomplete or damaged")


def test_a_lost_camera_whose_picture_does_not_load_shows_since_when(page: Page, chief: User) -> None:
    reason = "The camera's folder is missing."
    make_camera(
        "Gone",
        folder_path=str(settings.NVR_CAMERA_ROOT / "gone"),
        status="error",
        status_reason=reason,
        last_picture_at=timezone.now() - timedelta(hours=3),
    )
    sign_in(page, "chief")
    page.goto("/")

    tile = page.locator("[data-tile=gone]")
    expect(tile).to_have_attribute("data-empty", "")
    expect(tile.locator("[data-stale-reason]")).to_have_text(re.compile(r"No picture for \d+ (minutes|hours)"))
    expect(tile.locator("[data-stale-detail]")).to_have_text(reason)


@pytest.mark.slow
@pytest.mark.parametrize("viewport", [DESKTOP, PHONE], ids=["wide", "narrow"])
def test_the_notice_of_unknown_uploads_stays_closed_until_another_folder_appears(
    open_browser: Open, chief: User, viewport: dict[str, int]
) -> None:
    page, root = open_browser(viewport), settings.NVR_CAMERA_ROOT
    clear(root)  # the notice shows only so many, and earlier tests leave some
    make_camera("Door", folder_path=str(root / f"notice_door_{viewport['width']}"))
    first, second = (f"notice_{name}_{viewport['width']}" for name in ("first", "second"))
    put(root / first, "a.jpg", jpeg())
    sign_in(page, "chief")
    notice, change_notice = page.locator("[data-unknown]"), page.locator("[data-change-notice]")
    open_until_it_shows(page, first)
    keep_picture(page, f"live-view-unknown-{viewport['width']}")

    notice.get_by_role("button", name="Close").click()
    expect(notice).to_have_count(0)
    open_until_nothing_new_is_shown(page, closed=first)

    put(root / second, "a.jpg", jpeg())
    expect(change_notice.get_by_role("link", name="Show the uploads from an unknown camera")).to_be_visible()
    keep_picture(page, f"change-notice-{viewport['width']}")
    assert bottom_of(page, "[data-change-notice]") <= page.locator("[data-tile]").bounding_box()["y"]  # type: ignore[index]
    change_notice.get_by_role("link").click()
    expect(notice).to_be_visible()
    open_until_it_shows(page, second)
    expect(notice).not_to_contain_text(first)


def clear(folder: Path) -> None:
    for entry in folder.iterdir():
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        else:
            entry.unlink()


def open_until_it_shows(page: Page, folder: str) -> None:
    """Searches are shared for a while, and the result of a slow one is there for the next page."""
    notice = page.locator("[data-unknown]")
    for _ in range(240):
        page.goto("/")
        if notice.count() and folder in notice.inner_text():
            return
        page.wait_for_timeout(250)
    raise AssertionError(f"the notice never showed {folder}")


def open_until_nothing_new_is_shown(page: Page, *, closed: str) -> None:
    """Each process of the server remembers its own search for a while, perhaps of folders of an earlier test."""
    notice = page.locator("[data-unknown]")
    for _ in range(240):
        page.reload()
        expect(page.locator("[data-tile]")).to_be_visible()
        if not notice.count():
            return
        expect(notice).not_to_contain_text(closed)
        page.wait_for_timeout(250)
    raise AssertionError(f"the notice stayed: {notice.inner_text()}")


def bottom_of(page: Page, selector: str) -> float:
    box = page.locator(selector).bounding_box()
    assert box is not None
    return box["y"] + box["height"]
