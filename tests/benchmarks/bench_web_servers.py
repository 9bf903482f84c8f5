"""Slow clients and plain speed: our worker beside gunicorn's own gthread, waitress and granian, all with NVR itself.

Each server has eight threads and, where it has such settings, a limit of five seconds for a socket that transfers
nothing and of 1000 connections per process. A cell says how long a request for `/api/health` took meanwhile, at most
of three.
"""

from __future__ import annotations

import socket
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path

import pytest
from django.contrib.auth.models import User

from nvr.accounts.models import ApiKey
from tests.factories import folder_of, make_camera
from tests.servers import free_port, our_environment, running, wrk

MIB = 2**20
ESTABLISHED = "01"
LIMIT_S = 5
NO_ANSWER_S = 5  # after which a request counts as not answered
NOT_CLOSED_S = 20  # after which a connection counts as never closed
COMMANDS = {
    "NVR": "gunicorn -c python:nvr.webserver.configuration -b 127.0.0.1:{port} nvr.wsgi",
    "gthread": "gunicorn -k gthread --threads 4 --workers 2 -b 127.0.0.1:{port} nvr.wsgi",
    "waitress": "waitress --listen=127.0.0.1:{port} --threads=8 --connection-limit=1000 --channel-timeout={limit_s}"
    " --cleanup-interval=1 --asyncore-use-poll nvr.wsgi:application",
    "granian": "granian --interface wsgi --host 127.0.0.1 --port {port} --workers 2 --blocking-threads 4 --no-ws"
    " --http1-header-read-timeout {limit_s}000 nvr.wsgi:application",
}
HEAD = b"Host: localhost\r\n"
HALF_A_HEAD = b"GET / HTTP/1.1\r\n" + HEAD + b"X-Slow: "
SMALL_BODY = b"POST /api/token HTTP/1.1\r\n" + HEAD + b"Content-Type: application/json\r\nContent-Length: 1000\r\n\r\n{"
LARGE_BODY = SMALL_BODY.replace(b"1000", b"2000000") + b" " * 1000
CHUNKS = SMALL_BODY.replace(b"Content-Length: 1000\r\n\r\n{", b"Transfer-Encoding: chunked\r\n\r\n5\r\n{")
SEND_PART = {
    "50 send half a head": HALF_A_HEAD,
    "50 send part of a small body": SMALL_BODY,
    "50 send part of a large body": LARGE_BODY,
    "50 send part of a chunked body": CHUNKS,
}


@dataclass
class Server:
    """A running server; `video` is a request for 64 MB by API key."""

    port: int
    video: bytes
    headers: dict[str, str]

    def connect(self, address: str = "127.0.0.1") -> socket.socket:
        """A connection with a small receive buffer, so that a client that does not read is soon noticed."""
        client = socket.socket()
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.settimeout(NO_ANSWER_S)
        client.bind((address, 0))
        client.connect(("127.0.0.1", self.port))
        return client

    def state_of(self, client: socket.socket) -> str:
        """Whether the server's end is `waiting` to be accepted, `open` or `closed`.

        The client itself cannot tell: a close is sent after the data, which it does not read.
        """
        ports = (self.port, client.getsockname()[1])
        for row in (line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]):
            if tuple(int(end.rpartition(":")[2], 16) for end in row[1:3]) == ports:
                is_held = row[9] != "0"  # the inode of a process's socket
                return "open" if is_held else "waiting" if row[3] == ESTABLISHED else "closed"
        return "closed"

    def longest_wait(self, address: str = "127.0.0.1") -> float | None:
        """The longest of three requests in seconds; None if one gets no answer."""
        waits = []
        for _ in range(3):
            started = time.monotonic()
            client = HTTPConnection("127.0.0.1", self.port, timeout=NO_ANSWER_S, source_address=(address, 0))
            try:
                with closing(client):
                    client.request("GET", "/api/health")
                    client.getresponse().read()
            except OSError:
                return None
            waits.append(time.monotonic() - started)
        return max(waits)


@contextmanager
def slow_clients(server: Server, beginning: bytes, count: int = 50) -> Iterator[list[socket.socket]]:
    with ExitStack() as stack:
        clients = [stack.enter_context(closing(server.connect())) for _ in range(count)]
        for client in clients:
            client.sendall(beginning)
        time.sleep(1)  # until each has what it can get
        yield clients


def while_they_send(beginning: bytes) -> Callable[[Server], str]:
    def measure(server: Server) -> str:
        with slow_clients(server, beginning):
            return answered(server.longest_wait())

    return measure


def while_they_read_slowly(server: Server) -> str:
    waits = []
    with slow_clients(server, server.video) as clients:
        for _ in range(3):
            for client in clients:
                read_byte(client)
            waits.append(server.longest_wait())
    return answered(None if None in waits else max(filter(None, waits)))


