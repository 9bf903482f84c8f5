"""Real servers for tests and benchmarks (ours under gunicorn, nginx, uvicorn), and wrk to ask them."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from django.conf import settings

BASE_DIR = Path(__file__).resolve().parents[1]
OVER = {"06", "0A"}  # states of the kernel: TIME_WAIT, LISTEN
GENEROUS = {f"NVR_RATE_{tier}{who}": "900000000/m" for tier in ("DEFAULT", "MEDIA") for who in ("", "_ANONYMOUS")}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def running(command: list[str], url: str, **environment: str) -> Iterator[str]:
    """Run a server until the block ends; its log is printed if it does not come up."""
    log = Path(settings.NVR_DATA_DIR) / f"server-{free_port()}.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            cwd=BASE_DIR,
            env={**os.environ, **environment},
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    try:
        wait_for(url, process, log)
        yield url
    finally:
        process.terminate()
        try:
            process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, 9)


def wait_for(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline:
        try:
            urllib.request.urlopen(url, timeout=10).close()
        except urllib.error.HTTPError:
            return
        except OSError:
            if process.poll() is not None:
                break
            time.sleep(0.1)
        else:
            return
    raise RuntimeError(f"{url} did not come up:\n{log.read_text(errors='replace')[-3000:]}")


def wait_until_idle(address: str, *, seconds: float = 60) -> None:
    """Until the server has closed all its connections: it closes none that it still works for."""
    deadline = time.monotonic() + seconds
    while left := connections_of(int(address.rpartition(":")[2])):
        if time.monotonic() > deadline:
            raise RuntimeError(f"{address} still works, or its clients are still there: {left} connections")
        time.sleep(0.02)


def connections_of(port: int) -> int:
    """How many the server on this machine has that neither listen nor wait only for their number to be free again."""
    fields = (line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:])
    return sum(int(local.rpartition(":")[2], 16) == port and state not in OVER for _, local, _, state, *_ in fields)


@contextmanager
def our_server(*also: str, **environment: str) -> Iterator[str]:
    """gunicorn with the product's own configuration, on the test database; rate limits raised, not removed.

    It listens on `also`, too.
    """
    address = f"127.0.0.1:{free_port()}"
    gunicorn = [sys.executable, "-m", "gunicorn", "-c", "python:nvr.webserver.configuration", "-b", address]
    gunicorn += [word for bind in also for word in ("-b", bind)]
    environment = our_environment(**{"NVR_CONNECTIONS_PER_ADDRESS": "100000", **environment})
    with running([*gunicorn, "nvr.wsgi"], f"http://{address}/api/health", **environment):
        yield f"http://{address}"


def our_environment(**environment: str) -> dict[str, str]:
    """The settings for a server on the test database."""
    database = settings.DATABASES["default"]
    url = os.environ.get("DATABASE_URL", "")
    if database["ENGINE"].endswith("sqlite3"):
        url = f"sqlite:///{database['NAME']}"
    elif url:
        url = url.rpartition("/")[0] + f"/{database['NAME']}"
    return {
        "DJANGO_SETTINGS_MODULE": "nvr.settings",
        "NVR_DATA_DIR": str(settings.NVR_DATA_DIR),
        "DATABASE_URL": url,
        **GENEROUS,
        **environment,
    }


def wrk(
    url: str,
    *,
    seconds: int = 4,
    connections: int = 4,
    headers: dict[str, str] | None = None,
    script: Path | None = None,
) -> float:
    """Requests per second; raises if an answer was an error. `script` is Lua that says what to ask."""
    options = ["-s", str(script)] if script else []
    options += [option for name, value in (headers or {}).items() for option in ("-H", f"{name}: {value}")]
    command = [shutil.which("wrk") or "wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--latency", *options, url]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    if "Non-2xx" in text or "Socket errors" in text:
        raise RuntimeError(text)
    match = re.search(r"Requests/sec:\s+([\d.]+)", text)
    assert match, text
    return float(match[1])


def report(name: str, ours: float, peer: float, peer_name: str, goal: float, unit: str = "/s") -> None:
    """One line: both figures, the ratio, and the goal."""
    print(f"\n{name}: ours {ours:,.1f}{unit}, {peer_name} {peer:,.1f}{unit}; ratio {ours / peer:.2f}, goal {goal}")
