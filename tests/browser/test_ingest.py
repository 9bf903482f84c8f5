"""The state of ingest in a real browser."""

from __future__ import annotations

import pytest
from django.conf import settings
from django.contrib.auth.models import User
from playwright.sync_api import expect

from cameras.registry import create_camera
from tests.browser.conftest import PHONE, Open, keep_picture, sign_in
from tests.factories import make_user
from tests.media_serving.ledger import enter

pytestmark = pytest.mark.browser


def test_on_a_phone_each_number_has_its_word(open_browser: Open, site: str) -> None:
    chief: User = make_user("chief", is_staff=True, is_superuser=True)
    folder = settings.NVR_CAMERA_ROOT / "ingest_front"
    folder.mkdir()
    enter(create_camera(chief, {"name": "Front Door", "folder_path": str(folder)}), "a.jpg", state="waiting")
    quiet = settings.NVR_CAMERA_ROOT / "ingest_quiet"
    quiet.mkdir()
    create_camera(chief, {"name": "Quiet One", "folder_path": str(quiet)})
    page = open_browser(PHONE, "dark", has_touch=True)
    sign_in(page, "chief")

    page.goto("/uploads")
    keep_picture(page, "ingest-phone")

    row = page.get_by_role("group", name="Last file of each camera").locator("tbody tr")
    expect(row.get_by_text("1 waiting")).to_be_visible()
    expect(row.get_by_text("0 waiting")).to_be_hidden()
