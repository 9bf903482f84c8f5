"""The queue in folders on disk."""

from __future__ import annotations

import errno
import os
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from queue import Empty
from typing import Any

import pytest
from kombu import Connection, Consumer, Producer, Queue
from kombu.asynchronous import Hub
from kombu.exceptions import ChannelError

from nvr.celery import app
from nvr.queue import disk_reserve, file_transport
from nvr.queue.file_transport import Channel
from tests.disks import fill, small_disk


@pytest.fixture
def channel(tmp_path: Path) -> Any:
    folders = {"data_folder_in": "m", "data_folder_out": "m", "control_folder": "c"}
    for name in "mc":
        (tmp_path / name).mkdir()
    options = {key: str(tmp_path / name) for key, name in folders.items()}
    with Connection("filesystem://localhost//", transport_options=options) as link:
        yield link.channel()


def files_in(folder: Path) -> set[str]:
    return {file.name for file in folder.rglob("*") if file.is_file()}


def bind(channel: Any, *queues: str) -> None:
    for queue in queues:
        channel._queue_bind("work", queue, "", queue)


def bound(channel: Any) -> set[str]:
    return {binding.queue for binding in channel.get_table("work")}


def test_the_application_uses_this_queue(channel: Any) -> None:
    assert app.main == "nvr"
    assert isinstance(channel, Channel)


def test_an_incomplete_message_is_dropped_and_the_next_one_received(channel: Any, tmp_path: Path) -> None:
    (tmp_path / "m/0_torn.bulk.msg").write_bytes(b"")
    channel._put("bulk", {"body": "whole"})

    assert channel._get("bulk") == {"body": "whole"}
    with pytest.raises(Empty):
        channel._get("bulk")
    assert not files_in(tmp_path)


def test_an_unreadable_message_is_dropped_and_the_next_one_received(channel: Any, tmp_path: Path) -> None:
    (tmp_path / "m/0_unreadable.bulk.msg").symlink_to(tmp_path / "nowhere")
    channel._put("bulk", {"body": "whole"})

    assert channel._get("bulk") == {"body": "whole"}
    assert not list((tmp_path / "m").iterdir())


def test_messages_are_received_in_order(channel: Any) -> None:
    for number in range(300):
        channel._put("bulk", {"body": number})

    assert [channel._get("bulk")["body"] for _ in range(300)] == list(range(300))


