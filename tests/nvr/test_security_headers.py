"""Headers: nothing foreign, nothing inline, nothing kept that is not everybody's."""

from __future__ import annotations

import re

import pytest
from django.contrib.auth.models import User
from django.test import Client
from rest_framework.test import APIClient

from cameras.models import Camera
from tests.factories import PASSWORD

PAGES = [
    "/",
    "/cameras/front_door",
    "/cameras/front_door?file=c.jpg",
    "/password",
    "/api/docs",
    "/admin/",
    "/admin/cameras/camera/",
    "/admin/cameras/camera/add/",
    "/nowhere",
]


@pytest.fixture
def browser(admin: User) -> Client:
    client = Client()
    client.force_login(admin)
    return client


@pytest.mark.parametrize("page", PAGES)
def test_a_page_allows_no_third_party_or_inline_content(
    browser: Client, camera: Camera, pictures: list[str], page: str
) -> None:
    response = browser.get(page)

    policy = response["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe-inline" not in policy and "unsafe-eval" not in policy
    assert "http:" not in policy and "https:" not in policy and "*" not in policy
    assert response["X-Frame-Options"] == "DENY"
    assert response["X-Content-Type-Options"] == "nosniff"
    assert response["Referrer-Policy"] == "same-origin"


@pytest.mark.parametrize("page", [*PAGES, "login"])
def test_pages_comply_with_their_policy(browser: Client, camera: Camera, pictures: list[str], page: str) -> None:
    client, page = (Client(), "/login") if page == "login" else (browser, page)
    html = client.get(page).content.decode()

    assert not re.search(r"<[^>]+\son[a-z]+\s*=", html)
    assert not re.search(r"<[^>]+\sstyle\s*=", html)
    assert "<style" not in html
    for script in re.findall(r"<script\b[^>]*>", html):
        assert "src=" in script or 'type="application/json"' in script, script
    for address in re.findall(r"(?:src|href|action)=\"([^\"]*)\"", html):
        assert not re.match(r"(https?:)?//|javascript:", address), address


@pytest.mark.parametrize(
    "address",
    [
        "/api/cameras",
        "/api/cameras/front_door",
        "/api/cameras/deleted",
        "/api/audit",
        "/api/system/health",
        "/live.json",
        "/api/cameras/nobody",
        "/api/schema",
    ],
)
def test_json_for_signed_in_users_is_not_cached(browser: Client, camera: Camera, address: str) -> None:
    response = browser.get(address)

    assert response["Cache-Control"] == "private, no-store"
    assert response["X-Content-Type-Options"] == "nosniff"
    assert "default-src 'none'" in response["Content-Security-Policy"]


@pytest.mark.parametrize("page", ["/", "/cameras/front_door", "/password", "/admin/"])
def test_user_dependent_pages_are_not_stored_in_shared_caches(browser: Client, camera: Camera, page: str) -> None:
    response = browser.get(page)

    assert "Cookie" in response["Vary"]
    assert "private" in response.get("Cache-Control", "") or "no-store" in response.get("Cache-Control", "")


@pytest.mark.parametrize("address", ["/api/cameras", "/api/cameras/nobody", "/api/cameras/front_door/snapshot"])
def test_vary_lists_the_headers_that_affect_the_response(
    api: APIClient, camera: Camera, pictures: list[str], address: str
) -> None:
    names = {name.strip() for name in api.get(address)["Vary"].split(",")}

    assert {"Accept", "Authorization", "Cookie", "X-API-Key"} <= names


def test_a_picture_opened_directly_runs_no_scripts(stranger: APIClient, camera: Camera, pictures: list[str]) -> None:
    policy = stranger.get("/api/cameras/front_door/snapshot")["Content-Security-Policy"]

    assert "sandbox" in policy
    assert "script-src" not in policy
    assert "default-src 'none'" in policy


def test_cookies_are_http_only_and_same_site(admin: User) -> None:
    response = Client().post("/login", {"username": "chief", "password": PASSWORD})

    assert response.cookies["nvr_sessionid"]["httponly"]
    assert response.cookies["nvr_sessionid"]["samesite"] == "Lax"
    assert response.cookies["nvr_csrftoken"]["samesite"] == "Lax"


def test_every_cookie_name_has_our_prefix(admin: User) -> None:
    """A browser sends those of a host to all its ports: another Django application there would overwrite ours."""
    browser = Client()
    browser.cookies["sessionid"] = browser.cookies["csrftoken"] = browser.cookies["messages"] = "a neighbour's"
    browser.get("/login")
    browser.post("/login", {"username": "chief", "password": PASSWORD})
    browser.post("/admin/auth/group/add/", {"name": "family"})
    browser.get("/admin/auth/group/")

    ours = {name for name, cookie in browser.cookies.items() if cookie.value != "a neighbour's"}

    assert ours == {"nvr_sessionid", "nvr_csrftoken", "nvr_messages"}
    assert browser.get("/").status_code == 200


def test_cross_origin_requests_are_not_allowed(api: APIClient, camera: Camera) -> None:
    response = api.get("/api/cameras", HTTP_ORIGIN="https://evil.example")

    assert "Access-Control-Allow-Origin" not in response
