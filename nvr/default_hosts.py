"""The default of NVR_ALLOWED_HOSTS: names and addresses of this machine, never `*`."""

from __future__ import annotations

import ipaddress
import socket

from ifaddr import IP, get_adapters

LOOPBACK = ["localhost", "127.0.0.1", "[::1]"]


def own_hosts() -> list[str]:
    """Return loopback, the host's names (also as `name.local`), and the addresses of its interfaces."""
    name = socket.gethostname().lower()
    names = [name, name.split(".")[0], f"{name.split('.')[0]}.local"] if name else []
    return list(dict.fromkeys([*LOOPBACK, *names, *ipv4_addresses(), *ipv6_addresses()]))


def is_loopback(address: str) -> bool:
    """Return whether only this machine can reach `address`; False for a unix socket, which a proxy serves."""
    try:
        return ipaddress.ip_address(address.partition("%")[0]).is_loopback
    except ValueError:
        return False


def ipv4_addresses() -> list[str]:
    return [address.ip for address in _addresses() if isinstance(address.ip, str)]


def ipv6_addresses() -> list[str]:
    """In brackets, as in URLs."""
    return [f"[{address.ip[0]}]" for address in _addresses() if isinstance(address.ip, tuple)]


def _addresses() -> list[IP]:
    try:
        return [address for adapter in get_adapters() for address in adapter.ips]
    except OSError:  # a sandbox may hide the interfaces
        return []
