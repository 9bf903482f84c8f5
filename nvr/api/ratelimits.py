"""Rate limits in named tiers, counted by django-ratelimit per user or client address."""

from __future__ import annotations

import ipaddress
import unicodedata
from dataclasses import dataclass

from django.conf import settings
from django.http import HttpRequest
from django_ratelimit.core import get_usage

from nvr.api.counters import current_limit
from nvr.errors import TooManyRequests

MAX_NAME = 150  # as Django's user names


@dataclass(frozen=True)
class Usage:
    """A client's usage in the current window; `retry_after` is in seconds."""

    limit: int
    remaining: int
    retry_after: int
    exceeded: bool

    @property
    def headers(self) -> dict[str, str]:
        return {"X-RateLimit-Limit": str(self.limit), "X-RateLimit-Remaining": str(self.remaining)}


def count(request: HttpRequest, tier: str, *, user_id: int | None, extra: str = "") -> Usage:
    """Count one request of `tier` for the user, else for the client's address; `extra` narrows the counter."""
    # Users have their own counters: many may share an address.
    client = f"user:{user_id}" if user_id is not None else f"address:{network_of(client_address(request))}"
    rate = settings.RATES[tier]["user" if user_id is not None else "anonymous"]
    current_limit.set(int(rate.partition("/")[0]))
    usage = get_usage(
        request, group=f"nvr.{tier}", key=lambda _group, _request: f"{client}{extra}", rate=rate, increment=True
    )
    if usage is None:  # limits are switched off
        return Usage(limit=0, remaining=0, retry_after=0, exceeded=False)
    return Usage(
        limit=usage["limit"],
        remaining=max(0, usage["limit"] - usage["count"]),
        retry_after=max(1, usage["time_left"]),
        exceeded=usage["should_limit"],
    )


def count_login(request: HttpRequest, name: str) -> Usage:
    """Count one login attempt as `name` from this address.

    The pair is counted, so that nobody can lock out a user from another address. The caller also counts the address
    alone, in the default tier, so that nobody can try one password with many names.
    """
    usage = count(request, "login", user_id=None, extra=f":name:{name_meant(name)}")
    enforce(usage)
    return usage


def name_meant(text: str) -> str:
    """Return `text` as the login form normalizes it: without surrounding blanks, in NFKC form."""
    return unicodedata.normalize("NFKC", text.strip()[:MAX_NAME]).casefold()


def enforce(usage: Usage) -> None:
    if usage.exceeded:
        raise TooManyRequests(
            f"Too many requests: try again in {usage.retry_after} seconds.",
            retry_after=usage.retry_after,
            headers=usage.headers,
        )


def client_address(request: HttpRequest) -> str:
    return str(getattr(request, "client_address", request.META.get("REMOTE_ADDR", "")))


def network_of(address: str) -> str:
    """Return the /64 network of an IPv6 address, which belongs to one client, or the IPv4 address."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    if isinstance(parsed, ipaddress.IPv6Address):
        mapped = parsed.ipv4_mapped
        return str(mapped) if mapped else str(ipaddress.ip_network((int(parsed) >> 64 << 64, 64)))
    return str(parsed)
