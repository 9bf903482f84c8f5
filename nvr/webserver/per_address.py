"""A limit on open connections per client address: idle ones cost little, but their number is limited."""

from __future__ import annotations

from collections import Counter
from typing import Any

from nvr.api.ratelimits import network_of
from nvr.request_context import is_trusted_proxy


class ConnectionsPerAddress:
    """Counts per process. Trusted proxies and unix sockets have no limit, since they serve many clients."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.open: Counter[str] = Counter()

    def is_full(self, client: Any) -> bool:
        """Return whether `client` is at its limit: an address and port, or an empty text for a unix socket."""
        if not isinstance(client, tuple) or self.open[address_of(client)] < self.limit:
            return False
        return not is_trusted_proxy(client[0])

    def opened(self, client: Any) -> None:
        self.open[address_of(client)] += 1

    def closed(self, client: Any) -> None:
        address = address_of(client)
        self.open[address] -= 1
        if not self.open[address]:
            del self.open[address]


def address_of(client: Any) -> str:
    return network_of(client[0]) if isinstance(client, tuple) else ""
