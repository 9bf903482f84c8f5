"""The origin of a request: its id, the client's address behind trusted proxies, and the user agent.

It is in a context variable, so that log lines and audit entries can include it without the request.
"""

from __future__ import annotations

import ipaddress
import logging
import random
import re
import time
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass

from django.conf import settings
from django.http import HttpRequest, HttpResponse

logger = logging.getLogger(__name__)

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
FORWARDED_ADDRESS = re.compile(
    r'(?:for\s*=\s*)?"?\s*(?:'
    r"\[(?P<bracketed>[^\]]{2,50})\](?::\w{1,10})?|(?P<with_port>[0-9.]{7,15}):\w{1,10}|(?P<plain>[0-9a-f:.]{2,50}(?:%\w{1,20})?)"
    r')\s*"?\s*(?:;.{0,200})?',
    re.IGNORECASE,
)
FORWARDED = ("HTTP_X_FORWARDED_FOR", "HTTP_X_FORWARDED_PROTO", "HTTP_X_FORWARDED_HOST", "HTTP_X_REQUEST_ID")


@dataclass(frozen=True)
class Origin:
    request_id: str = ""
    address: str = ""
    client: str = ""


NOWHERE = Origin()
current_origin: ContextVar[Origin] = ContextVar("current_origin", default=NOWHERE)


class OriginMiddleware:
    """The outermost middleware: sets `request.client_address` and drops proxy headers from untrusted peers."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        origin = origin_of(request)
        request.client_address = origin.address  # type: ignore[attr-defined]  # ours, on Django's request
        started = time.monotonic()
        token = current_origin.set(origin)
        try:
            response = self.get_response(request)
            if settings.NVR_LOG_REQUESTS:
                spent_ms = 1000 * (time.monotonic() - started)
                # The path only: the query may contain a signature.
                logger.info("%s %s %s %.1f ms", request.method, request.path, response.status_code, spent_ms)
        finally:
            current_origin.reset(token)
        response["X-Request-Id"] = origin.request_id
        return response


def origin_of(request: HttpRequest) -> Origin:
    meta = request.META
    peer = meta.get("REMOTE_ADDR", "")
    trusted = is_trusted_proxy(peer)
    if not trusted:
        for name in FORWARDED:
            meta.pop(name, None)
    address = client_behind_proxies(meta.get("HTTP_X_FORWARDED_FOR", ""), peer) if trusted else peer
    return Origin(
        request_id=request_id_from(meta.get("HTTP_X_REQUEST_ID", "")),
        address=address or "local",
        client=re.sub(r"[^\x20-\x7e]", "?", meta.get("HTTP_USER_AGENT", ""))[:200],
    )


def request_id_from(given: str) -> str:
    return given if re.fullmatch(r"[A-Za-z0-9-]{8,64}", given) else f"{random.getrandbits(128):032x}"


def is_trusted_proxy(address: str) -> bool:
    if not address:  # a unix socket: only the machine's own proxy can reach it
        return bool(settings.ON_UNIX_SOCKET or settings.NVR_TRUSTED_PROXIES)
    if not settings.NVR_TRUSTED_PROXIES:
        return False
    parsed = parsed_address(address)
    return parsed is not None and any(parsed in network for network in settings.NVR_TRUSTED_PROXIES)


def client_behind_proxies(forwarded_for: str, peer: str) -> str:
    """Return the right-most address that is not a trusted proxy; the client may have forged those left of it."""
    for part in reversed([part for part in forwarded_for.split(",")[-20:] if part.strip()]):
        address = parsed_address(part)
        if address is None:
            return peer
        if not is_trusted_proxy(str(address)):
            return str(address)
        peer = str(address)
    return peer


def parsed_address(text: str) -> Address | None:
    """Parse one element of `X-Forwarded-For` as proxies write it: with a port (Azure, HAProxy), in brackets or quotes,
    or as `for=…` (RFC 7239). Returns an IPv4-mapped IPv6 address as IPv4, and ignores a zone.
    """
    match = FORWARDED_ADDRESS.fullmatch(text.strip())
    if match is None:
        return None
    try:
        address = ipaddress.ip_address((match["bracketed"] or match["plain"] or match["with_port"]).partition("%")[0])
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address
