"""The web server's socket, opened by the supervisor: clients wait in its queue while the server restarts."""

from __future__ import annotations

import errno
import socket


class CannotListen(Exception):
    """The address cannot be used; the text says why and what to do."""


REASONS = {
    errno.EADDRINUSE: "port {port} is in use: stop what uses it, or choose another (make run PORT={other}).",
    errno.EACCES: "ports below 1024 need special rights: choose another (make run PORT=8000).",
    errno.EADDRNOTAVAIL: "{host} is not an address of this machine: use 127.0.0.1, or 0.0.0.0 for all.",
}


def listening_socket(host: str, port: int) -> socket.socket:
    """A listening TCP socket; raises `CannotListen`."""
    if not 0 <= port <= 65535:
        raise CannotListen(f"{port} is not a port: use 1024 to 65535.")
    try:
        family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
    except (socket.gaierror, UnicodeError) as error:
        raise CannotListen(f"{host} is not an address of this machine: use 127.0.0.1, or 0.0.0.0.") from error
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(2048)
    except OSError as error:
        listener.close()
        reason = REASONS.get(error.errno or 0, f"cannot listen on {host}: {error.strerror}.")
        raise CannotListen(reason.format(host=host, port=port, other=port + 1)) from error
    return listener
