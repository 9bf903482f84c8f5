"""A 2 MB picture and a 1 MiB range deep in a 200 MB video, by API key, against nginx's static module (no sign-in)."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from django.conf import settings
from django.contrib.auth.models import User

from nvr.accounts.models import ApiKey
from tests.factories import folder_of, make_camera
from tests.servers import free_port, our_server, report, running, wrk

MIB = 2**20


@contextmanager
def nginx_over(root: Path) -> Iterator[str]:
    """nginx as Debian configures it: two workers, sendfile, nothing between it and the files."""
    port = free_port()
    scratch = Path(settings.NVR_DATA_DIR) / f"nginx-{port}"
    scratch.mkdir()
    configuration = scratch / "nginx.conf"
    configuration.write_text(
        f"user root; worker_processes 2; pid {scratch}/pid; error_log {scratch}/error.log; daemon off;\n"
        "events { worker_connections 512; }\n"
        f"http {{ access_log off; sendfile on; tcp_nopush on; keepalive_requests 1000000;\n"
        f"client_body_temp_path {scratch}/b; proxy_temp_path {scratch}/p; fastcgi_temp_path {scratch}/f;\n"
        f"uwsgi_temp_path {scratch}/u; scgi_temp_path {scratch}/s;\n"
        f"server {{ listen 127.0.0.1:{port}; root {root}; }} }}\n"
    )
    with running(["nginx", "-c", str(configuration), "-p", str(scratch)], f"http://127.0.0.1:{port}/") as url:
        yield url.rstrip("/")


@pytest.fixture
def stored(transactional_db: None) -> tuple[Path, dict[str, str]]:
    camera = make_camera("Bench")
    folder = folder_of(camera)
    (folder / "picture.jpg").write_bytes(random.Random(1).randbytes(2 * MIB))
    with (folder / "long.mp4").open("wb") as video:
        for _ in range(200):
            video.write(os.urandom(MIB))
    user = User.objects.create_superuser("bench")
    return folder, {"X-API-Key": ApiKey.objects.issue(user=user, name="bench")[1]}


def test_pictures_and_ranges(stored: tuple[Path, dict[str, str]]) -> None:
    folder, key = stored
    cases = {
        "2 MB picture": ("picture.jpg", {}),
        "1 MiB at the start of 200 MB": ("long.mp4", {"Range": f"bytes=0-{MIB - 1}"}),
        "1 MiB deep in 200 MB": ("long.mp4", {"Range": f"bytes={180 * MIB}-{181 * MIB - 1}"}),
    }
    with our_server() as ours, nginx_over(folder) as nginx:
        for name, (file, header) in cases.items():
            rounds = [
                (
                    wrk(f"{nginx}/{file}", headers=header),
                    wrk(f"{ours}/api/media/cameras/bench/{file}", headers=header | key),
                )
                for _ in range(3)
            ]
            peer, mine = (sorted(column)[1] for column in zip(*rounds, strict=True))
            report(name, mine, peer, "nginx", 0.5)
