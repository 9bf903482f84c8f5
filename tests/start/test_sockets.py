"""The socket's patience, on a pair of real sockets."""

from __future__ import annotations

import socket
import threading
import time

import pytest

from nvr.webserver.sockets import PatientSocket, SlowClient


@pytest.fixture
def pair() -> tuple[PatientSocket, socket.socket]:
    ours, theirs = socket.socketpair()
    return PatientSocket.adopt(ours, 0.5), theirs


def test_silence_ends_after_the_limit(pair: tuple[PatientSocket, socket.socket]) -> None:
    started = time.monotonic()

    with pytest.raises(SlowClient):
        pair[0].recv(10)

    assert 0.4 < time.monotonic() - started < 2


def test_a_trickle_ends_although_bytes_move(pair: tuple[PatientSocket, socket.socket]) -> None:
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


def test_time_that_the_application_takes_is_not_counted(pair: tuple[PatientSocket, socket.socket]) -> None:
    ours, theirs = pair
    theirs.send(b"abc")
    time.sleep(0.8)

    assert [ours.recv(1) for _ in range(3)] == [b"a", b"b", b"c"]


def test_each_request_has_its_own_patience(pair: tuple[PatientSocket, socket.socket]) -> None:
    ours, theirs = pair
    ours.waited = 10.0
    ours.begin_request()
    theirs.send(b"a")

    assert ours.recv(1) == b"a"


def test_a_closed_peer_reads_as_the_end(pair: tuple[PatientSocket, socket.socket]) -> None:
    pair[1].close()

    assert pair[0].recv(10) == b""
