"""A camera that uploads by FTP: whole, slowly, cut off and resumed. The server is pyftpdlib, the camera lftp."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.utils import timezone
from pyftpdlib.authorizers import DummyAuthorizer
from pyftpdlib.handlers import FTPHandler
from pyftpdlib.servers import FTPServer

from cameras.models import Camera
from media_serving.ingest import processor
from media_serving.models import Upload
from tests.factories import folder_of, jpeg
from tests.ingest.conftest import uploads, wait_for
from tests.ingest.test_watcher import notifications, short_delays, watching

__all__ = ["notifications", "short_delays", "watching"]
pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def stable_s() -> float:
    """As usual: a slow camera pauses."""
    return 2


@pytest.fixture
def server(porch: Camera) -> Iterator[int]:
    authorizer = DummyAuthorizer()
    authorizer.add_user("camera", "secret", str(folder_of(porch)), perm="elradfmw")
    handler = type("Handler", (FTPHandler,), {"authorizer": authorizer, "passive_ports": range(40_000, 40_500)})
    ftp = FTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=lambda: ftp.serve_forever(timeout=0.05, handle_exit=False))
    thread.start()
    yield ftp.address[1]
    ftp.close_all()
    thread.join(5)


def lftp(port: int, *commands: str) -> bool:
    """Whether the camera got through what it was told."""
    script = "; ".join(["set net:max-retries 1", "set cmd:fail-exit yes", *commands, "bye"])
    command = ["lftp", "-u", "camera,secret", "-e", script, f"ftp://127.0.0.1:{port}"]
    return subprocess.run(command, timeout=120, capture_output=True).returncode == 0


def lose_the_network(port: int, picture: Path, uploaded: Path) -> None:
    """The camera is killed when some of its picture has come: at this rate the rest would take a minute."""
    rate = picture.stat().st_size // 60
    script = f"set net:limit-rate {rate}:{rate}; set xfer:buffer-size 1024; put {picture}; bye"
    camera = subprocess.Popen(["lftp", "-u", "camera,secret", "-e", script, f"ftp://127.0.0.1:{port}"])
    try:
        wait_for(lambda: uploaded.exists() and uploaded.stat().st_size)
    finally:
        camera.kill()
        camera.wait()


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    path = tmp_path / "snap.jpg"
    path.write_bytes(jpeg(640, 480, seed=7))
    return path


def test_an_uploaded_picture_is_processed(porch, server, watching, picture):
    assert lftp(server, f"mkdir -p 2026-01-31/001; cd 2026-01-31/001; put {picture}")
    wait_for(lambda: uploads(porch))
    processor.process_pending()

    assert uploads(porch) == {"2026-01-31/001/snap.jpg": ("done", "")}


def test_an_interrupted_and_resumed_upload_is_one_complete_file(porch, server, watching, picture):
    size = picture.stat().st_size
    uploaded = folder_of(porch) / "snap.jpg"
    lose_the_network(server, picture, uploaded)
    assert 0 < uploaded.stat().st_size < size
    wait_for(lambda: uploads(porch))
    processor.process_pending()
    state, reason = uploads(porch)["snap.jpg"]
    assert state == "waiting" and "incomplete" in reason

    assert lftp(server, f"put -c {picture}")
    wait_for(lambda: Upload.objects.get().size_bytes == size)
    processor.process_pending()

    assert uploads(porch) == {"snap.jpg": ("done", "")}
    assert Upload.objects.get().attempts == 1
    assert timezone.now() > Upload.objects.get().done_at
