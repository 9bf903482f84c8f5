"""The queue in folders on disk."""

from __future__ import annotations

import threading
from pathlib import Path
from queue import Empty
from typing import Any

import pytest
from kombu import Connection

from nvr.celery import app
from nvr.file_queue import Channel


@pytest.fixture
def channel(tmp_path: Path) -> Any:
    folders = {"data_folder_in": "m", "data_folder_out": "m", "control_folder": "c", "processed_folder": "p"}
    for name in "mcp":
        (tmp_path / name).mkdir()
    options = {key: str(tmp_path / name) for key, name in folders.items()}
    with Connection("filesystem://localhost//", transport_options=options) as link:
        yield link.channel()


def test_the_application_uses_this_queue(channel: Any) -> None:
    assert app.main == "nvr"
    assert isinstance(channel, Channel)


def test_a_torn_message_is_dropped_and_the_next_one_taken(channel: Any, tmp_path: Path) -> None:
    (tmp_path / "m/0_torn.bulk.msg").write_bytes(b"")
    channel._put("bulk", {"body": "whole"})

    assert channel._get("bulk") == {"body": "whole"}
    with pytest.raises(Empty):
        channel._get("bulk")
    assert not [file for file in tmp_path.rglob("*") if file.is_file()]


def test_a_message_is_never_taken_before_it_is_whole(channel: Any) -> None:
    payload = {"body": "x" * 200_000}
    writer = threading.Thread(target=lambda: [channel._put("bulk", payload) for _ in range(200)])
    writer.start()

    taken: list[Any] = []
    while writer.is_alive() or len(taken) < 200:
        try:
            taken.append(channel._get("bulk"))
        except Empty:
            if not writer.is_alive():
                break
    writer.join()

    assert taken == [payload] * 200
