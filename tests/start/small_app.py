"""A WSGI application with the cases that matter to a server: a short answer, a long one, a file, a body."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any


def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    path = environ["PATH_INFO"]
    if path == "/file":
        file = Path(os.environ["SMALL_APP_FILE"]).open("rb")  # noqa: SIM115 - the server closes it
        file.seek(100)
        start_response("200 OK", [("Content-Length", "30000000")])
        return environ["wsgi.file_wrapper"](file)
    if path == "/long":
        start_response("200 OK", [("Content-Length", str(50 * 2**20))])
        return (b"x" * 2**20 for _ in range(50))
    if path == "/hoard":
        hoard_files(seconds=2)
    if path == "/body":
        body = environ["wsgi.input"].read()
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [str(len(body)).encode()]
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "2")])
    return [b"ok"]


def hoard_files(seconds: float) -> None:
    """Open all files that this process may have open, and keep them."""
    with ExitStack() as stack:
        with suppress(OSError):
            while True:
                stack.enter_context(Path(os.devnull).open())
        time.sleep(seconds)
