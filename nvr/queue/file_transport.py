"""A queue in folders on disk, for one machine: kombu's filesystem transport with atomic writes.

kombu writes messages and exchange tables in place. A worker that reads a message while it is still empty exits;
an empty table file makes every worker exit at its start until the file is removed.
"""

from __future__ import annotations

import fcntl
import logging
import os
import time
import uuid
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from queue import Empty
from typing import Any

from kombu.exceptions import ChannelError
from kombu.transport import filesystem, virtual
from kombu.transport.filesystem import exchange_queue_t as Binding
from kombu.utils.json import dumps, loads

from nvr.errors import FULL
from nvr.queue.disk_reserve import Reserve
from nvr.queue.folder_events import FolderEvents

logger = logging.getLogger(__name__)

UNSEEN, TAKEN = ".part", ".taken"
RESCAN_S = 1.0  # for messages that the kernel did not report
LEFT_BEHIND_S = 3600  # no read or write takes that long, so its process has ended


class Channel(filesystem.Channel):
    """Messages become visible when they are complete, and are consumed in the order in which they were sent.

    An unreadable message is dropped, since its job is a database row that is sent again.
    With the option `reserve_folder` some messages can be sent even on a full disk.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._listed: dict[str, deque[str]] = {}
        super().__init__(*args, **kwargs)
        folder = self.transport_options.get("reserve_folder")
        self._reserve = Reserve(Path(folder)) if folder else None
        if self._reserve:
            self._reserve.fill()

    def _put(self, queue: str, payload: Any, **kwargs: Any) -> None:  # type: ignore[override]  # kombu's stubs disagree
        # Wall-clock time: the monotonic clock restarts with the machine, and older messages would sort last.
        file = Path(self.data_folder_out, f"{time.time_ns()}_{uuid.uuid4()}.{queue}.msg")
        try:
            write_whole(file, dumps(payload), self._reserve)
        except OSError as error:
            raise ChannelError(f"Cannot add a message to {file.parent}: {error.strerror}") from error

    def _get(self, queue: str, timeout: float | None = None) -> Any:
        """Return the next message. The folder is listed once for all waiting messages; later ones sort last."""
        waiting = self._listed.get(queue) or self._list(queue)
        while waiting:
            message = take(Path(self.data_folder_in, waiting.popleft()), self._reserve)
            if message is not None:
                return message
        raise Empty

    def basic_ack(self, delivery_tag: str, multiple: bool = False) -> None:
        """Acknowledge a message; if the worker can accept another one again, deliver it at once."""
        was_full = not self.qos.can_consume()
        super().basic_ack(delivery_tag, multiple)
        if was_full:
            self.connection.deliver_soon()  # type: ignore[attr-defined]  # the transport below

    def _list(self, queue: str) -> deque[str]:
        names = os.listdir(self.data_folder_in)  # noqa: PTH208 - once a second: thousands of Paths cost too much
        sweep(Path(self.data_folder_in, name) for name in names if name.endswith((UNSEEN, TAKEN)))
        self._listed[queue] = deque(sorted(name for name in names if name.partition(".")[2] == f"{queue}.msg"))
        return self._listed[queue]

    def get_table(self, exchange: str) -> list[Binding]:  # type: ignore[override]  # kombu's stubs disagree
        try:
            return list(super().get_table(exchange))
        except ValueError:
            logger.warning("the incomplete table of exchange %s was dropped", exchange)
            return []

    def _queue_bind(self, exchange: str, routing_key: str | None, pattern: str | None, queue: str | None) -> None:
        new = Binding(routing_key or "", pattern or "", queue or "")
        self._change_table(exchange, lambda table: table if new in table else [new, *table])

    def _delete(self, queue: str, exchange: str, routing_key: str, pattern: str, *args: Any, **kwargs: Any) -> None:
        virtual.Channel._delete(self, queue, exchange, routing_key, pattern, *args, **kwargs)
        old = Binding(routing_key or "", pattern or "", queue or "")
        self._change_table(exchange, lambda table: [binding for binding in table if binding != old])

    def _change_table(self, exchange: str, change: Callable[[list[Binding]], list[Binding]]) -> None:
        file: Path = self._exchange_file(exchange)  # type: ignore[attr-defined]  # newer than its stubs
        try:
            with locked(file.parent):
                before = self.get_table(exchange)
                after = change(before)
                if after != before:
                    write_whole(file, dumps(after))
        except OSError as error:
            raise ChannelError(f"Cannot change {file}: {error.strerror}") from error


class Transport(filesystem.Transport):
    """A missing folder counts as a lost connection, which a worker retries until the folder is back.

    The folder is watched from the worker's event loop. Without it, all processes of a worker would wait for work at
    one pipe behind one lock; a process that is killed while it waits would keep the lock, and no other gets any work.
    """

    Channel = Channel
    connection_errors = (*filesystem.Transport.connection_errors, OSError)
    implements = filesystem.Transport.implements.extend(asynchronous=True)
    _loop: Any = None
    _events: FolderEvents | None = None

    def register_with_event_loop(self, connection: Any, loop: Any) -> None:
        """Deliver messages when the kernel reports new ones, or by polling where it does not."""
        self._loop = loop
        with suppress(OSError):
            self._events = FolderEvents(self._folder)
            loop.add_reader(self._events, self.deliver_new)
        loop.call_repeatedly(RESCAN_S if self._events else self.polling_interval, self.deliver_pending)

    def deliver_new(self) -> None:
        queues = {queue for channel in self.channels or () for queue in channel._active_queues}
        if self._events and self._events.have_name_ending_with(f".{queue}.msg" for queue in queues):
            self.deliver_pending()

    def deliver_soon(self) -> None:
        """Deliver pending messages in the event loop, if there is one."""
        if self._loop is not None:
            self._loop.call_soon(self.deliver_pending)

    def deliver_pending(self) -> None:
        """Deliver as many messages as the worker accepts. Raises `OSError` while the folder is missing."""
        with suppress(Empty):
            while True:
                self.cycle.get(self._deliver)  # type: ignore[union-attr]

    def establish_connection(self) -> Any:
        """Connect. Raises `OSError` while the folder is missing; the client then retries with longer pauses."""
        self._folder.stat()
        return super().establish_connection()

    def close_connection(self, connection: Any) -> None:
        if self._events and self._loop:
            self._loop.remove(self._events)
            self._events.close()
        self._events = self._loop = None
        super().close_connection(connection)

    @property
    def _folder(self) -> Path:
        options: dict[str, str] = self.client.transport_options  # type: ignore[union-attr,assignment]
        return Path(options["data_folder_in"])


def write_whole(file: Path, text: str, reserve: Reserve | None = None) -> None:
    """Write `file` atomically, on a full disk from `reserve`. Raises `OSError` and then leaves no partial file."""
    unseen = file.with_name(f"{uuid.uuid4()}{UNSEEN}")
    try:
        unseen.write_text(text, encoding="utf-8")
        unseen.replace(file)
    except OSError as error:
        with suppress(OSError):
            unseen.unlink()
        if reserve is None or error.errno not in FULL:
            raise
        reserve.write(file, unseen, text)


def take(message: Path, reserve: Reserve | None = None) -> Any:
    """Return the message; None if another worker took it first, or if it is unreadable."""
    taken = message.with_name(f"{message.name}{TAKEN}")
    try:
        message.rename(taken)  # only one worker succeeds
    except FileNotFoundError:
        return None
    try:
        return loads(taken.read_bytes())
    except (OSError, ValueError) as error:
        logger.warning("an unreadable message was dropped: %s", type(error).__name__)
        return None
    finally:
        with suppress(OSError):
            taken.unlink() if reserve is None else reserve.release(taken)


def sweep(leftovers: Iterator[Path]) -> None:
    """Remove files that a process killed during a read or write has left behind."""
    for file in leftovers:
        with suppress(OSError):
            if time.time() - file.stat().st_mtime > LEFT_BEHIND_S:
                file.unlink()


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold an exclusive lock on `folder` across processes and threads."""
    folder.mkdir(mode=0o700, exist_ok=True)  # not its parents: while a disk is unmounted they are on another disk
    with (folder / "lock").open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
