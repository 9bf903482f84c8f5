"""What a real gunicorn puts on the wire for ranges of a file."""

from __future__ import annotations

import http.client
import os
import random
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

BASE_DIR = Path(__file__).resolve().parents[2]
SIZE = 3_000_000
CONTENT = random.Random(1).randbytes(SIZE)
DEEP = 5 * 10**9


class Server:
    def __init__(self, port: int, pid: int, file: Path) -> None:
        self.port, self.pid, self.file = port, pid, file

    def connect(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)

    def get(self, path: str = "/file", method: str = "GET", **headers: str) -> tuple[int, bytes]:
        connection = self.connect()
        connection.request(method, path, headers=headers)
        response = connection.getresponse()
        data = response.read()
        connection.close()
        return response.status, data

    def number(self, path: str) -> int:
        return int(self.get(path)[1])


def start(file: Path, *options: str) -> tuple[subprocess.Popen[bytes], int]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "gunicorn", "-k", "gthread", "--threads", "4", "-b", f"127.0.0.1:{port}"]
    command += ["--no-control-socket", *options, "tests.media.ranged_app:application"]
    environment = {**os.environ, "SERVED_FILE": str(file)}
    environment.pop("DJANGO_SETTINGS_MODULE", None)
    process = subprocess.Popen(command, cwd=BASE_DIR, env=environment, stderr=subprocess.DEVNULL)
    for _ in range(200):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return process, port
        time.sleep(0.1)
    raise AssertionError("gunicorn did not start")


@pytest.fixture(scope="module", params=["sendfile", "no sendfile"])
def server(request, tmp_path_factory) -> Iterator[Server]:
    file = tmp_path_factory.mktemp("served") / "a.mp4"
    file.write_bytes(CONTENT)
    process, port = start(file, *(["--no-sendfile"] if request.param == "no sendfile" else []))
    yield Server(port, process.pid, file)
    process.terminate()
    process.wait(timeout=20)


@pytest.fixture
def own_server(tmp_path) -> Iterator[Server]:
    file = tmp_path / "a.mp4"
    file.write_bytes(CONTENT)
    process, port = start(file)
    yield Server(port, process.pid, file)
    process.terminate()
    process.wait(timeout=20)


@pytest.mark.parametrize("path", ["/file", "/bytes"])
def test_each_response_on_a_connection_is_exactly_its_range(server, path):
    connection = server.connect()
    spans = [(0, 0), (SIZE - 1, SIZE - 1), (1_234_567, 2_345_678), (0, SIZE - 1), (65_535, 65_536), (7, 300_000)]

    for first, last in spans:
        connection.request("GET", path, headers={"Range": f"bytes={first}-{last}"})
        response = connection.getresponse()

        assert response.status == 206
        assert response.headers["Content-Range"] == f"bytes {first}-{last}/{SIZE}"
        assert response.read() == CONTENT[first : last + 1]
    connection.request("GET", path)
    assert connection.getresponse().read() == CONTENT


@pytest.mark.parametrize("path", ["/file", "/bytes"])
def test_responses_without_a_body_leave_the_connection_usable(server, path):
    connection = server.connect()
    for method, headers, status in [
        ("HEAD", {}, 200),
        ("HEAD", {"Range": "bytes=5-9"}, 200),
        ("GET", {"If-None-Match": "*"}, 304),
        ("GET", {"Range": f"bytes={SIZE}-"}, 416),
        ("GET", {"If-Match": '"other"'}, 412),
    ]:
        connection.request(method, path, headers=headers)
        response = connection.getresponse()
        assert response.status == status
        response.read()

    connection.request("GET", path, headers={"Range": "bytes=-5"})
    assert connection.getresponse().read() == CONTENT[-5:]


def test_the_slot_of_a_disconnected_client_is_released(server):
    for _ in range(6):
        connection = server.connect()
        connection.request("GET", "/file")
        connection.getresponse().read(10)
        connection.sock.close()
        connection.close()

    assert eventually(server, "/slots", 0)


def eventually(server: Server, path: str, number: int) -> bool:
    """The client has its bytes before the server has counted them."""
    for _ in range(100):
        if server.number(path) == number:
            return True
        time.sleep(0.1)
    return False


def test_sendfile_sends_the_range_and_nothing_else(own_server):
    own_server.get(Range="bytes=1000000-1999999")

    assert eventually(own_server, "/kernel", 1_000_000)


def test_a_range_deep_in_a_large_file_needs_little_time_and_memory(own_server):
    with own_server.file.open("r+b") as file:
        file.seek(DEEP)
        file.write(CONTENT)
    own_server.number("/slots")  # there is a worker now, and it has loaded what it needs
    before = resident_kib(own_server.pid)
    started = time.monotonic()

    status, data = own_server.get(Range=f"bytes={DEEP + 1000}-{DEEP + 2_000_999}")

    assert (status, data) == (206, CONTENT[1000:2_001_000])
    assert time.monotonic() - started < 10
    assert resident_kib(own_server.pid) - before < 20_000


def resident_kib(pid: int) -> int:
    workers = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return sum(int(Path(f"/proc/{worker}/statm").read_text().split()[1]) * 4 for worker in workers)


def test_a_file_that_shrinks_closes_the_connection(own_server):
    connection = own_server.connect()
    connection.request("GET", "/shrinking")
    response = connection.getresponse()

    with pytest.raises((http.client.IncompleteRead, ConnectionResetError)):
        response.read()
    assert eventually(own_server, "/slots", 0)
