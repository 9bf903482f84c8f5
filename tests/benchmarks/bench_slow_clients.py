"""Fifty clients that read one byte a second; meanwhile /api/health must answer within a second."""

from __future__ import annotations

import socket
import threading
import time
import urllib.request
from urllib.parse import urlsplit

from django.contrib.auth.models import User

from nvr.accounts.models import ApiKey
from tests.factories import folder_of, make_camera
from tests.servers import our_server

CLIENTS = 50
SECONDS = 20


def read_slowly(address: str, key: str, until: float) -> None:
    parts = urlsplit(address)
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.connect((str(parts.hostname), int(parts.port or 80)))
        request = f"GET /api/media/cameras/bench/long.mp4 HTTP/1.1\r\nHost: localhost\r\nX-API-Key: {key}\r\n\r\n"
        client.sendall(request.encode())
        client.settimeout(2)
        while time.monotonic() < until:
            try:
                if not client.recv(1):
                    return
            except OSError:
                return
            time.sleep(1)


def test_slow_clients(transactional_db: None) -> None:
    camera = make_camera("Bench")
    (folder_of(camera) / "long.mp4").write_bytes(bytes(64 * 2**20))
    user = User.objects.create_superuser("bench")
    key = ApiKey.objects.issue(user=user, name="bench")[1]
    with our_server() as ours:
        until = time.monotonic() + SECONDS
        threads = [threading.Thread(target=read_slowly, args=(ours, key, until)) for _ in range(CLIENTS)]
        for thread in threads:
            thread.start()
        waits = []
        while time.monotonic() < until:
            started = time.monotonic()
            with urllib.request.urlopen(f"{ours}/api/health", timeout=30) as response:
                response.read()
            waits.append(time.monotonic() - started)
            time.sleep(0.5)
        for thread in threads:
            thread.join()
    print(
        f"\n{CLIENTS} clients at one byte a second: /api/health median {1000 * sorted(waits)[len(waits) // 2]:.0f} ms,"
    )
    print(f"longest {1000 * max(waits):.0f} ms; goal 1000 ms")
