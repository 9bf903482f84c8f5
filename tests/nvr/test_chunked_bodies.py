"""Bodies whose length nobody announced (Transfer-Encoding: chunked) are read as all others, and bounded as they are."""

from __future__ import annotations

import http.client
import json
import socket
import tracemalloc
from collections.abc import Iterator
from contextlib import ExitStack, closing
from io import BytesIO, IOBase
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.conf import settings as app_settings
from django.contrib.auth.hashers import PBKDF2PasswordHasher
from django.contrib.auth.models import Group, User
from django.test import Client
from gunicorn.http.errors import InvalidChunkSize
from rest_framework.test import APIClient

from cameras.models import Camera
from nvr.accounts.models import ApiKey
from nvr.request_body import ChunkedBody
from reviewer.registry import add_path
from tests.factories import PASSWORD, make_camera, make_user, put
from tests.nvr.routes import all_routes
from tests.nvr.test_error_shapes import address_of, check
from tests.nvr.test_unknown_input import KNOWN, check_refused
from tests.servers import our_server

LIMIT = app_settings.DATA_UPLOAD_MAX_MEMORY_SIZE
JSON = {"content_type": "application/json"}


def in_chunks(body: Any) -> dict[str, Any]:
    """As gunicorn hands over a chunked body: no length, and an input that ends by itself."""
    source = body if hasattr(body, "read") else BytesIO(body)
    return {"wsgi.input": source, "wsgi.input_terminated": True, "HTTP_TRANSFER_ENCODING": "chunked"}


class Endless(IOBase):
    def read(self, size: int = -1, /) -> bytes:
        return b" " * size


class Faulty(IOBase):
    """An input that fails as gunicorn's does."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    def read(self, size: int = -1, /) -> bytes:
        raise self.error


@pytest.mark.django_db
@pytest.mark.parametrize(("route", "method"), KNOWN)
def test_every_unsafe_route_reads_chunked_bodies(api: APIClient, route: str, method: str) -> None:
    address = address_of(route).partition("?")[0]

    answer = api.generic(method, address, **JSON, **in_chunks(b'{"dryRun": true}'))

    check_refused(answer, route, {"dryRun"})


@pytest.mark.django_db
@pytest.mark.parametrize(("route", "method"), KNOWN)
def test_every_unsafe_route_limits_chunked_bodies(api: APIClient, route: str, method: str) -> None:
    address = address_of(route).partition("?")[0]

    check(api.generic(method, address, **JSON, **in_chunks(Endless())), 413, address)


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("error", "status"), [(InvalidChunkSize(b"x"), 400), (ConnectionResetError(), 408), (OSError(), 408)]
)
def test_an_incomplete_chunked_body_changes_nothing(
    api: APIClient, camera: Camera, error: Exception, status: int
) -> None:
    address = f"/api/cameras/{camera.slug}"

    check(api.generic("PATCH", address, **JSON, **in_chunks(Faulty(error))), status, address)
    assert api.get(address).json()["notes"] == ""


@pytest.mark.django_db
def test_an_incomplete_body_with_a_length_is_408(api: APIClient, camera: Camera) -> None:
    address = f"/api/cameras/{camera.slug}"
    cut_off = {"wsgi.input": Faulty(ConnectionResetError()), "CONTENT_LENGTH": "10"}

    check(api.generic("PATCH", address, **JSON, **cut_off), 408, address)


@pytest.mark.django_db
def test_the_body_is_not_read_before_authentication(stranger: APIClient, camera: Camera) -> None:
    address = f"/api/cameras/{camera.slug}"

    check(stranger.generic("PATCH", address, **JSON, **in_chunks(Faulty(AssertionError()))), 401, address)


@pytest.mark.django_db
@pytest.mark.parametrize("coding", ["gzip, chunked", "gzip", "identity", "chunked, chunked"])
def test_other_transfer_codings_are_rejected(api: APIClient, camera: Camera, coding: str) -> None:
    address = f"/api/cameras/{camera.slug}"

    answer = api.generic("PATCH", address, **JSON, **(in_chunks(b"{}") | {"HTTP_TRANSFER_ENCODING": coding}))

    check(answer, 400, address)


@pytest.mark.django_db
def test_without_chunked_support_in_the_server_a_length_is_required(api: APIClient, camera: Camera) -> None:
    address = f"/api/cameras/{camera.slug}"

    answer = api.generic(
        "PATCH", address, **JSON, **(in_chunks(b"2\r\n{}\r\n0\r\n\r\n") | {"wsgi.input_terminated": False})
    )

    check(answer, 411, address)


@pytest.mark.django_db
@pytest.mark.parametrize("kind", ["application/x-www-form-urlencoded", "multipart/form-data; boundary=b"])
def test_chunked_forms_are_read_too(kind: str) -> None:
    make_user("ann")
    fields = {"username": "ann", "password": PASSWORD}
    part = 'Content-Disposition: form-data; name="{}"\r\n\r\n{}\r\n'
    multipart = "".join("--b\r\n" + part.format(*field) for field in fields.items()) + "--b--\r\n"
    body = multipart if "boundary" in kind else f"username=ann&password={PASSWORD}"

    answer = Client().generic("POST", "/login", CONTENT_TYPE=kind, **in_chunks(body.encode()))

    assert (answer.status_code, answer["Location"]) == (302, "/")


@pytest.mark.django_db
@pytest.mark.parametrize("route", sorted(route for route in all_routes() if not route.startswith("api/")))
def test_pages_reject_bodies_above_the_limit(admin: Any, route: str) -> None:
    """Nor a form's files, which Django would write to the disk without end."""
    browser = Client()
    browser.force_login(admin)
    head = b'--b\r\nContent-Disposition: form-data; name="x"; filename="x"\r\n\r\n'
    long = {"CONTENT_TYPE": "multipart/form-data; boundary=b"}

    chunked = browser.generic("POST", address_of(route), **long, **in_chunks(head + b"x" * LIMIT))
    announced = browser.generic("POST", address_of(route), head, **long, CONTENT_LENGTH=str(LIMIT + 1))

    assert (chunked.status_code, announced.status_code) == (413, 413)


