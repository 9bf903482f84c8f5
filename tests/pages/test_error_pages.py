"""Error pages: in our frame, in words, with a way back; without database or session."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from django.conf import settings
from django.contrib.auth.models import User
from django.http import HttpResponse
from django.test import Client, RequestFactory

from nvr.error_handlers import DomainErrorMiddleware, page
from nvr.errors import Conflict, Forbidden, Invalid, NotFound, NvrError, StorageFull, TooManyRequests, Unavailable
from nvr.request_context import Origin, current_origin
from tests.factories import make_user

TEMPLATES = sorted(path.name for path in Path(settings.BASE_DIR, "templates").glob("[45]*.html"))


def text_of(response: HttpResponse) -> str:
    return response.content.decode()


@pytest.fixture
def browser(admin: User) -> Client:
    client = Client()
    client.force_login(admin)
    return client


def shown_for(error: NvrError) -> HttpResponse:
    """What a page's view answers that raises `error`."""
    request = RequestFactory().get("/cameras/x")
    response = DomainErrorMiddleware(lambda _: HttpResponse()).process_exception(request, error)
    assert response is not None
    return response


@pytest.mark.parametrize("template", [*TEMPLATES, "error.html"])
def test_each_explains_the_error_and_has_a_link_without_a_database(template: str) -> None:
    text = text_of(page(int(template[:3]) if template[0].isdigit() else 409, template, heading="This cannot be done."))

    heading = re.search(r"<h1>(.+?)</h1>", text)
    assert heading
    assert f"<title>{heading[1]} · NVR</title>" in text
    assert 'class="btn' in text
    assert 'href="/">To the cameras</a>' in text


@pytest.mark.parametrize(
    ("error", "status", "told"),
    [
        (Forbidden("The administration is for staff."), 403, "The administration is for staff."),
        (Forbidden(), 403, "Ask an administrator"),
        (NotFound("Camera not found"), 404, "Page not found."),
        (Conflict("Someone else has <it>."), 409, "Someone else has &lt;it&gt;."),
        (Invalid.field("name", "is too long."), 422, "name: is too long."),
        (TooManyRequests("x", retry_after=7), 429, "Wait 7 seconds"),
        (TooManyRequests("x", retry_after=1), 429, "Wait 1 second,"),
        (Unavailable(), 503, "recovers by itself"),
        (StorageFull("Free some space."), 507, "The disk is full."),
        (NvrError("hunter2"), 500, "Something went wrong on the server."),
    ],
)
def test_a_domain_error_shows_its_message(error: NvrError, status: int, told: str) -> None:
    response = shown_for(error)

    assert response.status_code == status
    assert told in text_of(response)
    assert "hunter2" not in text_of(response)
    assert response.headers.items() >= error.headers.items()


def test_an_unexpected_error_shows_the_request_id_for_the_log() -> None:
    token = current_origin.set(Origin(request_id="abcd1234"))
    try:
        assert "abcd1234" in text_of(page(500))
    finally:
        current_origin.reset(token)


@pytest.mark.parametrize(
    ("address", "page_above"),
    [("/logout", "/"), ("/events/7/clip", "/events/7"), ("/uploads/7/retry", "/uploads"), ("/review/mark", "/review")],
)
def test_a_post_only_url_redirects_to_its_parent_page(browser: Client, address: str, page_above: str) -> None:
    response = browser.get(address)

    assert (response.status_code, response["Location"]) == (302, page_above)


def test_a_form_sent_to_a_page_without_forms_is_rejected(browser: Client) -> None:
    response = browser.post("/uploads")

    assert response.status_code == 405
    assert "GET" in response["Allow"]
    assert "This kind of request is not supported here." in text_of(response)


def test_signed_in_users_see_the_navigation(browser: Client) -> None:
    response = browser.get("/nowhere")

    assert response.status_code == 404
    assert "Page not found." in text_of(response)
    assert 'aria-label="Main"' in text_of(response)
    assert 'href="/events"' in text_of(response)


def test_anonymous_users_see_no_navigation(db: None) -> None:
    client = Client()
    assert 'aria-label="Main"' not in text_of(client.get("/nowhere"))

    client.force_login(make_user("ann"))
    assert 'aria-label="Main"' in text_of(client.get("/nowhere"))


def test_users_without_admin_access_see_the_navigation(db: None) -> None:
    client = Client()
    client.force_login(make_user("ann"))

    response = client.get("/admin/", follow=True)

    assert response.status_code == 403
    assert 'aria-label="Main"' in text_of(response)


def test_internal_errors_show_the_navigation(browser: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cameras.views.tiles_for", broken)
    browser.raise_request_exception = False

    response = browser.get("/")

    assert response.status_code == 500
    assert "Something went wrong on the server." in text_of(response)
    assert 'aria-label="Main"' in text_of(response)


def test_internal_errors_are_shown_without_a_failing_navigation(
    browser: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cameras.views.tiles_for", broken)
    monkeypatch.setattr("nvr.pages.navigation.items_for", broken)
    monkeypatch.setattr("nvr.pages.templatetags.nvr_pages.items_for", broken)
    browser.raise_request_exception = False

    response = browser.get("/")

    assert response.status_code == 500
    assert "Something went wrong on the server." in text_of(response)
    assert 'aria-label="Main"' not in text_of(response)


def broken(*args: object, **options: object) -> None:
    raise RuntimeError("the wall is broken")


def test_the_default_favicon_exists() -> None:
    response = Client().get("/favicon.ico")

    assert response.status_code == 200
    assert response["Content-Type"] in {"image/x-icon", "image/vnd.microsoft.icon"}


def test_a_form_that_is_too_large_gets_an_error_page(db: None) -> None:
    response = Client().post(
        "/login", {"username": "x" * 3_000_000, "password": "x"}, content_type="application/x-www-form-urlencoded"
    )

    assert response.status_code == 413
    assert "The request is too large." in text_of(response)
