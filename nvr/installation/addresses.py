"""The URLs under which users reach the web server."""

from __future__ import annotations

from django.conf import settings

from nvr.default_hosts import ipv4_addresses
from nvr.supervision.listening import UNIX

ALL_INTERFACES = {"0.0.0.0", "::", ""}  # noqa: S104 - recognised, not used


def addresses(host: str, port: int) -> list[str]:
    """Return the public URL first, if set, then those of this machine; for a unix socket only its path."""
    public = [settings.NVR_PUBLIC_URL] if settings.NVR_PUBLIC_URL else []
    if host.startswith(UNIX):
        return public or [host]
    if host not in ALL_INTERFACES:
        return [*public, _address(host, port)]
    own = [address for address in ipv4_addresses() if not address.startswith("127.")]
    return [*public, _address("localhost", port), *(_address(address, port) for address in own)]


def _address(host: str, port: int) -> str:
    name = "localhost" if host in {"127.0.0.1", "::1"} else host
    bracketed = f"[{name}]" if ":" in name else name
    return f"http://{bracketed}" if port == 80 else f"http://{bracketed}:{port}"