class Server:
    """NVR under its own gunicorn, asked with bytes as they are."""

    def __init__(self, address: str, key: str) -> None:
        self.address, self.key = address, key

    def connect(self) -> socket.socket:
        host, port = self.address.split(":")
        return socket.create_connection((host, int(port)), timeout=30)

    def head(self, method: str, target: str, *extra: str, kind: str = "application/json") -> bytes:
        lines = [f"{method} {target} HTTP/1.1", "Host: localhost", f"X-API-Key: {self.key}", f"Content-Type: {kind}"]
        return "\r\n".join([*lines, *(extra or ("Transfer-Encoding: chunked",)), "", ""]).encode()

    def ask(self, data: bytes) -> tuple[int, bytes]:
        """The first answer to `data`, and all that came until the server closed or fell silent."""
        with closing(self.connect()) as client:
            client.sendall(data)
            return first_answer(client)


def first_answer(client: socket.socket) -> tuple[int, bytes]:
    response = http.client.HTTPResponse(client)
    response.begin()
    return response.status, response.read()


def chunks(*parts: bytes) -> bytes:
    return b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"


@pytest.fixture
def card(tmp_path: Path, transactional_db: None) -> Path:
    """One of two review paths with something in the trash."""
    group = Group.objects.create(name="family")
    chief = make_user("tester", is_staff=True, is_superuser=True)
    for name in ("one", "two"):
        put(tmp_path / name, "a.jpg", b"x")
        put(tmp_path / name, "a.jpg.trash", b"")
        add_path(chief, str(tmp_path / name), groups=(group,))
    return tmp_path / "one"


@pytest.fixture
def server(card: Path) -> Iterator[Server]:
    _, key = ApiKey.objects.issue(user=User.objects.get(username="tester"), name="test")
    with our_server(NVR_WEB_WORKERS="1", NVR_SOCKET_TIMEOUT="2") as url:
        yield Server(urlsplit(url).netloc, key)


@pytest.mark.slow
def test_the_real_server_reads_chunks_and_rejects_malformed_ones(server: Server, card: Path) -> None:
    """One server for many assertions: each part below reads as a test of its own."""
    make_camera("Front Door")

    a_body_in_chunks_narrows_the_trash(server, card)
    a_change_in_chunks_is_made(server)
    trailers_change_nothing(server)
    malformed_chunks_are_refused(server)
    two_lengths_are_refused_and_nothing_is_smuggled(server)
    an_endless_body_is_cut_off(server)
    a_client_that_stops_in_the_middle_is_cut_off(server)
    the_next_request_on_the_connection_is_answered(server)
    a_form_in_chunks_signs_in(server)


def a_body_in_chunks_narrows_the_trash(server: Server, card: Path) -> None:
    body = json.dumps({"path": str(card)}).encode()

    status, lines = server.ask(server.head("POST", "/api/empty-trash?dry_run=1") + chunks(body[:5], body[5:]))

    assert status == 200
    assert lines.count(b"would_delete") == 1
    assert str(card).encode() in lines


def a_change_in_chunks_is_made(server: Server) -> None:
    body = json.dumps({"notes": "n" * 3000}).encode()

    status, answer = server.ask(server.head("PATCH", "/api/cameras/front_door") + chunks(*(bytes([b]) for b in body)))

    assert (status, json.loads(answer)["notes"]) == (200, "n" * 3000)


def trailers_change_nothing(server: Server) -> None:
    body = b'e\r\n{"notes": "t"}\r\n0\r\nX-API-Key: wrong\r\nX-Forwarded-For: 1.2.3.4\r\n\r\n'

    assert server.ask(server.head("PATCH", "/api/cameras/front_door") + body)[0] == 200