def test_messages_from_before_a_reboot_come_first(channel: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.monotonic", lambda: 999_999.0)
    channel._put("bulk", {"body": "before"})
    monkeypatch.setattr("time.monotonic", lambda: 1.0)
    channel._put("bulk", {"body": "after"})

    assert channel._get("bulk") == {"body": "before"}


@pytest.fixture
def hub(channel: Any) -> Hub:
    hub = Hub()
    channel.connection.register_with_event_loop(channel.connection, hub)
    return hub


def run_until(hub: Hub, condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 60
    while not condition() and time.monotonic() < deadline:
        hub.run_once()


@pytest.fixture
def never_polled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(file_transport, "RESCAN_S", 3600.0)


@pytest.fixture
def without_inotify(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(folder: Path) -> None:
        raise OSError(errno.ENOSPC, "no watches left")

    monkeypatch.setattr(file_transport, "FolderEvents", full)


def consume(channel: Any, on_message: Callable[[Any, Any], object], *, no_ack: bool = True) -> Consumer:
    return Consumer(channel, [Queue("bulk")], callbacks=[on_message], no_ack=no_ack)


@pytest.mark.parametrize("way", ["never_polled", "without_inotify"])
def test_a_worker_receives_messages_in_its_event_loop(
    way: str, channel: Any, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    request.getfixturevalue(way)
    hub, taken = request.getfixturevalue("hub"), []
    with consume(channel, lambda body, message: taken.append(body)):
        for number in range(3):
            Producer(channel).publish(number, routing_key="bulk")
        run_until(hub, lambda: len(taken) == 3)

    assert taken == [0, 1, 2]


def test_a_message_for_another_queue_does_not_make_a_worker_list_the_folder(
    channel: Any, never_polled: None, hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken, scans = [], []
    deliver = channel.connection.deliver_pending
    monkeypatch.setattr(channel.connection, "deliver_pending", lambda: (scans.append(1), deliver()))
    with consume(channel, lambda body, message: taken.append(body)):
        channel._put("ingest", {"body": "other"})
        hub.run_once()
        assert not scans
        Producer(channel).publish("own", routing_key="bulk")
        run_until(hub, lambda: taken)

    assert len(scans) == 1


def test_a_busy_worker_takes_the_next_message_when_it_has_finished_one(
    channel: Any, never_polled: None, hub: Hub
) -> None:
    messages: list[Any] = []
    channel.basic_qos(0, 1, False)
    with consume(channel, lambda body, message: messages.append(message), no_ack=False):
        for number in range(2):
            Producer(channel).publish(number, routing_key="bulk")
        run_until(hub, lambda: messages)
        hub.run_once()
        assert len(messages) == 1

        messages[0].ack()
        run_until(hub, lambda: len(messages) == 2)

    assert messages[1].payload == 1


def test_a_closed_connection_leaves_no_descriptor_open(channel: Any, hub: Hub) -> None:
    (watch,) = hub.readers
    assert os.readlink(f"/proc/self/fd/{watch}") == "anon_inode:inotify"

    channel.connection.client.release()

    assert not hub.readers
    assert not os.path.lexists(f"/proc/self/fd/{watch}")


def test_thousands_of_messages_are_listed_once(channel: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(1000):
        channel._put("bulk", {"body": number})
    looks = []
    listdir = os.listdir
    monkeypatch.setattr("os.listdir", lambda folder: looks.append(folder) or listdir(folder))

    for _ in range(1000):
        channel._get("bulk")

    assert len(looks) == 1


def test_two_workers_receive_each_message_once(channel: Any) -> None:
    for number in range(500):
        channel._put("bulk", {"body": number})
    with channel.connection.client.clone() as other:
        channels = (channel, other.channel())
        with ThreadPoolExecutor(2) as pool:
            taken = list(pool.map(lambda one: [message["body"] for message in all_of(one)], channels))

    assert sorted(taken[0] + taken[1]) == list(range(500))


def all_of(channel: Any) -> Iterator[Any]:
    with suppress(Empty):
        while True:
            yield channel._get("bulk")


def test_files_of_a_killed_process_are_removed_after_an_hour(channel: Any, tmp_path: Path) -> None:
    for name in ("old.part", "old.bulk.msg.taken", "new.part"):
        (tmp_path / "m" / name).write_text("{")
    for name in ("old.part", "old.bulk.msg.taken"):
        os.utime(tmp_path / "m" / name, (time.time() - 4000,) * 2)

    with pytest.raises(Empty):
        channel._get("bulk")

    assert files_in(tmp_path) == {"new.part"}


def test_a_message_that_fails_on_a_full_disk_leaves_no_file(
    channel: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Path, "replace", full)

    with pytest.raises(ChannelError, match="No space left on device"):
        channel._put("bulk", {"body": "x"})

    assert not files_in(tmp_path)


def full(*_: object) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.fixture
def full_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of its own that a queue can be put on, and then be filled to the last byte by `fill`."""
    with small_disk(tmp_path / "disk", megabytes=1) as folder:
        yield folder


def queue_on(folder: Path) -> Connection:
    folders = {"data_folder_in": "m", "data_folder_out": "m", "control_folder": "c", "reserve_folder": "r"}
    for name in set(folders.values()):
        (folder / name).mkdir()
    return Connection(
        "filesystem://localhost//", transport_options={key: str(folder / name) for key, name in folders.items()}
    )


def test_messages_are_delivered_on_a_full_disk(full_disk: Path) -> None:
    with queue_on(full_disk) as link:
        channel: Any = link.channel()
        fill(full_disk)
        for number in range(disk_reserve.ROOMS * 3):
            channel._put("bulk", {"body": number})
            channel._put("ingest", {"body": -number})
            assert channel._get("bulk") == {"body": number}
            assert channel._get("ingest") == {"body": -number}

        assert len(list((full_disk / "r").iterdir())) == disk_reserve.ROOMS


def test_the_reserve_limits_the_messages_on_a_full_disk(full_disk: Path) -> None:
    with queue_on(full_disk) as link:
        channel: Any = link.channel()
        fill(full_disk)
        for number in range(disk_reserve.ROOMS):
            channel._put("bulk", {"body": number})

        with pytest.raises(ChannelError, match="No space left"):
            channel._put("bulk", {"body": "one more"})
        assert [channel._get("bulk")["body"] for _ in range(disk_reserve.ROOMS)] == list(range(disk_reserve.ROOMS))


def test_a_table_left_empty_by_a_full_disk_is_written_again(channel: Any, tmp_path: Path) -> None:
    (tmp_path / "c/work.exchange").write_bytes(b"")

    bind(channel, "bulk", "ingest")

    assert bound(channel) == {"bulk", "ingest"}


def test_a_table_stays_complete_on_a_full_disk(channel: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bind(channel, "bulk")
    with monkeypatch.context() as patched, pytest.raises(ChannelError, match="No space left"):
        patched.setattr(Path, "replace", full)
        bind(channel, "ingest")

    assert bound(channel) == {"bulk"}
    assert not [name for name in files_in(tmp_path) if name.endswith(".part")]


def test_workers_that_start_concurrently_are_all_in_the_table(channel: Any) -> None:
    names = [f"queue{number}" for number in range(40)]

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda name: channel._queue_bind("work", name, "", name), names))

    assert bound(channel) == set(names)


def test_a_deleted_queue_is_removed_from_the_table(channel: Any) -> None:
    bind(channel, "bulk", "ingest")

    channel._delete("bulk", "work", "bulk", "")

    assert bound(channel) == {"ingest"}


def test_a_missing_folder_is_a_lost_connection(channel: Any, tmp_path: Path) -> None:
    (tmp_path / "m").rmdir()

    with pytest.raises(channel.connection.client.connection_errors):
        channel._get("bulk")


def test_a_message_is_never_received_before_it_is_complete(channel: Any) -> None:
    payload = {"body": "x" * 200_000}
    writer = threading.Thread(target=lambda: [channel._put("bulk", payload) for _ in range(200)])
    writer.start()

    taken: list[Any] = []
    while writer.is_alive():
        taken += all_of(channel)
    taken += all_of(channel)

    assert taken == [payload] * 200


def test_connecting_to_a_missing_folder_fails(channel: Any, tmp_path: Path) -> None:
    (tmp_path / "m").rmdir()

    with channel.connection.client.clone() as other, pytest.raises(FileNotFoundError):
        other.connect()


def test_nothing_is_written_to_an_unmounted_disk(channel: Any, tmp_path: Path) -> None:
    for name in "mc":
        (tmp_path / name).rmdir()
    tmp_path.rmdir()

    with pytest.raises(ChannelError):
        bind(channel, "bulk")

    assert not tmp_path.exists()
