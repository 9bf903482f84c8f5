"""The socket's timeout, on a pair of real sockets."""

from __future__ import annotations

import socket
import threading
import time
from pathlib import Path

import pytest

from nvr.webserver.sockets import SMALL_BODY, SlowClient, TimeoutSocket


@pytest.fixture
def pair() -> tuple[TimeoutSocket, socket.socket]:
    ours, theirs = socket.socketpair()
    return TimeoutSocket.adopt(ours, 0.5), theirs


def test_a_silent_client_is_disconnected_after_the_limit(pair: tuple[TimeoutSocket, socket.socket]) -> None:
    started = time.monotonic()

    with pytest.raises(SlowClient):
        pair[0].recv(10)

    assert 0.4 < time.monotonic() - started < 30


def test_a_client_below_the_minimum_rate_is_disconnected(pair: tuple[TimeoutSocket, socket.socket]) -> None:
    ours, theirs = pair
    stop = threading.Event()

    def trickle() -> None:
        while not stop.wait(0.05):
            theirs.send(b"a")

    thread = threading.Thread(target=trickle)
    thread.start()
    try:
        with pytest.raises(SlowClient):
            for _ in range(100):
                ours.recv(10)
    finally:
        stop.set()
        thread.join()


def test_processing_time_of_the_application_is_not_counted(pair: tuple[TimeoutSocket, socket.socket]) -> None:
    ours, theirs = pair
    theirs.send(b"abc")
    time.sleep(0.8)

    assert [ours.recv(1) for _ in range(3)] == [b"a", b"b", b"c"]


def test_each_request_has_its_own_timeout(pair: tuple[TimeoutSocket, socket.socket]) -> None:
    ours, theirs = pair
    ours.waited = 10.0
    ours.begin_request()
    theirs.send(b"a")

    assert ours.recv(1) == b"a"


def test_a_closed_connection_reads_as_the_end_of_the_stream(pair: tuple[TimeoutSocket, socket.socket]) -> None:
    pair[1].close()

    assert pair[0].recv(10) == b""


@pytest.mark.parametrize("size", [0, 10, SMALL_BODY, SMALL_BODY + 1, 3_000_000])
def test_head_and_body_arrive_in_order(pair: tuple[TimeoutSocket, socket.socket], size: int) -> None:
    ours, theirs = pair
    body = bytes(range(256)) * (size // 256 + 1)
    arrived: list[bytes] = []
    reader = threading.Thread(target=lambda: arrived.extend(iter(lambda: theirs.recv(2**16), b"")))
    reader.start()

    ours.sendall(b"head ")
    ours.sendall(body[:size])
    ours.sendall(b" end")
    ours.close()
    reader.join(timeout=60)

    assert b"".join(arrived) == b"head " + body[:size] + b" end"


def test_a_response_without_a_body_is_sent_by_flush(
    pair: tuple[TimeoutSocket, socket.socket],
) -> None:
    ours, theirs = pair
    theirs.setblocking(False)

    ours.sendall(b"head")
    with pytest.raises(BlockingIOError):
        theirs.recv(10)
    ours.flush()
    ours.flush()

    assert theirs.recv(10) == b"head"
    ours.begin_request()
    ours.sendall(b"next")
    ours.flush()
    assert theirs.recv(10) == b"next"


def test_a_file_follows_the_head(pair: tuple[TimeoutSocket, socket.socket], tmp_path: Path) -> None:
    ours, theirs = pair
    (tmp_path / "file").write_bytes(b"0123456789")

    ours.sendall(b"head ")
    with (tmp_path / "file").open("rb") as file:
        assert ours.sendfile(file, offset=2, count=5) == 5

    assert theirs.recv(100, socket.MSG_WAITALL | socket.MSG_DONTWAIT) == b"head 23456"


def test_sending_a_file_to_a_client_that_stops_reading_ends_after_the_limit(
    pair: tuple[TimeoutSocket, socket.socket], tmp_path: Path
) -> None:
    with (tmp_path / "file").open("w+b") as file:
        file.truncate(50_000_000)
        started = time.monotonic()

        with pytest.raises(SlowClient):
            pair[0].sendfile(file, count=50_000_000)

    assert 0.4 < time.monotonic() - started < 30
