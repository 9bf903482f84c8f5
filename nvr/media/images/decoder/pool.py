"""The pool of decoder processes: started when needed, limited in number, and killed if they do not respond.

A child is used by one thread at a time. If an image crashes a child, only that image fails: the next request starts
a new child.
"""

from __future__ import annotations

import logging
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from nvr.errors import NvrError, Unavailable
from nvr.media.files.paths import error_for
from nvr.media.images import errors
from nvr.media.images.decoder.messages import Message, receive_response, send_request
from nvr.media.images.errors import DamagedImage, DecodingTimedOut, ImageTooLarge, ImageTooSlow
from nvr.media.images.limits import max_pixels

logger = logging.getLogger(__name__)

MAX_CONCURRENT: Final = 2
TIMEOUT_S: Final = 15.0  # wall-clock time per image, even if the machine is busy; the child limits its own CPU time
SLOT_TIMEOUT_S: Final = 15.0  # for a free child
EXIT_TIMEOUT_S: Final = 5.0  # for a child that has closed its end of the socket
# Killed from outside, such as by the system if memory ran out, or when the service stops: not by the image.
EXTERNAL_SIGNALS: Final = {-signal.SIGKILL, -signal.SIGTERM, -signal.SIGINT, -signal.SIGHUP}
BASE_DIR: Final = Path(__file__).resolve().parents[4]
BUSY = "Too many pictures are being prepared at once: try again."
NOT_RUNNING = "The program that decodes pictures does not start: check the log, and restart NVR after an upgrade."


class Child:
    """One decoder process, and our end of its socket."""

    def __init__(self) -> None:
        self.max_pixels = max_pixels()
        ours, theirs = socket.socketpair()
        with theirs:
            self.process = start_process(theirs.fileno(), self.max_pixels)
        self.connection = ours
        # Reaps the process when it exits.
        threading.Thread(target=self.process.wait, name="decoder", daemon=True).start()

    def request(self, head: Message, descriptor: int, deadline: float) -> tuple[Message, bytes]:
        self.connection.settimeout(max(0.1, deadline - time.monotonic()))
        send_request(self.connection, head, descriptor)
        return receive_response(self.connection, deadline)

    def stop(self, *, timeout_s: float = 0.0) -> int:
        """Stop the process, killing it after `timeout_s`; return its exit status, negative for a signal."""
        self.connection.close()
        with suppress(subprocess.TimeoutExpired):
            return self.process.wait(timeout_s)
        self.process.kill()
        return self.process.wait()

    def detach(self) -> None:
        """Close the socket in a forked process, to which the child does not belong."""
        self.connection.close()


def new_child() -> Child:
    """Start a child. Raises `Unavailable` if the system cannot start another process."""
    try:
        return Child()
    except OSError as fault:
        reason = os.strerror(fault.errno or 0)
        raise Unavailable(
            f"The program that decodes pictures could not be started ({reason}).", retry_after=30
        ) from fault


def start_process(descriptor: int, pixels: int) -> subprocess.Popen[bytes]:
    """Start the process with only PATH and LANG in its environment, so that it has no secrets."""
    command = [sys.executable, "-m", "nvr.media.images.decoder.child", str(descriptor), str(pixels)]
    return subprocess.Popen(  # noqa: S603  (a list, no shell, and nothing from outside in it)
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd=BASE_DIR,
        env={"PATH": os.environ.get("PATH", os.defpath), "LANG": "C.UTF-8"},
        start_new_session=True,
        pass_fds=(descriptor,),
    )


class Pool:
    def __init__(self, *, max_children: int = MAX_CONCURRENT) -> None:
        self._free: list[Child] = []
        self._lock = threading.Lock()
        self._semaphore = threading.BoundedSemaphore(max_children)

    def request(self, head: Message, descriptor: int) -> tuple[Message, bytes]:
        """Send a request to a child and return its response. Raises the error that it reports, and `Unavailable`."""
        if not self._semaphore.acquire(timeout=SLOT_TIMEOUT_S):
            raise Unavailable(BUSY, retry_after=5)
        try:
            response, payload = self._request(head, descriptor)
        finally:
            self._semaphore.release()
        raise_for_error(response)
        return response, payload

    def _request(self, head: Message, descriptor: int) -> tuple[Message, bytes]:
        deadline = time.monotonic() + TIMEOUT_S
        child = self._acquire_child()
        while True:
            is_new = child is None
            child = child or new_child()
            try:
                response = child.request(head, descriptor, deadline)
            except (OSError, ValueError) as fault:
                has_left = isinstance(fault, ConnectionError)
                status = child.stop(timeout_s=EXIT_TIMEOUT_S if has_left else 0.0)
                if has_left and not is_new and status == 0:
                    child = None  # it exited because it was idle, just when we sent the request
                    continue
                raise exit_error(status, fault) from fault
            except BaseException:
                child.stop()
                raise
            self._release_child(child)
            return response

    def _acquire_child(self) -> Child | None:
        with self._lock:
            while self._free:
                child = self._free.pop()
                if child.process.returncode is None and child.max_pixels == max_pixels():
                    return child
                child.stop()
        return None

    def _release_child(self, child: Child) -> None:
        with self._lock:
            self._free.append(child)

    def stop_all(self) -> None:
        with self._lock:
            for child in self._free:
                child.stop()
            self._free.clear()

    def detach(self) -> None:
        """Reset after a fork: children, lock and semaphore belong to the parent process."""
        for child in self._free:
            child.detach()
        self.__init__()  # type: ignore[misc]


def exit_error(status: int, fault: Exception) -> NvrError:
    """Return the error for a child that did not respond, by its exit status.

    The image is at fault only if the decoder crashed: a child that exits by itself could not start, or its program was
    replaced by another version.
    """
    if status == -signal.SIGXCPU:
        return ImageTooSlow()
    if isinstance(fault, TimeoutError):
        return DecodingTimedOut(retry_after=30)
    if status in EXTERNAL_SIGNALS:
        return Unavailable("Reading the picture was cut short by the system: try again.", retry_after=30)
    logger.warning("decoder exited with status %s", status)
    if status >= 0:
        return Unavailable(NOT_RUNNING, retry_after=30)
    return DamagedImage("The image crashed the program that decodes it.")


def raise_for_error(response: dict[str, Any]) -> None:
    name = response.get("error")
    if name is None:
        return
    if name == "OSError":
        number = int(response.get("errno", 0))
        raise error_for(OSError(number, os.strerror(number)))
    if name == "MemoryError":
        raise ImageTooLarge("The image needs more memory to decode than is allowed.")
    raise getattr(errors, str(name), DamagedImage)(str(response.get("detail", "")))


pool = Pool()
os.register_at_fork(after_in_child=pool.detach)
