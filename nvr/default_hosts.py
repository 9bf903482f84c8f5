"""Which names and addresses this machine answers to when the operator named none: never `*`."""

from __future__ import annotations

import fcntl
import ipaddress
import socket
import struct
from pathlib import Path

SIOCGIFADDR = 0x8915
LOOPBACK = ["localhost", "127.0.0.1", "[::1]"]


def own_hosts() -> list[str]:
    """Loopback, the host's names (also as `name.local`), and the addresses of its interfaces."""
    name = socket.gethostname().lower()
    names = [name, name.split(".")[0], f"{name.split('.')[0]}.local"] if name else []
    return list(dict.fromkeys([*LOOPBACK, *names, *ipv4_addresses(), *ipv6_addresses()]))


def is_loopback(address: str) -> bool:
    """Whether only this machine reaches what listens on `address`; a unix socket is where a proxy reaches it."""
    try:
        return ipaddress.ip_address(address.partition("%")[0]).is_loopback
    except ValueError:
        return False


def ipv4_addresses() -> list[str]:
    addresses = []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        for _, interface in socket.if_nameindex():
            request = struct.pack("256s", interface[:15].encode())
            try:
                answer = fcntl.ioctl(probe, SIOCGIFADDR, request)
            except OSError:  # an interface without an IPv4 address
                continue
            addresses.append(socket.inet_ntoa(answer[20:24]))
    return addresses


def ipv6_addresses(table: Path = Path("/proc/net/if_inet6")) -> list[str]:
    try:
        lines = table.read_text().splitlines()
    except OSError:  # IPv6 is off
        return []
    return [f"[{ipaddress.IPv6Address(int(line.split()[0], 16))}]" for line in lines if line]
