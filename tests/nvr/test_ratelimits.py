"""How often: tiers, headers, 429 in every shape, and whom a request is counted for."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context

import pytest
from django.conf import settings as django_settings
from django.contrib.auth.models import User
from django.core.cache import caches
from django.test import Client
from rest_framework.test import APIClient

from cameras.models import Camera
from nvr.api.counters import current_limit, increased
from nvr.api.ratelimits import network_of
from nvr.env import Environment
from tests.conftest import Clock, client_of
from tests.factories import PASSWORD, make_user

pytestmark = pytest.mark.usefixtures("still_clock")
CAMERAS = "/api/cameras"
SNAPSHOT = "/api/cameras/front_door/snapshot"
HEALTH = "/api/health"


@pytest.fixture
def rates(settings):
    """Set a tier: `rates("media", anonymous="2/m")`."""

    def change(tier: str, **values: str) -> None:
        settings.RATES = settings.RATES | {tier: settings.RATES[tier] | values}

    return change


def ask(client: APIClient, address: str, number: int, **headers: str) -> list[int]:
    return [client.get(address, **headers).status_code for _ in range(number)]


@pytest.mark.parametrize(
    ("tier", "user", "anonymous"),
    [("default", "6000/m", "60/m"), ("media", "6000/m", "30/m"), ("login", "10/m", "10/m")],
)
def test_the_tiers_have_the_documented_rates(tier: str, user: str, anonymous: str) -> None:
    assert django_settings.RATES[tier] == {"user": user, "anonymous": anonymous}


def test_every_response_has_the_rate_limit_headers(stranger: APIClient, api: APIClient, camera: Camera) -> None:
    for client, address, limit in (
        (stranger, HEALTH, "60"),
        (stranger, SNAPSHOT, "30"),
        (stranger, CAMERAS, "60"),  # 401
        (api, CAMERAS, "6000"),
        (api, SNAPSHOT, "6000"),  # 404
        (api, f"{CAMERAS}?limit=0", "6000"),  # 422
        (api, f"{CAMERAS}/deleted", "6000"),
    ):
        response = client.get(address)
        assert response["X-RateLimit-Limit"] == limit, address
        assert 0 <= int(response["X-RateLimit-Remaining"]) < int(limit)


def test_the_media_tier_is_30_per_minute_for_anonymous_users(
    stranger: APIClient, camera: Camera, pictures: list[str]
) -> None:
    statuses = ask(stranger, SNAPSHOT, 31)

    assert statuses == [200] * 30 + [429]


def test_a_429_response_has_retry_after(stranger: APIClient, camera: Camera, rates) -> None:
    rates("default", anonymous="1/m")
    first = stranger.get(HEALTH)
    second = stranger.get(HEALTH)

    assert (first.status_code, first["X-RateLimit-Remaining"]) == (200, "0")
    assert second.status_code == 429
    assert second["Content-Type"] == "application/problem+json"
    assert 1 <= int(second["Retry-After"]) <= 60
    assert (second["X-RateLimit-Limit"], second["X-RateLimit-Remaining"]) == ("1", "0")
    assert second.json().keys() == {"type", "title", "status", "detail", "instance"}


def test_tiers_are_counted_separately(stranger: APIClient, camera: Camera, pictures: list[str], rates) -> None:
    rates("media", anonymous="1/m")
    assert ask(stranger, SNAPSHOT, 2) == [200, 429]

    assert stranger.get(HEALTH).status_code == 200


def test_a_tier_is_shared_by_all_its_urls(stranger: APIClient, rates, db: None) -> None:
    rates("default", anonymous="2/m")

    assert stranger.get(HEALTH).status_code == 200
    assert stranger.get(CAMERAS).status_code == 401
    assert stranger.get(HEALTH).status_code == 429


def test_signed_in_requests_are_counted_by_user(admin: User, outsider: User, rates) -> None:
    rates("default", user="2/m")
    key, session = client_of(admin), Client()
    session.force_login(admin)

    assert key.get(CAMERAS, REMOTE_ADDR="10.0.0.1").status_code == 200
    assert session.get(CAMERAS, REMOTE_ADDR="10.0.0.2").status_code == 200
    assert key.get(CAMERAS, REMOTE_ADDR="10.0.0.3").status_code == 429
    assert client_of(outsider).get(CAMERAS, REMOTE_ADDR="10.0.0.1").status_code == 200


def test_wrong_credentials_count_for_the_address(stranger: APIClient, rates, db: None) -> None:
    rates("default", anonymous="3/m")

    assert ask(stranger, CAMERAS, 4, HTTP_X_API_KEY="nvr_wrong") == [401, 401, 401, 429]


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("10.0.0.1", "10.0.0.2", False),
        ("2001:db8:1:2::1", "2001:db8:1:2:ffff::9", True),
        ("2001:db8:1:2::1", "2001:db8:1:3::1", False),
        ("::ffff:10.0.0.1", "10.0.0.1", True),
        ("::ffff:10.0.0.1", "::ffff:10.0.0.2", False),
    ],
)
def test_an_ipv6_client_is_counted_by_its_64_network(
    stranger: APIClient, rates, db: None, one: str, other: str, same: bool
) -> None:
    rates("default", anonymous="1/m")

    assert (network_of(one) == network_of(other)) is same
    stranger.get(HEALTH, REMOTE_ADDR=one)
    assert stranger.get(HEALTH, REMOTE_ADDR=other).status_code == (429 if same else 200)


def test_a_forged_forwarded_for_header_is_ignored(stranger: APIClient, rates, db: None) -> None:
    rates("default", anonymous="1/m")

    statuses = [
        stranger.get(HEALTH, HTTP_X_FORWARDED_FOR=f"10.0.0.{number}", HTTP_X_REAL_IP=f"10.1.0.{number}").status_code
        for number in range(3)
    ]

    assert statuses == [200, 429, 429]


def test_behind_a_trusted_proxy_the_right_most_untrusted_address_counts(
    stranger: APIClient, rates, settings, db: None
) -> None:
    rates("default", anonymous="1/m")
    networks = Environment({"NVR_TRUSTED_PROXIES": "127.0.0.1,10.9.0.0/16"}).networks("NVR_TRUSTED_PROXIES")
    settings.NVR_TRUSTED_PROXIES = networks

    def through(forwarded: str) -> int:
        return stranger.get(HEALTH, HTTP_X_FORWARDED_FOR=forwarded).status_code

    assert through("192.0.2.1") == 200
    assert through("192.0.2.2") == 200
    assert through("203.0.113.9, 192.0.2.1") == 429  # what stands left of it, the client made up
    assert through("192.0.2.3, 10.9.1.1") == 200  # a chain of our own proxies
    assert through("192.0.2.3, 10.9.1.2") == 429


def test_without_the_shared_cache_each_process_counts_for_itself(
    stranger: APIClient, rates, cache_away: None, camera: Camera
) -> None:
    rates("default", anonymous="2/m")

    assert ask(stranger, CAMERAS, 3) == [401, 401, 429]


def test_logging_in_is_limited_by_name_and_address(stranger: APIClient, db: None) -> None:
    make_user("kim")

    def attempt(name: str, address: str, password: str = "x") -> int:
        body = {"username": name, "password": password}
        return stranger.post("/api/token", body, format="json", REMOTE_ADDR=address).status_code

    assert [attempt("kim", "10.0.0.1") for _ in range(11)] == [401] * 10 + [429]
    assert attempt("KIM", "10.0.0.1", PASSWORD) == 429
    assert attempt("pat", "10.0.0.1") == 401
    assert attempt("kim", "10.0.0.2", PASSWORD) == 200  # nobody locks another's name from elsewhere


WIDE, BOLD = "\uff4b\uff49\uff4d", "\U0001d424\U0001d422\U0001d426"
VARIANTS = [
    " kim",
    "kim\t",
    "\u3000kim",
    WIDE,
    "KIM",
    f"{WIDE[0]}IM ",
    f"\xa0{WIDE}\u2003",
    "kim" + " " * 200,
    BOLD,
    "Kim",
]


@pytest.mark.parametrize("by", ["page", "api"])
def test_spellings_of_a_name_share_a_counter(stranger: APIClient, db: None, by: str) -> None:
    def attempt(name: str) -> int:
        body = {"username": name, "password": "x"}
        answer = stranger.post("/login", body) if by == "page" else stranger.post("/api/token", body, format="json")
        return answer.status_code

    assert 429 not in [attempt(name) for name in VARIANTS]
    assert [attempt(name) for name in ["kim", *VARIANTS]] == [429] * 11
    assert attempt("kim2") != 429


def test_guessing_the_password_on_the_password_page_is_limited(admin: User) -> None:
    browser = Client()
    browser.force_login(admin)
    new = "a wholly other pass phrase"

    def attempt(old: str) -> int:
        return browser.post("/password", {"old_password": old, "new_password1": new, "new_password2": new}).status_code

    assert [attempt("x") for _ in range(10)] == [200] * 10
    assert attempt(PASSWORD) == 429
    assert browser.get("/password").status_code == 200
    assert User.objects.get(pk=admin.pk).check_password(PASSWORD)


def test_trying_one_password_with_many_names_is_limited_by_address(stranger: APIClient, rates, db: None) -> None:
    rates("default", anonymous="5/m")

    statuses = [
        stranger.post("/api/token", {"username": f"u{number}", "password": "x"}, format="json").status_code
        for number in range(6)
    ]

    assert statuses == [401] * 5 + [429]


def test_page_and_api_share_the_login_counter(stranger: APIClient, db: None) -> None:
    for _ in range(5):
        stranger.post("/api/token", {"username": "kim", "password": "x"}, format="json")
        stranger.post("/login", {"username": "kim", "password": "x"})

    assert stranger.post("/api/token", {"username": "kim", "password": "x"}, format="json").status_code == 429
    assert stranger.post("/login", {"username": "kim", "password": "x"}).status_code == 429


def test_refreshing_tokens_is_limited_too(stranger: APIClient, rates, db: None) -> None:
    rates("default", anonymous="2/m")

    statuses = [stranger.post("/api/token/refresh", {"refresh": "x"}, format="json").status_code for _ in range(3)]

    assert statuses == [401, 401, 429]


def test_the_count_restarts_with_the_next_window(stranger: APIClient, still_clock: Clock, rates, db: None) -> None:
    rates("default", anonymous="1/m")
    assert ask(stranger, HEALTH, 2) == [200, 429]

    still_clock.advance(60)

    assert ask(stranger, HEALTH, 2) == [200, 429]


def test_each_number_of_a_reserved_block_is_used_once(db: None) -> None:
    caches["limits"].add("key", 1, 60)
    context = copy_context()
    context.run(current_limit.set, 6000)

    with ThreadPoolExecutor(8) as pool:
        numbers = list(pool.map(lambda _: context.copy().run(caches["limits"].incr, "key"), range(200)))

    assert sorted(numbers) == list(range(2, 202))
    assert caches["default"].get("key") <= 202 + 30


def test_a_low_limit_is_counted_one_by_one(db: None) -> None:
    caches["limits"].add("key", 1, 60)
    context = copy_context()
    context.run(current_limit.set, 60)

    context.run(caches["limits"].incr, "key")

    assert caches["default"].get("key") == 2


def test_an_evicted_counter_restarts(db: None) -> None:
    cache = caches["limits"]
    cache.add("key", 1, 60)
    caches["default"].delete("key")

    assert [cache.incr("key") for _ in range(2)] == [1, 2]


def test_a_restarted_counter_lasts_as_long_as_the_longest_window(monkeypatch: pytest.MonkeyPatch) -> None:
    memory = caches["process"]
    now = time.time()
    assert increased(memory, "key", 1) == 1

    monkeypatch.setattr("time.time", lambda: now + 3700)

    assert increased(memory, "key", 1) == 2
