"""The queue in folders on disk, for one machine: kombu's, but nobody meets a message that is only half written.

kombu writes a message under its final name, so that a worker may take it while it is still empty, and ends.
"""

from __future__ import annotations

import logging
import uuid
from pathlib import Path
from queue import Empty
from time import monotonic
from typing import Any

from kombu.exceptions import ChannelError
from kombu.transport import filesystem
from kombu.utils.json import dumps, loads

logger = logging.getLogger(__name__)


class Channel(filesystem.Channel):
    """Messages appear when they are whole; one that a crash or a full disk tore is dropped, and its worker goes on."""

    def _put(self, queue: str, payload: Any, **kwargs: Any) -> None:  # type: ignore[override]  # kombu's stubs disagree
        folder = Path(self.data_folder_out)
        name = f"{round(monotonic() * 1000)}_{uuid.uuid4()}"
        unseen = folder / f"{name}.part"
        try:
            unseen.write_text(dumps(payload), encoding="utf-8")
            unseen.replace(folder / f"{name}.{queue}.msg")
        except OSError as error:
            unseen.unlink(missing_ok=True)
            raise ChannelError(f"Cannot add a message to {folder}") from error

    def _get(self, queue: str, timeout: float | None = None) -> Any:
        for message in sorted(Path(self.data_folder_in).iterdir()):
            if message.name.partition(".")[2] != f"{queue}.msg":
                continue
            try:
                taken = message.rename(Path(self.processed_folder) / message.name)  # one worker alone succeeds
                text = taken.read_bytes()
                taken.unlink()
                return loads(text)
            except FileNotFoundError:
                continue
            except ValueError:
                logger.warning("a torn message for %s was dropped", queue)
        raise Empty


class Transport(filesystem.Transport):
    Channel = Channel
