"""The protocol between a process and its decoder: a JSON header, then bytes; a request passes a file descriptor.

Neither side trusts the other: lengths are limited, and nothing is unpickled.
"""

from __future__ import annotations

import array
import json
import os
import socket
import struct
import time
from typing import Any, Final

HEADER_FORMAT: Final = struct.Struct(">IQ")
MAX_HEADER_BYTES: Final = 2**20
MAX_PAYLOAD_BYTES: Final = 2**30
READ_BYTES: Final = 2**20

Message = dict[str, Any]


class ConnectionClosed(ConnectionError):
    """The other side closed the connection before the message was complete."""


def send_request(connection: socket.socket, head: Message, descriptor: int) -> None:
    data = json.dumps(head).encode()
    rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [descriptor]))]
    packet = HEADER_FORMAT.pack(len(data), 0) + data
    sent = connection.sendmsg([packet], rights)
    connection.sendall(packet[sent:])


def receive_request(connection: socket.socket) -> tuple[Message, int]:
    """Receive a request and its file descriptor. Raises `ConnectionClosed`, and TimeoutError if none arrives."""
    data, descriptors, _, _ = socket.recv_fds(connection, HEADER_FORMAT.size, 1)
    if not data:
        raise ConnectionClosed
    data += receive_exactly(connection, HEADER_FORMAT.size - len(data), None)
    length, _ = HEADER_FORMAT.unpack(data)
    if length > MAX_HEADER_BYTES or len(descriptors) != 1:
        raise ConnectionError("The request is invalid.")
    os.set_inheritable(descriptors[0], False)
    return json.loads(receive_exactly(connection, length, None)), descriptors[0]


def send_response(connection: socket.socket, head: Message, payload: bytes = b"") -> None:
    data = json.dumps(head).encode()
    connection.sendall(HEADER_FORMAT.pack(len(data), len(payload)) + data)
    connection.sendall(payload)


def receive_response(connection: socket.socket, deadline: float) -> tuple[Message, bytes]:
    """Raises `ConnectionClosed`, TimeoutError at the `deadline` (of the monotonic clock), and ConnectionError."""
    length, size = HEADER_FORMAT.unpack(receive_exactly(connection, HEADER_FORMAT.size, deadline))
    if length > MAX_HEADER_BYTES or size > MAX_PAYLOAD_BYTES:
        raise ConnectionError("The response is invalid.")
    head: Message = json.loads(receive_exactly(connection, length, deadline))
    return head, bytes(receive_exactly(connection, size, deadline))


def receive_exactly(connection: socket.socket, size: int, deadline: float | None) -> bytearray:
    data = bytearray()
    while len(data) < size:
        if deadline is not None:
            left = deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError
            connection.settimeout(left)
        piece = connection.recv(min(READ_BYTES, size - len(data)))
        if not piece:
            raise ConnectionClosed
        data += piece
    return data
