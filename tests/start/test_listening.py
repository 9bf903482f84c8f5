"""Where `up` listens: an address, or a unix socket that only the proxy can open."""

from __future__ import annotations

import fcntl
import socket
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from nvr.default_hosts import is_loopback
from nvr.supervision import instance as supervision
from nvr.supervision.instance import Instance, address_of_running, store_address
from nvr.supervision.listening import CannotListen, address_of, listening_socket, port_of


def test_a_unix_socket_is_for_its_user_and_the_group_of_its_folder(tmp_path: Path) -> None:
    path = tmp_path / "nvr.sock"

    with closing(listening_socket(f"unix:{path}", 8000)) as listener:
        assert path.stat().st_mode & 0o777 == 0o660
        assert (address_of(listener), port_of(listener)) == (f"unix:{path}", 0)
        with closing(socket.socket(socket.AF_UNIX)) as client:
            client.connect(str(path))


def test_a_stale_socket_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "nvr.sock"
    listening_socket(f"unix:{path}", 0).close()
    assert path.exists()

    listening_socket(f"unix:{path}", 0).close()


def test_a_socket_in_use_is_not_replaced(tmp_path: Path) -> None:
    path = tmp_path / "nvr.sock"
    with closing(listening_socket(f"unix:{path}", 0)):
        with pytest.raises(CannotListen, match="in use"):
            listening_socket(f"unix:{path}", 0)
        assert path.is_socket()


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("nvr.sock", "not a full path"),
        ("/{}/none/nvr.sock", "Its folder"),
        ("/{}/file", "not a socket"),
        ("/{}", "not a socket"),
    ],
)
def test_an_unusable_path_is_reported_in_one_sentence(tmp_path: Path, name: str, sentence: str) -> None:
    (tmp_path / "file").write_text("precious")

    with pytest.raises(CannotListen, match=sentence):
        listening_socket(f"unix:{name.format(str(tmp_path)[1:])}", 0)

    assert (tmp_path / "file").read_text() == "precious"


def test_a_path_that_is_too_long_is_reported(tmp_path: Path) -> None:
    with pytest.raises(CannotListen, match="too long"):
        listening_socket(f"unix:{tmp_path}/{'x' * 120}", 0)


@pytest.mark.parametrize(
    ("address", "loopback"),
    [
        ("127.0.0.1", True),
        ("127.1.2.3", True),
        ("::1", True),
        ("0.0.0.0", False),
        ("::", False),
        ("192.168.1.2", False),
        ("unix:/run/nvr.sock", False),
        ("", False),
    ],
)
def test_is_loopback_accepts_only_addresses_of_this_machine(address: str, loopback: bool) -> None:
    assert is_loopback(address) is loopback


def test_doctor_finds_the_address_of_the_running_instance(tmp_path: Path) -> None:
    store_address(tmp_path, "0.0.0.0")
    assert address_of_running(tmp_path) == ""

    instance = Instance.acquire(tmp_path, "mark")
    assert address_of_running(tmp_path) == "0.0.0.0"

    instance.file.close()
    assert address_of_running(tmp_path) == ""


def test_reading_the_address_does_not_prevent_a_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervision, "RETRY_S", 60.0)
    store_address(tmp_path, "of a previous run")
    Instance.acquire(tmp_path, "mark").file.close()
    with (tmp_path / "up.lock").open() as reader, ThreadPoolExecutor() as pool:
        fcntl.flock(reader, fcntl.LOCK_SH)
        assert address_of_running(tmp_path) == ""  # a second reader is not taken for an instance

        starting = pool.submit(Instance.acquire, tmp_path, "mark")
        with pytest.raises(TimeoutError):
            starting.result(0.1)
        fcntl.flock(reader, fcntl.LOCK_UN)

        starting.result().file.close()


def test_a_first_start_has_no_address_yet(tmp_path: Path) -> None:
    instance = Instance.acquire(tmp_path, "mark")

    assert address_of_running(tmp_path) == ""
    instance.file.close()
