"""What goes over the socket between a process and its decoder: a head in JSON, then bytes; a request brings a file.

Neither side believes the other's numbers: lengths are bounded, and nothing is unpickled.
"""

from __future__ import annotations

import array
import json
import os
import socket
import struct
import time
from typing import Any, Final

HEAD: Final = struct.Struct(">IQ")
MAX_HEAD_BYTES: Final = 2**20
MAX_PAYLOAD_BYTES: Final = 2**30
PIECE_BYTES: Final = 2**20

Head = dict[str, Any]


class Closed(ConnectionError):
    """The other side ended before it said anything."""


def send_request(connection: socket.socket, head: Head, descriptor: int) -> None:
    data = json.dumps(head).encode()
    rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [descriptor]))]
    packet = HEAD.pack(len(data), 0) + data
    sent = connection.sendmsg([packet], rights)
    connection.sendall(packet[sent:])


def receive_request(connection: socket.socket) -> tuple[Head, int]:
    """Raises `Closed`, and TimeoutError if none comes."""
    data, descriptors, _, _ = socket.recv_fds(connection, HEAD.size, 1)
    if not data:
        raise Closed
    data += exactly(connection, HEAD.size - len(data), None)
    length, _ = HEAD.unpack(data)
    if length > MAX_HEAD_BYTES or len(descriptors) != 1:
        raise ConnectionError("The request makes no sense.")
    os.set_inheritable(descriptors[0], False)
    return json.loads(exactly(connection, length, None)), descriptors[0]


def send_answer(connection: socket.socket, head: Head, payload: bytes = b"") -> None:
    data = json.dumps(head).encode()
    connection.sendall(HEAD.pack(len(data), len(payload)) + data)
    connection.sendall(payload)


def receive_answer(connection: socket.socket, deadline: float) -> tuple[Head, bytes]:
    """Raises `Closed`, TimeoutError at the `deadline` (of the monotonic clock), and ConnectionError."""
    length, size = HEAD.unpack(exactly(connection, HEAD.size, deadline))
    if length > MAX_HEAD_BYTES or size > MAX_PAYLOAD_BYTES:
        raise ConnectionError("The answer makes no sense.")
    head: Head = json.loads(exactly(connection, length, deadline))
    return head, bytes(exactly(connection, size, deadline))


def exactly(connection: socket.socket, size: int, deadline: float | None) -> bytearray:
    data = bytearray()
    while len(data) < size:
        if deadline is not None:
            left = deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError
            connection.settimeout(left)
        piece = connection.recv(min(PIECE_BYTES, size - len(data)))
        if not piece:
            raise Closed
        data += piece
    return data
