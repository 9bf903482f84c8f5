"""The queue in folders on disk, for one machine: kombu's, but what a crash or a full disk tears stops nobody.

kombu writes messages and the tables of its exchanges in place: a worker may take a message while it is still empty,
and ends; a table that was left empty ends every worker at its start, until somebody removes the file.
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

logger = logging.getLogger(__name__)

UNSEEN, TAKEN = ".part", ".taken"
LEFT_BEHIND_S = 3600  # no message is written or read for that long: who did so has ended


class Channel(filesystem.Channel):
    """Messages appear when they are whole, and are taken in the order in which they were sent.

    One that cannot be read is dropped: the work that it stands for is a row that is sent again.
    With the option `reserve_folder` some can be sent on a full disk too.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._listed: dict[str, deque[str]] = {}
        super().__init__(*args, **kwargs)
        folder = self.transport_options.get("reserve_folder")
        self._reserve = Reserve(Path(folder)) if folder else None
        if self._reserve:
            self._reserve.fill()

    def _put(self, queue: str, payload: Any, **kwargs: Any) -> None:  # type: ignore[override]  # kombu's stubs disagree
        # The time of day, since the time since the start begins anew with the machine, and old messages would wait.
        file = Path(self.data_folder_out, f"{time.time_ns()}_{uuid.uuid4()}.{queue}.msg")
        try:
            write_whole(file, dumps(payload), self._reserve)
        except OSError as error:
            raise ChannelError(f"Cannot add a message to {file.parent}: {error.strerror}") from error

    def _get(self, queue: str, timeout: float | None = None) -> Any:
        """The folder is listed once for all that waits in it: later messages come later in the order, too."""
        waiting = self._listed.get(queue) or self._list(queue)
        while waiting:
            message = take(Path(self.data_folder_in, waiting.popleft()), self._reserve)
            if message is not None:
                return message
        raise Empty

    def _list(self, queue: str) -> deque[str]:
        names = os.listdir(self.data_folder_in)  # noqa: PTH208 - ten times a second: thousands of Paths cost too much
        sweep(Path(self.data_folder_in, name) for name in names if name.endswith((UNSEEN, TAKEN)))
        self._listed[queue] = deque(sorted(name for name in names if name.partition(".")[2] == f"{queue}.msg"))
        return self._listed[queue]

    def get_table(self, exchange: str) -> list[Binding]:  # type: ignore[override]  # kombu's stubs disagree
        try:
            return list(super().get_table(exchange))
        except ValueError:
            logger.warning("the torn table of exchange %s was dropped", exchange)
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
    """A folder that is away is a lost connection: a worker tries again until it is back.

    It is looked at from the worker's event loop. Without one, all processes of a worker would wait for work at one
    pipe behind one lock, which a process that is killed while it waits takes with it: no other gets any work then.
    """

    Channel = Channel
    connection_errors = (*filesystem.Transport.connection_errors, OSError)
    implements = filesystem.Transport.implements.extend(asynchronous=True)

    def register_with_event_loop(self, connection: Any, loop: Any) -> None:
        loop.call_repeatedly(self.polling_interval, self.take_what_came)

    def take_what_came(self) -> None:
        """Everything that the worker has hands for. Raises `OSError` while the folder is away."""
        with suppress(Empty):
            while True:
                self.cycle.get(self._deliver)  # type: ignore[union-attr]

    def establish_connection(self) -> Any:
        """Raises `OSError` while the folder is away: whoever connects pauses longer and longer."""
        options: dict[str, str] = self.client.transport_options  # type: ignore[union-attr,assignment]
        Path(options["data_folder_in"]).stat()
        return super().establish_connection()


def write_whole(file: Path, text: str, reserve: Reserve | None = None) -> None:
    """On a full disk in `reserve`. Raises `OSError`, and then leaves nothing behind."""
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
    """What the message says; None if another worker was first, or nobody can read it."""
    taken = message.with_name(f"{message.name}{TAKEN}")
    try:
        message.rename(taken)  # one worker alone succeeds
    except FileNotFoundError:
        return None
    try:
        return loads(taken.read_bytes())
    except (OSError, ValueError) as error:
        logger.warning("a message that cannot be read was dropped: %s", type(error).__name__)
        return None
    finally:
        with suppress(OSError):
            taken.unlink() if reserve is None else reserve.take_back(taken)


def sweep(leftovers: Iterator[Path]) -> None:
    """Remove what a process that was killed in the middle of a message has left behind."""
    for file in leftovers:
        with suppress(OSError):
            if time.time() - file.stat().st_mtime > LEFT_BEHIND_S:
                file.unlink()


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Alone among all processes and threads that change something in `folder`."""
    folder.mkdir(mode=0o700, exist_ok=True)  # not its parents: while a disk is away they are another disk's
    with (folder / "lock").open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
