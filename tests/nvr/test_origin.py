"""Where a request comes from, and what only a trusted proxy may say of it."""

from __future__ import annotations

import pytest
from django.http import HttpResponse
from django.test import Client, RequestFactory

from nvr.env import Environment
from nvr.request_context import OriginMiddleware, current_origin, origin_of

factory = RequestFactory()


def trust(settings, text: str) -> None:
    settings.NVR_TRUSTED_PROXIES = Environment({"X": text}).networks("X")


@pytest.mark.parametrize(
    ("trusted", "peer", "forwarded", "address"),
    [
        ("", "192.0.2.1", "", "192.0.2.1"),
        ("", "192.0.2.1", "10.0.0.1", "192.0.2.1"),
        ("10.0.0.0/8", "192.0.2.1", "203.0.113.5", "192.0.2.1"),
        ("10.0.0.0/8", "10.0.0.1", "203.0.113.5", "203.0.113.5"),
        ("10.0.0.0/8", "10.0.0.1", "1.1.1.1, 203.0.113.5", "203.0.113.5"),
        ("10.0.0.0/8", "10.0.0.1", "203.0.113.5, 10.0.0.2", "203.0.113.5"),
        ("10.0.0.0/8", "10.0.0.1", "10.0.0.3, 10.0.0.2", "10.0.0.3"),
        ("10.0.0.0/8", "10.0.0.1", "", "10.0.0.1"),
        ("10.0.0.0/8", "10.0.0.1", "nonsense", "10.0.0.1"),
        ("10.0.0.0/8", "10.0.0.1", "203.0.113.5, nonsense", "10.0.0.1"),
        ("10.0.0.0/8", "10.0.0.1", "2001:db8::1", "2001:db8::1"),
        ("10.0.0.0/8", "10.0.0.1", "203.0.113.5:54321", "203.0.113.5"),
        ("10.0.0.0/8", "10.0.0.1", "203.0.113.5:54321, 10.0.0.2:80", "203.0.113.5"),
        ("10.0.0.0/8", "10.0.0.1", "[2001:db8::1]:443", "2001:db8::1"),
        ("10.0.0.0/8", "10.0.0.1", "[2001:db8::1]", "2001:db8::1"),
        ("10.0.0.0/8", "10.0.0.1", "2001:DB8:0::1", "2001:db8::1"),
        ("10.0.0.0/8", "10.0.0.1", "fe80::1%eth0", "fe80::1"),
        ("10.0.0.0/8", "10.0.0.1", "::ffff:203.0.113.5", "203.0.113.5"),
        ("10.0.0.0/8", "10.0.0.1", "  203.0.113.5  ,  10.0.0.2 ", "203.0.113.5"),
        ("10.0.0.0/8", "10.0.0.1", "203.0.113.5, , ", "203.0.113.5"),
        ("10.0.0.0/8", "10.0.0.1", "for=203.0.113.5;proto=https;by=10.0.0.1", "203.0.113.5"),
        ("10.0.0.0/8", "10.0.0.1", 'For="[2001:db8::1]:4711"', "2001:db8::1"),
        ("10.0.0.0/8", "10.0.0.1", '"203.0.113.5:80"', "203.0.113.5"),
        ("10.0.0.0/8", "10.0.0.1", "for=unknown", "10.0.0.1"),
        ("10.0.0.0/8", "10.0.0.1", "for=_hidden", "10.0.0.1"),
        ("10.0.0.0/8", "10.0.0.1", "203.0.113.5:", "10.0.0.1"),
        ("10.0.0.0/8", "10.0.0.1", "203.0.113.500", "10.0.0.1"),
        ("10.0.0.0/8", "10.0.0.1", "[nonsense]:80", "10.0.0.1"),
        ("10.0.0.0/8", "::ffff:10.0.0.1", "203.0.113.5", "203.0.113.5"),
        ("10.0.0.0/8", "10.0.0.1", "a" * 100_000, "10.0.0.1"),
        ("10.0.0.0/8", "10.0.0.1", ", ".join(["203.0.113.5"] * 10_000), "203.0.113.5"),
        ("127.0.0.1", "", "203.0.113.5", "203.0.113.5"),  # a unix socket
        ("", "", "203.0.113.5", "local"),
    ],
)
def test_the_client_address(settings, trusted: str, peer: str, forwarded: str, address: str) -> None:
    trust(settings, trusted)

    assert origin_of(factory.get("/", REMOTE_ADDR=peer, HTTP_X_FORWARDED_FOR=forwarded)).address == address


def test_only_the_proxy_on_our_unix_socket_is_trusted(settings) -> None:
    settings.ON_UNIX_SOCKET = True

    def seen(peer: str) -> str:
        return origin_of(factory.get("/", REMOTE_ADDR=peer, HTTP_X_FORWARDED_FOR="203.0.113.5")).address

    assert (seen(""), seen("127.0.0.1")) == ("203.0.113.5", "127.0.0.1")


def test_clients_behind_a_proxy_that_adds_ports_are_counted_separately(settings, db: None) -> None:
    trust(settings, "10.0.0.1")
    settings.RATES = settings.RATES | {"default": {"user": "9/d", "anonymous": "1/d"}}

    def status(forwarded: str) -> int:
        return Client().get("/api/health", REMOTE_ADDR="10.0.0.1", HTTP_X_FORWARDED_FOR=forwarded).status_code

    assert [status(f"203.0.113.{number}:5000{number}") for number in range(1, 4)] == [200, 200, 200]
    assert status("203.0.113.1:9") == 429
    assert [status("[2001:db8:0:1::1]:80"), status("[2001:db8:0:2::1]:80")] == [200, 200]


@pytest.mark.parametrize(("peer", "secure"), [("10.0.0.1", True), ("192.0.2.1", False)])
def test_only_a_trusted_proxy_can_report_https(settings, peer: str, secure: bool) -> None:
    trust(settings, "10.0.0.0/8")
    settings.SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    request = factory.get("/", REMOTE_ADDR=peer, HTTP_X_FORWARDED_PROTO="https")

    origin_of(request)

    assert request.is_secure() is secure


def test_every_response_has_a_request_id(db: None) -> None:
    one, other = (Client().get("/api/health")["X-Request-Id"] for _ in range(2))

    assert one != other
    assert len(one) >= 8


@pytest.mark.parametrize(
    ("given", "kept"),
    [("abcd-1234", True), ("short", False), ("x" * 65, False), ("a\nb" * 5, False), ("<b>aaaaaaaa", False)],
)
def test_a_valid_request_id_of_a_proxy_is_used(settings, given: str, kept: bool) -> None:
    trust(settings, "10.0.0.0/8")

    assert (origin_of(factory.get("/", REMOTE_ADDR="10.0.0.1", HTTP_X_REQUEST_ID=given)).request_id == given) is kept
    assert origin_of(factory.get("/", REMOTE_ADDR="192.0.2.1", HTTP_X_REQUEST_ID=given)).request_id != given


def test_the_origin_is_set_only_during_the_request() -> None:
    seen = []

    def view(request):
        seen.append(current_origin.get())
        return HttpResponse()

    OriginMiddleware(view)(factory.get("/", REMOTE_ADDR="192.0.2.1", HTTP_USER_AGENT="curl\u00e9\x00" + "x" * 500))

    assert seen[0].address == "192.0.2.1"
    assert seen[0].client.startswith("curl??")
    assert len(seen[0].client) == 200
    assert current_origin.get().address == ""