def malformed_chunks_are_refused(server: Server) -> None:
    for body in (
        b"x\r\n{}\r\n0\r\n\r\n",
        b"-2\r\n{}\r\n0\r\n\r\n",
        b"0x2\r\n{}\r\n0\r\n\r\n",
        b"2\r\n{}0\r\n\r\n",
        b"2\n{}\n0\n\n" + b"a" * 20_000,
        b"2;a\rb\r\n{}\r\n0\r\n\r\n",
        b"2" * 20_000,
        b"2\r\n{}\r\n0\r\nContent-Length: 5\r\n\r\n",
    ):
        status, answer = server.ask(server.head("PATCH", "/api/cameras/front_door") + body)
        assert status in {400, 413}, body[:40]
        assert json.loads(answer)["status"] == status


def two_lengths_are_refused_and_nothing_is_smuggled(server: Server) -> None:
    smuggled = server.head("DELETE", "/api/cameras/front_door", "Content-Length: 0")
    for lengths in (
        ("Content-Length: 5", "Transfer-Encoding: chunked"),
        ("Transfer-Encoding: chunked", f"Content-Length: {len(smuggled)}"),
        ("Transfer-Encoding: chunked", "Transfer-Encoding: identity"),
        ("Transfer-Encoding: xchunked",),
        ("Transfer-Encoding: chunked, chunked",),
        ("Transfer-Encoding : chunked",),
        ("Transfer-Encoding: \x0bchunked",),
        ("Transfer-Encoding: gzip",),
        ("Content-Length: +0",),
    ):
        with closing(server.connect()) as client:
            client.sendall(server.head("POST", "/api/signed-urls", *lengths) + b"0\r\n\r\n" + smuggled)
            assert first_answer(client)[0] in {400, 501}, lengths
            assert client.recv(1000) == b"", lengths
    assert server.ask(server.head("GET", "/api/cameras/front_door", "Accept: */*"))[0] == 200


def an_endless_body_is_cut_off(server: Server) -> None:
    with closing(server.connect()) as client:
        client.sendall(server.head("PATCH", "/api/cameras/front_door"))
        piece = b"%x\r\n%s\r\n" % (2**16, b" " * 2**16)
        for _ in range(LIMIT // 2**16 + 2):
            client.sendall(piece)
        assert first_answer(client)[0] == 413


def a_client_that_stops_in_the_middle_is_cut_off(server: Server) -> None:
    beginnings = (b"", b"5", b'5\r\n{"a', b"2\r\n{}\r\n", b"2\r\n{}\r\n0\r\n")
    with ExitStack() as stack:
        clients = [stack.enter_context(closing(server.connect())) for _ in beginnings]
        for client, beginning in zip(clients, beginnings, strict=True):
            client.sendall(server.head("PATCH", "/api/cameras/front_door") + beginning)
        for client in clients:
            assert first_answer(client)[0] == 408
            assert client.recv(1000) == b""


def the_next_request_on_the_connection_is_answered(server: Server) -> None:
    with closing(server.connect()) as client:
        for number in (1, 2):
            body = json.dumps({"notes": str(number)}).encode()
            client.sendall(server.head("PATCH", "/api/cameras/front_door") + chunks(body))
            status, answer = first_answer(client)
            assert (status, json.loads(answer)["notes"]) == (200, str(number))


def a_form_in_chunks_signs_in(server: Server) -> None:
    hashed = PBKDF2PasswordHasher().encode(PASSWORD, "salt", iterations=1000)  # the server's own way, but quick
    User.objects.filter(pk=make_user("ann").pk).update(password=hashed)
    with closing(server.connect()) as client:
        client.sendall(b"GET /login HTTP/1.1\r\nHost: localhost\r\nAccept: */*\r\n\r\n")
        page = b""
        while b"</html>" not in page:
            page += client.recv(65536)
    cookie = page.partition(b"Set-Cookie: ")[2].partition(b";")[0].decode()
    token = page.partition(b'name="csrfmiddlewaretoken" value="')[2].partition(b'"')[0].decode()
    body = f"username=ann&password={PASSWORD}&csrfmiddlewaretoken={token}".encode()
    form = "application/x-www-form-urlencoded"

    sent = server.head("POST", "/login", f"Cookie: {cookie}", "Transfer-Encoding: chunked", kind=form) + chunks(body)

    assert server.ask(sent)[0] == 302
    assert server.ask(sent.replace(token.encode(), b"x" * 64))[0] == 403


def test_memory_does_not_grow_with_a_long_body() -> None:
    """It goes to the disk: what is held is a step of it."""
    body = ChunkedBody(BytesIO(b" " * LIMIT))
    tracemalloc.start()

    assert int(body) == LIMIT

    assert tracemalloc.get_traced_memory()[1] < LIMIT / 4
    tracemalloc.stop()
    assert body.read() == b" " * LIMIT