def while_one_address_is_idle(server: Server) -> str:
    with ExitStack() as stack:
        try:
            for _ in range(2200):
                stack.enter_context(closing(server.connect()))
        except OSError:
            pass  # it accepts no more
        time.sleep(3)  # the kernel connects clients before the server accepts them
        return answered(server.longest_wait("127.0.0.2"))


def read_byte(client: socket.socket) -> None:
    client.settimeout(0.01)
    with suppress(OSError):
        client.recv(1)


def answered(seconds: float | None) -> str:
    return "no answer" if seconds is None else f"{1000 * seconds:.0f} ms"


def closed_after(server: Server, beginning: bytes, *, go_on: bytes = b"") -> str:
    """How long until the server closes the connection of a client that sends `go_on` twice a second and never reads."""
    with closing(server.connect()) as client:
        client.sendall(beginning)
        started = time.monotonic()
        while (spent := time.monotonic() - started) < NOT_CLOSED_S:
            if server.state_of(client) == "closed":
                return f"{spent:.0f} s"
            with suppress(OSError):
                client.sendall(go_on)
            time.sleep(0.5)
    return "never"


def stopped_reader_closed_after(server: Server) -> str:
    while not gets_video(server):
        time.sleep(0.5)  # the clients of the scenario before still have all places for large answers
    return closed_after(server, server.video)


def gets_video(server: Server) -> bool:
    with closing(server.connect()) as client:
        client.sendall(server.video)
        return client.recv(12) == b"HTTP/1.1 200"


SCENARIOS: dict[str, Callable[[Server], str]] = {
    "no slow clients": lambda server: answered(server.longest_wait()),
    **{name: while_they_send(beginning) for name, beginning in SEND_PART.items()},
    "50 read a byte per second of 64 MB": while_they_read_slowly,
    "2200 idle connections of one address": while_one_address_is_idle,
    "a head at 2 bytes/s is closed after": lambda server: closed_after(server, HALF_A_HEAD, go_on=b"a"),
    "a stalled large body is closed after": lambda server: closed_after(server, LARGE_BODY),
    "a stopped reader is closed after": stopped_reader_closed_after,
}
SPEEDS = {
    "/api/health": ("/api/health", {}),
    "range of 1 MiB, by key": (
        "/api/media/cameras/bench/long.mp4",
        {"Range": f"bytes={32 * MIB}-{33 * MIB - 1}"},
    ),
}


def speed(server: Server, path: str, headers: dict[str, str]) -> float:
    """For two clients: NVR itself refuses more than two large answers at a time with four threads."""
    return wrk(f"http://127.0.0.1:{server.port}{path}", connections=2, headers=headers | server.headers)


@contextmanager
def serving(name: str, key: str) -> Iterator[Server]:
    port = free_port()
    command = [sys.executable, "-m", *COMMANDS[name].format(port=port, limit_s=LIMIT_S).split()]
    environment = our_environment(
        NVR_WEB_THREADS="4", NVR_SOCKET_TIMEOUT=str(LIMIT_S), NVR_CONNECTIONS_PER_ADDRESS="100"
    )
    headers = {"X-API-Key": key}
    video = f"GET /api/media/cameras/bench/long.mp4 HTTP/1.1\r\nHost: localhost\r\nX-API-Key: {key}\r\n\r\n"
    with running(command, f"http://127.0.0.1:{port}/api/health", **environment):
        yield Server(port, video.encode(), headers)


@pytest.mark.timeout(1800)
def test_web_servers(transactional_db: None) -> None:
    (folder_of(make_camera("Bench")) / "long.mp4").write_bytes(bytes(64 * MIB))
    key = ApiKey.objects.issue(user=User.objects.create_superuser("bench"), name="bench")[1]
    rows: dict[str, list[str]] = {name: [] for name in (*SCENARIOS, *SPEEDS)}
    for name in COMMANDS:
        with serving(name, key) as server:
            server.longest_wait()  # the first request imports what it needs
            for scenario, measure in SCENARIOS.items():
                rows[scenario].append(measure(server))
                print(f"{name}: {scenario}: {rows[scenario][-1]}", flush=True)
                while server.longest_wait() is None:
                    pass  # until the clients that are gone have been noticed
    with ExitStack() as stack:
        servers = [stack.enter_context(serving(name, key)) for name in COMMANDS]
        for name, (path, headers) in SPEEDS.items():
            rounds = [[speed(server, path, headers) for server in servers] for _ in range(5)]
            rows[name] = [f"{sorted(column)[2]:,.0f}/s" for column in zip(*rounds, strict=True)]
    print("\n| | " + " | ".join(COMMANDS) + " |\n|---|" + "---|" * len(COMMANDS))
    for name, cells in rows.items():
        print(f"| {name} | " + " | ".join(cells) + " |")
