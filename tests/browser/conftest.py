"""A real Chromium against the real server. Every page that a test opens must be free of script errors and of
violations of its own content security policy."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.contrib.auth.models import User
from django.test import Client
from playwright.sync_api import Browser, BrowserContext, Error, Page, expect, sync_playwright

from nvr.installation.static_files import collect_if_changed
from reviewer.registry import add_path
from tests.factories import make_user
from tests.servers import BASE_DIR, our_server, wait_until_idle
from tests.shared import made_once

# Playwright's synchronous API runs an event loop in this thread; our ORM calls are synchronous all the same.
os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"

ARTIFACTS = BASE_DIR / "test-artifacts"
OPTIONS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]
DESKTOP = {"width": 1440, "height": 900}
PHONE = {"width": 390, "height": 844}

Open = Callable[..., Page]

expect.set_options(timeout=60_000)  # ms: of a machine that does something else as well


def pytest_configure(config: pytest.Config) -> None:
    if config.option.markexpr == "not slow":
        os.environ["WITHOUT_PICTURES"] = "1"


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path="/usr/bin/chromium-headless-shell", args=OPTIONS)
        yield chromium
        chromium.close()


@pytest.fixture(scope="session")
def server(django_db_setup: None) -> Iterator[str]:
    """The address of our server on the test database, one for all tests: its start takes longer than most of them."""
    shutil.copytree(made_once("static", collect), settings.STATIC_ROOT, dirs_exist_ok=True)
    with our_server() as address:
        yield address


def collect(folder: Path) -> None:
    collect_if_changed()
    shutil.copytree(settings.STATIC_ROOT, folder)


@pytest.fixture
def site(server: str, transactional_db: None, settings: Any) -> Iterator[str]:
    """The address of our server, on this test's rows; it knows no quick password hashes."""
    settings.PASSWORD_HASHERS = ["tests.browser.hashers.OncePerPassword"]
    yield server
    wait_until_idle(server)  # what it still writes would be the next test's


@pytest.fixture
def troubles() -> Iterator[list[str]]:
    """What the browser complained about; the test fails if there was anything."""
    found: list[str] = []
    yield found
    assert not found, "\n".join(found)


@pytest.fixture
def open_browser(browser: Browser, site: str, troubles: list[str]) -> Iterator[Open]:
    contexts: list[BrowserContext] = []

    def open_page(viewport: dict[str, int] | None = None, scheme: str = "light", **options: Any) -> Page:
        context = browser.new_context(
            base_url=site, viewport=viewport or DESKTOP, color_scheme=scheme, service_workers="block", **options
        )
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: troubles.append(f"script error: {error}"))
        page.on("console", lambda message: note_console(message, troubles))
        return page

    yield open_page
    for context in contexts:
        context.close()


def note_console(message: Any, troubles: list[str]) -> None:
    if message.type == "error" and "Content Security Policy" in message.text:
        troubles.append(message.text)


@pytest.fixture
def page(open_browser: Open) -> Page:
    return open_browser()


@pytest.fixture
def chief(site: str, card: Path) -> User:
    """They review the folder `card`, which each module fills."""
    user = make_user("chief", is_staff=True, is_superuser=True)
    add_path(user, str(card))
    return user


@pytest.fixture
def opened(page: Page, chief: User, card: Path) -> Page:
    """The grid of all files, the cursor on the first."""
    sign_in(page, "chief")
    return opened_at(page, card)


def opened_at(page: Page, card: Path, query: str = "filter=all") -> Page:
    page.goto(f"/review?path={card}&{query}")
    expect(page.locator("[data-start]")).to_be_enabled()
    return page


def sign_in(page: Page, name: str) -> None:
    """As the form does, without its two pages and the slow check of the password."""
    client = Client()
    client.force_login(User.objects.get(username=name))
    cookie = client.cookies[settings.SESSION_COOKIE_NAME].value
    where = {"domain": "127.0.0.1", "path": "/"}
    page.context.add_cookies([{"name": settings.SESSION_COOKIE_NAME, "value": cookie, **where}])


def sign_in_by_form(page: Page, name: str, password: str) -> None:
    page.goto("/login")
    page.get_by_label("Username").fill(name)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url("/")


def keep_picture(page: Page, name: str) -> None:
    """A screenshot for people to look at; the everyday run, without slow tests, takes none."""
    if os.environ.get("WITHOUT_PICTURES"):
        return
    ARTIFACTS.mkdir(exist_ok=True)
    path = ARTIFACTS / f"{name}.png"
    for left in reversed(range(3)):
        try:
            page.screenshot(path=path)
        except Error:  # a page that has just come may have nothing to show yet
            if not left:
                raise
            page.wait_for_timeout(500)
        else:
            break
