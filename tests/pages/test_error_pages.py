"""Error pages: in our frame, in words, with a way back; without database or session."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from django.conf import settings
from django.contrib.auth.models import User
from django.http import HttpResponse
from django.test import Client, RequestFactory

from nvr.errors import Conflict, Forbidden, Invalid, NotFound, NvrError, StorageFull, TooManyRequests, Unavailable
from nvr.fallbacks import DomainErrorMiddleware, page
from nvr.origin import Origin, current_origin

TEMPLATES = sorted(path.name for path in Path(settings.BASE_DIR, "templates").glob("[45]*.html"))


def text_of(response: HttpResponse) -> str:
    return response.content.decode()


def shown_for(error: NvrError) -> HttpResponse:
    """What a page's view answers that raises `error`."""
    request = RequestFactory().get("/cameras/x")
    response = DomainErrorMiddleware(lambda _: HttpResponse()).process_exception(request, error)
    assert response is not None
    return response


@pytest.mark.parametrize("template", [*TEMPLATES, "refused.html"])
def test_each_says_what_happened_and_has_a_way_back_without_a_database(template: str) -> None:
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
        (NotFound("Camera not found"), 404, "Nothing is here."),
        (Conflict("Someone else has <it>."), 409, "Someone else has &lt;it&gt;."),
        (Invalid.field("name", "is too long."), 422, "name: is too long."),
        (TooManyRequests("x", retry_after=7), 429, "Wait 7 seconds"),
        (TooManyRequests("x", retry_after=1), 429, "Wait 1 second,"),
        (Unavailable(), 503, "comes back by itself"),
        (StorageFull("Free some space."), 507, "The disk is full."),
        (NvrError("hunter2"), 500, "Something broke on our side."),
    ],
)
def test_a_domain_error_is_told_in_its_words(error: NvrError, status: int, told: str) -> None:
    response = shown_for(error)

    assert response.status_code == status
    assert told in text_of(response)
    assert "hunter2" not in text_of(response)
    assert response.headers.items() >= error.headers.items()


def test_an_unexpected_error_is_found_in_the_log_by_its_number() -> None:
    token = current_origin.set(Origin(request_id="abcd1234"))
    try:
        assert "abcd1234" in text_of(page(500))
    finally:
        current_origin.reset(token)


def test_an_address_that_only_takes_forms_is_explained_when_it_is_opened(admin: User) -> None:
    browser = Client()
    browser.force_login(admin)

    response = browser.get("/logout")

    assert response.status_code == 405
    assert "POST" in response["Allow"]
    assert "cannot be opened like this" in text_of(response)


def test_a_form_that_is_too_large_is_told_so(db: None) -> None:
    response = Client().post(
        "/login", {"username": "x" * 3_000_000, "password": "x"}, content_type="application/x-www-form-urlencoded"
    )

    assert response.status_code == 413
    assert "too much at once" in text_of(response)
