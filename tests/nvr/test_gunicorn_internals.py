"""The parts of gunicorn that `nvr.webserver` overrides or relies on are those that it was written for."""

from __future__ import annotations

import hashlib
import inspect
import tomllib
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
from gunicorn.arbiter import Arbiter
from gunicorn.http.unreader import SocketUnreader, Unreader
from gunicorn.http.wsgi import Response
from gunicorn.workers.base import Worker
from gunicorn.workers.gthread import TConn, ThreadWorker

ROOT = Path(__file__).resolve().parents[2]
# The start of the SHA-256 of each one's source, by the module of `nvr.webserver` that depends on it.
INTERNALS: dict[str, dict[Any, str]] = {
    "worker.py": {
        TConn.__init__: "c8763d7c6597",
        TConn.init: "5ff3d4ba451c",
        TConn.set_timeout: "03938b63c8bb",
        TConn.close: "6d1c334ed197",
        ThreadWorker.__init__: "5681b8b542ea",
        ThreadWorker.init_process: "e4fc63a1a68e",
        ThreadWorker.run: "f92c7394d857",
        ThreadWorker.accept: "f8dcead3dce5",
        ThreadWorker.set_accept_enabled: "140150ebfd3c",
        ThreadWorker.enqueue_req: "c9f428953d24",
        ThreadWorker.on_client_socket_readable: "aead1a3ea7b7",
        ThreadWorker.handle: "ca85c9be3df7",
        ThreadWorker.handle_request: "6d0de5b91910",
        ThreadWorker.finish_request: "616e7bb15a00",
        ThreadWorker.murder_keepalived: "4459960c4ccc",
        ThreadWorker.murder_pending: "7bf11f464542",
        ThreadWorker._cap_keepalive: "745c8ac37108",
        Worker.notify: "7f509bc4046b",
        Worker.handle_error: "75426448389b",
        Unreader.take_buffered: "89cef5e60e6f",
        Unreader.unread: "8e325744dfca",
        SocketUnreader.chunk: "9f62532259f8",
    },
    "sockets.py": {
        Response.send_headers: "7aff3b7d004f",
        Response.write: "a13659ff072c",
        Response.sendfile: "417ea65fb9a1",
        Response.write_file: "dbbc63339312",
        Response.close: "1e78fc7777ff",
    },
    "configuration.py": {Arbiter.start: "92668bdb3e86", Arbiter.stop: "7138b6afd9c4"},
}


def test_the_installed_gunicorn_is_the_pinned_one() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]

    assert f"gunicorn=={version('gunicorn')}" in project["dependencies"]


@pytest.mark.parametrize("module", INTERNALS)
def test_what_the_web_server_overrides_has_not_changed(module: str) -> None:
    changed = {
        function.__qualname__: digest
        for function, known in INTERNALS[module].items()
        if (digest := hashlib.sha256(inspect.getsource(function).encode()).hexdigest()[:12]) != known
    }

    assert not changed, (
        f"gunicorn {version('gunicorn')} has changed {', '.join(changed)}. Compare with the version pinned before, "
        f"adapt nvr/webserver/{module}, run tests/start/test_webserver.py and tests/benchmarks/bench_web_servers.py, "
        f"then enter the new digests here: {changed}"
    )
