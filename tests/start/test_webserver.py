"""The web server against clients that are slow, greedy or talk nonsense: real gunicorn, small application."""

from __future__ import annotations

import http.client
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest
from gunicorn.config import Config

from nvr.webserver.per_address import ConnectionsPerAddress
from tests.servers import free_port, wait_until_idle

from .conftest import environment, starting, wait_until

LIMIT_SECONDS = 3
TIMEOUT_SECONDS = 600
REQUEST = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody"
CONTENT = bytes(range(256)) * 128 * 1024


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Two processes of four threads each, and a time limit of three seconds."""
    folder = tmp_path_factory.mktemp("webserver")
    content = folder / "content"
    content.write_bytes(CONTENT)
    return {
        **environment(folder / "data"),
        "NVR_SOCKET_TIMEOUT": str(LIMIT_SECONDS),
        "NVR_WEB_THREADS": "4",
        "SMALL_APP_FILE": str(content),
    }


@contextmanager
def small_server(folder: Path, env: dict[str, str]) -> Iterator[int]:
    port, configuration = free_port(), "python:nvr.webserver.configuration"
    with starting(folder) as start:
        start("-m", "gunicorn", "-c", configuration, "-b", f"127.0.0.1:{port}", "tests.start.small_app", env=env)
        assert wait_until(lambda: answers(port))
        yield port


@pytest.fixture(scope="module")
def started(small: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    with small_server(tmp_path_factory.mktemp("output"), small) as port:
        yield port


@pytest.fixture(scope="module")
def patient(small: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """It closes nobody for minutes: whoever is answered meanwhile was not kept waiting by slow clients."""
    env = small | {"NVR_SOCKET_TIMEOUT": str(TIMEOUT_SECONDS)}
    with small_server(tmp_path_factory.mktemp("patient"), env) as port:
        yield port


@pytest.fixture
def server(started: int) -> Iterator[int]:
    """One for all tests; none leaves it a connection."""
    yield started
    wait_until_idle(f"127.0.0.1:{started}")


def answers(port: int) -> bool:
    try:
        return ask(port)[0] == 200
    except OSError:
        return False


def ask(port: int, path: str = "/", method: str = "GET", body: bytes | None = None) -> tuple[int, bytes]:
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=60)) as client:
        client.request(method, path, body)
        response = client.getresponse()
        return response.status, response.read()


def connect(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=60)


def is_closed(client: socket.socket, *, within: float) -> bool:
    """True if the server ends the connection; what it still sends is thrown away."""
    deadline = time.monotonic() + within
    client.settimeout(0.2)
    while time.monotonic() < deadline:
        try:
            if client.recv(2**20) == b"":
                return True
        except TimeoutError:
            continue
        except OSError:
            return True
    return False


def test_requests_are_answered_and_connections_are_kept(server: int) -> None:
    with closing(http.client.HTTPConnection("127.0.0.1", server, timeout=60)) as client:
        for _ in range(3):
            client.request("GET", "/")
            assert client.getresponse().read() == b"ok"
            kept = client.sock
        assert kept is client.sock


def test_pipelined_requests_are_all_answered(server: int) -> None:
    with closing(connect(server)) as client:
        client.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n" * 3)

        received = b""
        while received.count(b"\r\n\r\nok") < 3:
            received += client.recv(65536)

        assert received.count(b"HTTP/1.1 200 OK") == 3


@pytest.mark.parametrize("cut", [1, 20, REQUEST.index(b"\r\n\r\n") + 2, len(REQUEST) - 1])
@pytest.mark.parametrize("pause_s", [0, 0.001, 0.05])
def test_a_following_request_in_several_pieces_is_answered(server: int, cut: int, pause_s: float) -> None:
    with closing(connect(server)) as client:
        for _ in range(5):
            client.sendall(REQUEST[:cut])
            time.sleep(pause_s)
            client.sendall(REQUEST[cut:])
            received = b""
            while not received.endswith(b"\r\n\r\nok"):
                received += client.recv(65536)
            assert received.count(b"HTTP/1.1 200 OK") == 1


def test_busy_clients_do_not_starve_others(patient: int) -> None:
    over = threading.Event()

    def ask_on_and_on() -> None:
        with closing(http.client.HTTPConnection("127.0.0.1", patient, timeout=60)) as client:
            while not over.is_set():
                client.request("GET", "/")
                assert client.getresponse().read() == b"ok"

    with ThreadPoolExecutor(12) as clients:  # of eight threads
        busy = [clients.submit(ask_on_and_on) for _ in range(12)]
        try:
            assert [ask(patient) for _ in range(10)] == [(200, b"ok")] * 10
        finally:
            over.set()
        for client in busy:
            client.result()


@pytest.mark.parametrize("size", [0, 10, 65_536, 65_537, 3_000_000])
def test_bodies_of_any_size_arrive_completely(server: int, size: int) -> None:
    assert ask(server, "/body", "POST", b"x" * size) == (200, str(size).encode())


def test_a_chunked_body_arrives_completely(server: int) -> None:
    with closing(connect(server)) as client:
        client.sendall(b"POST /body HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
        client.sendall(b"5\r\nhello\r\n0\r\n\r\n")
        answer = b""
        while not answer.endswith(b"\r\n0\r\n\r\n"):
            piece = client.recv(65536)
            assert piece
            answer += piece
        assert answer.endswith(b"\r\n\r\n1\r\n5\r\n0\r\n\r\n")


def chunked(*sizes: int) -> bytes:
    head = b"POST /body HTTP/1.1\r\nHost: a\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
    chunks = b"".join(b"%x;a=b\r\n%b\r\n" % (size, b"0\r\n\r\n"[: min(size, 5)].ljust(size)) for size in sizes)
    return head + chunks + b"0\r\nX-Trailer: 1\r\n\r\n"


def sent_in_pieces(port: int, *pieces: bytes) -> bytes:
    with closing(connect(port)) as client:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for piece in pieces:
            client.sendall(piece)
            time.sleep(0.001)
        answer = b""
        while data := client.recv(65536):
            answer += data
        return answer


@pytest.mark.parametrize("sizes", [(), (5,), (1, 2, 3) * 20, (65_530, 20), (70_000, 70_000), (1,) * 20_000])
def test_chunked_bodies_of_any_size_arrive_completely(patient: int, sizes: tuple[int, ...]) -> None:
    body = chunked(*sizes)
    for step in (len(body), 1 if len(body) < 1000 else 20_000):
        answer = sent_in_pieces(patient, *(body[at : at + step] for at in range(0, len(body), step)))
        assert f"\r\n{sum(sizes)}\r\n".encode() in answer, (step, answer)


def test_small_chunked_bodies_do_not_wait_for_large_ones(patient: int) -> None:
    with clients_that_send(patient, LARGE_BODY):
        assert b"\r\n300\r\n" in sent_in_pieces(patient, chunked(100, 200))


def test_a_client_that_expects_100_continue_gets_it(server: int) -> None:
    with closing(connect(server)) as client:
        client.sendall(b"POST /body HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n")
        assert client.recv(100).startswith(b"HTTP/1.1 100 Continue")
        client.sendall(b"hello")
        assert client.recv(1000).startswith(b"HTTP/1.1 200 OK")


def test_a_file_is_sent_from_its_position_with_the_promised_length(server: int) -> None:
    status, body = ask(server, "/file")

    assert status == 200
    assert body == CONTENT[100:30_000_100]


HALF_A_HEAD = b"GET / HTTP/1.1\r\nHost: a\r\nX-Slow: "
SMALL_BODY = b"POST /body HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n{"
LARGE_BODY = b"POST /body HTTP/1.1\r\nHost: a\r\nContent-Length: 50000000\r\n\r\n" + b"x" * 1000
SOME_CHUNKS = b"POST /body HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n5\r\nhel"
CLOSING = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"


@contextmanager
def clients_that_send(port: int, beginning: bytes, count: int = 50) -> Iterator[list[socket.socket]]:
    """That many clients which send `beginning`, and then nothing more, until the block ends."""
    with ExitStack() as stack:
        clients = [stack.enter_context(closing(connect(port))) for _ in range(count)]
        for client in clients:
            client.sendall(beginning)
        yield clients


@pytest.mark.parametrize("beginning", [HALF_A_HEAD, SMALL_BODY, LARGE_BODY, SOME_CHUNKS, CLOSING], ids=len)
def test_slow_clients_leave_threads_for_the_others(patient: int, beginning: bytes) -> None:
    """Half a head or a small body costs no thread, large bodies at most half of them."""
    with clients_that_send(patient, beginning):
        assert [ask(patient) for _ in range(5)] == [(200, b"ok")] * 5


@pytest.mark.parametrize("beginning", [HALF_A_HEAD, SMALL_BODY, LARGE_BODY, SOME_CHUNKS], ids=len)
def test_connections_of_slow_clients_are_closed(server: int, beginning: bytes) -> None:
    with clients_that_send(server, beginning) as clients:
        assert all(is_closed(client, within=60) for client in clients)


def test_a_client_that_sends_its_headers_too_slowly_is_disconnected(server: int) -> None:
    with closing(connect(server)) as client:
        client.sendall(b"GET / HTTP/1.1\r\nX-Slow: ")
        started = time.monotonic()
        with pytest.raises(OSError):
            while time.monotonic() - started < 60:
                client.sendall(b"a")
                time.sleep(0.2)

        assert time.monotonic() - started < 60


@pytest.fixture
def crowded(small: dict[str, str], start: Callable[..., object], port: int) -> int:
    """One process that has room for a thousand connections, and lets an address have ten."""
    arguments = ["-c", "python:nvr.webserver.configuration", "-b", f"0.0.0.0:{port}", "tests.start.small_app"]
    settings = {"NVR_WEB_WORKERS": "1", "NVR_CONNECTIONS_PER_ADDRESS": "10", "NVR_SOCKET_TIMEOUT": "300"}
    start("-m", "gunicorn", *arguments, env=small | settings | {"NVR_TRUSTED_PROXIES": "127.0.0.3"})
    assert wait_until(lambda: answers(port))
    wait_until_idle(f"127.0.0.1:{port}")
    return port


def connect_from(address: str, port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=10, source_address=(address, 0))


def answer_to(client: socket.socket) -> bytes:
    """The first bytes; nothing if the server has closed before it heard the request."""
    try:
        client.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        return client.recv(64)
    except OSError:
        return b""


def test_idle_connections_of_one_address_leave_room_for_others(crowded: int) -> None:
    with ExitStack() as stack:
        idle = [stack.enter_context(closing(connect_from("127.0.0.1", crowded))) for _ in range(1200)]

        with closing(connect_from("127.0.0.2", crowded)) as other:
            assert answer_to(other).startswith(b"HTTP/1.1 200 OK")
        proxy = [stack.enter_context(closing(connect_from("127.0.0.3", crowded))) for _ in range(30)]
        assert all(answer_to(client).startswith(b"HTTP/1.1 200 OK") for client in proxy)
        assert answer_to(idle[0]).startswith(b"HTTP/1.1 200 OK")
        assert not answer_to(idle[-1]).startswith(b"HTTP/1.1 200 OK")

    assert wait_until(lambda: answers(crowded))


def test_proxies_have_no_connection_limit_and_others_are_counted_by_network(settings: Any) -> None:
    settings.NVR_TRUSTED_PROXIES = [ip_network("::1/128"), ip_network("fd00::7/128"), ip_network("192.0.2.7/32")]
    connections = ConnectionsPerAddress(1)

    for address in ("::1", "fd00::7", "::ffff:192.0.2.7", "fd00:0:0:1::5"):
        connections.opened((address, 1, 0, 0))

    assert not connections.is_full(("::1", 2, 0, 0))
    assert not connections.is_full(("fd00::7", 2, 0, 0))
    assert not connections.is_full(("::ffff:192.0.2.7", 2, 0, 0))
    assert connections.is_full(("fd00::8", 2, 0, 0))  # of the proxy's network, and no proxy
    assert connections.is_full(("fd00:0:0:1::6", 2, 0, 0))
    assert not connections.is_full("")


@pytest.mark.parametrize("path", ["/file", "/long"])
def test_a_client_that_stops_reading_is_disconnected(server: int, path: str) -> None:
    with closing(socket.socket()) as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.connect(("127.0.0.1", server))
        client.sendall(f"GET {path} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
        time.sleep(LIMIT_SECONDS + 2)

        received = 0
        while chunk := receive(client):
            received += len(chunk)

        assert 0 < received < (30_000_000 if path == "/file" else 50 * 2**20)


def receive(client: socket.socket) -> bytes:
    try:
        return client.recv(2**20)
    except OSError:
        return b""


def test_a_client_that_reads_steadily_gets_a_complete_long_response(server: int) -> None:
    """It takes longer than the limit: each byte that moves begins a new wait."""
    with closing(socket.socket()) as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 262_144)
        client.connect(("127.0.0.1", server))
        client.sendall(b"GET /long HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        started, received = time.monotonic(), 0
        while chunk := client.recv(131_072):
            received += len(chunk)
            time.sleep(max(0.0, started + (LIMIT_SECONDS + 2) * received / (50 * 2**20) - time.monotonic()))

    assert time.monotonic() - started > LIMIT_SECONDS
    assert received > 50 * 2**20


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\nHost: a\r\n\r\n", 414),
        (b"GET / HTTP/1.1\r\nHost: a\r\n" + b"X: y\r\n" * 200 + b"\r\n", 431),
        (b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"a" * 70_000, 431),
        (b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: many\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab", 400),
        (b"nonsense<script>\r\n\r\n", 400),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400),
    ],
)
def test_a_malformed_request_is_rejected_in_json_without_an_echo(
    server: int, request_bytes: bytes, status: int
) -> None:
    with closing(connect(server)) as client:
        client.sendall(request_bytes)
        response = http.client.HTTPResponse(client)
        response.begin()
        body = response.read()

    assert response.status == status
    assert json.loads(body)["status"] == status
    assert b"script" not in body


def test_files_are_sent_with_sendfile(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NVR_PROCESS", "web")  # which it sets by itself, and would for all that tests start later
    from nvr.webserver import configuration

    used = Config()
    for name, value in vars(configuration).items():
        if name in used.settings:
            used.set(name, value)

    assert used.sendfile
    assert used.worker_class_str == "nvr.webserver.worker.TimeoutWorker"


@pytest.fixture
def port() -> int:
    return free_port()


@pytest.fixture
def poor(port: int, small: dict[str, str], start: Callable[..., object], tmp_path: Path) -> Path:
    """One process that may have 64 files open; gives what it says."""
    output = tmp_path / "output"
    gunicorn = "runpy.run_module('gunicorn', run_name='__main__')"
    limited = f"import resource, runpy; resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64)); {gunicorn}"
    arguments = ["-c", "python:nvr.webserver.configuration", "-b", f"127.0.0.1:{port}", "tests.start.small_app"]
    start("-c", limited, *arguments, env=small | {"NVR_WEB_WORKERS": "1"}, output=output)
    assert wait_until(lambda: answers(port))
    wait_until_idle(f"127.0.0.1:{port}")  # a connection that it closes later would be a file more
    return output


def test_connections_use_at_most_half_of_the_open_file_limit(port: int, poor: Path) -> None:
    with ExitStack() as stack:
        clients = [stack.enter_context(closing(connect(port))) for _ in range(120)]
        for client in clients:
            client.sendall(b"GET / HT")
        clients[0].sendall(b"TP/1.1\r\nHost: a\r\n\r\n")
        assert clients[0].recv(64).startswith(b"HTTP/1.1 200 OK")

    assert wait_until(lambda: answers(port))
    assert "Too many open files" not in poor.read_text()


def test_a_process_without_free_descriptors_lets_new_connections_wait(port: int, poor: Path) -> None:
    with closing(connect(port)) as greedy:
        greedy.sendall(b"GET /hoard HTTP/1.1\r\nHost: a\r\n\r\n")
        time.sleep(0.5)  # until it has them all: one that comes meanwhile is still let in
        assert ask(port) == (200, b"ok")
        assert "no new connections for now" in poor.read_text()
        assert greedy.recv(64).startswith(b"HTTP/1.1 200 OK")

    assert ask(port) == (200, b"ok")
    assert "exited" not in poor.read_text()
