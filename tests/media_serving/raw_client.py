"""An HTTP client that sends the request line as it is given, and follows nothing."""

from __future__ import annotations

import http.client
from dataclasses import dataclass
from urllib.parse import urlsplit


@dataclass(frozen=True)
class Answer:
    status: int
    body: bytes
    headers: http.client.HTTPMessage


class RawConnection(http.client.HTTPConnection):
    def _validate_path(self, url: str) -> None:
        """Control characters too: that is what is tried."""

    def _encode_request(self, request: str) -> bytes:
        return request.encode("latin-1")


class Raw:
    def __init__(self, url: str, key: str) -> None:
        self.host, self.key = urlsplit(url).netloc, key

    def get(self, target: str, method: str = "GET", **headers: str) -> Answer:
        """`headers` by their names with `_` for `-`."""
        link = RawConnection(self.host, timeout=20)
        try:
            link.putrequest(method, target, skip_accept_encoding=True)
            for name, value in {"X-API-Key": self.key, **headers}.items():
                link.putheader(name.replace("_", "-"), value)
            link.endheaders()
            answer = link.getresponse()
            return Answer(answer.status, answer.read(), answer.headers)
        finally:
            link.close()
