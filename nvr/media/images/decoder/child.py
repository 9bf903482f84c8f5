"""The decoder process: `python -m nvr.media.images.decoder.child FD MAX_PIXELS`; reads requests from the socket FD.

It sets its own resource limits before it reads untrusted data, has no settings and no secrets, logs nothing, writes no
files, and exits when it has been idle for a while or its parent process has ended.
"""

from __future__ import annotations

import logging
import os
import resource
import socket
import sys
import warnings
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from nvr.errors import NvrError
from nvr.media.images import limits
from nvr.media.images.decoder.messages import ConnectionClosed, Message, receive_request, send_response

Perform = Callable[[Message, int], tuple[Message, bytes]]

IDLE_TIMEOUT_S: Final = 20.0
CPU_LIMIT_S: Final = 10
BASE_BYTES: Final = 640 * 2**20  # of address space, of which only a part is used
BYTES_PER_PIXEL: Final = 10  # the coefficients and pixels of a progressive JPEG
MAX_FILE_BYTES: Final = 0


def main(descriptor: int, max_pixels: int) -> None:
    limits.limit_pixels(max_pixels)
    limit_self(max_pixels)
    logging.disable(logging.CRITICAL)
    warnings.simplefilter("ignore")
    from nvr.media.images.decoder import operations  # Pillow, within the limits

    connection = socket.socket(fileno=descriptor)
    with suppress(ConnectionClosed, TimeoutError, ConnectionError):
        while True:
            connection.settimeout(IDLE_TIMEOUT_S)
            head, file = receive_request(connection)
            connection.settimeout(None)
            limit_cpu()
            is_sound = handle_request(connection, operations.perform, head, file)
            os.close(file)
            if not is_sound:
                return


def limit_self(max_pixels: int) -> None:
    memory = BASE_BYTES + BYTES_PER_PIXEL * max_pixels
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (MAX_FILE_BYTES, MAX_FILE_BYTES))
    limit_cpu()


def limit_cpu() -> None:
    """Set the CPU time limit for the next image; the system kills the process if it uses more."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    seconds = int(used.ru_utime + used.ru_stime) + CPU_LIMIT_S
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, resource.RLIM_INFINITY))


def handle_request(connection: socket.socket, perform: Perform, head: Message, file: int) -> bool:
    """Perform a request and send the response; return False if the process should exit, because memory ran out.

    The remaining memory is fragmented then.
    """
    result, payload = perform_safely(perform, head, file)
    send_response(connection, result, payload)
    return result.get("error") != "MemoryError"


def perform_safely(perform: Perform, head: Message, file: int) -> tuple[Message, bytes]:
    """Perform the operation and translate exceptions. The caller sends the response after the memory has been freed."""
    try:
        return perform(head, file)
    except NvrError as error:
        return {"error": type(error).__name__, "detail": error.detail}, b""
    except MemoryError:
        return {"error": "MemoryError"}, b""
    except OSError as error:
        return {"error": "OSError", "errno": error.errno or 0}, b""
    except Exception as error:  # noqa: BLE001 - decoders may raise anything for a broken image
        return {"error": "DamagedImage", "detail": "", "fault": type(error).__name__}, b""


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
