"""The web server's listening socket, opened by the supervisor: clients queue in it while the server restarts."""

from __future__ import annotations

import contextlib
import errno
import socket
from pathlib import Path
from typing import Any

UNIX = "unix:"
BACKLOG = 2048
# For the group's members with access to the folder: the proxy.
SOCKET_MODE = 0o660


class CannotListen(Exception):
    """The address cannot be used; the message contains the reason and a fix."""


REASONS = {
    errno.EADDRINUSE: "port {port} is in use: stop what uses it, or choose another (make run PORT={other}).",
    errno.EACCES: "ports below 1024 need special rights: choose another (make run PORT=8000).",
    errno.EADDRNOTAVAIL: "{host} is not an address of this machine: use 127.0.0.1, or 0.0.0.0 for all.",
}


def listening_socket(host: str, port: int) -> socket.socket:
    """Return a listening TCP socket, or a unix socket for `unix:/path`; raises `CannotListen`."""
    if host.startswith(UNIX):
        return unix_socket(Path(host.removeprefix(UNIX)))
    if not 0 <= port <= 65535:
        raise CannotListen(f"{port} is not a port: use 1024 to 65535.")
    family, address = resolve(host, port)
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        reason = REASONS.get(error.errno or 0, f"cannot listen on {host}: {error.strerror}.")
        raise CannotListen(reason.format(host=host, port=port, other=port + 1)) from error
    return listener


def resolve(host: str, port: int) -> tuple[socket.AddressFamily, tuple[Any, ...]]:
    """Return the address family and the address to bind; raises `CannotListen`."""
    try:
        family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
    except (socket.gaierror, UnicodeError) as error:
        raise CannotListen(f"{host} is not an address of this machine: use 127.0.0.1, or 0.0.0.0.") from error
    return family, address


def unix_socket(path: Path) -> socket.socket:
    """Return a listening unix socket; replaces a stale socket, but no socket in use and no other file."""
    if not path.is_absolute():
        raise CannotListen(f"{UNIX}{path} is not a full path: use one such as {UNIX}/run/nvr/nvr.sock.")
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        remove_stale(path)
        listener.bind(str(path))
        path.chmod(SOCKET_MODE)
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        reason = error.strerror or error
        raise CannotListen(
            f"cannot listen on {path}: {reason}. Its folder must exist, and NVR needs write access."
        ) from error
    return listener


def remove_stale(path: Path) -> None:
    """Remove a socket that nothing listens on; raises `CannotListen` for a socket in use and for another file."""
    if not path.exists() and not path.is_symlink():
        return
    if not path.is_socket():
        raise CannotListen(f"{path} exists and is not a socket: choose another path.")
    with contextlib.closing(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)) as probe:
        if probe.connect_ex(str(path)) == 0:
            raise CannotListen(f"{path} is in use: stop what listens there, or choose another path.")
    path.unlink()


def address_for(host: str) -> str:
    """Return the address of a listener on `host`, as `address_of` does; raises `CannotListen`."""
    return host if host.startswith(UNIX) else str(resolve(host, 0)[1][0])


def address_of(listener: socket.socket) -> str:
    """Return the listening address without the port: an IP address, or `unix:/path`."""
    name = listener.getsockname()
    return f"{UNIX}{name}" if listener.family == socket.AF_UNIX else str(name[0])


def port_of(listener: socket.socket) -> int:
    """Return the port, or 0 for a unix socket."""
    return 0 if listener.family == socket.AF_UNIX else int(listener.getsockname()[1])
