"""List of 100 cameras by API key, against FastAPI with SQLAlchemy and pydantic; two processes each, four clients."""

from __future__ import annotations

import sys

import pytest
from django.conf import settings
from django.contrib.auth.models import User

from cameras.models import Camera
from nvr.accounts.models import ApiKey
from tests.servers import free_port, our_server, report, running, wrk


@pytest.fixture
def key(transactional_db: None) -> str:
    user = User.objects.create_superuser("bench")
    Camera.objects.bulk_create(
        Camera(slug=f"camera_{n}", name=f"Camera {n:03}", folder_path=f"/export/camera_{n}") for n in range(100)
    )
    return ApiKey.objects.issue(user=user, name="bench")[1]


def test_camera_list(key: str) -> None:
    headers = {"X-API-Key": key}
    port = free_port()
    peer = [sys.executable, "-m", "uvicorn", "tests.benchmarks.peer_camera_list:app", "--port", str(port)]
    quiet = ["--workers", "2", "--log-level", "warning"]
    database = f"sqlite:///{settings.DATABASES['default']['NAME']}"
    with (
        our_server() as ours,
        our_server(NVR_LIST_CACHE_TIME="0") as uncached,
        running([*peer, *quiet], f"http://127.0.0.1:{port}/docs", PEER_DATABASE=database),
    ):
        rounds = [
            (
                wrk(f"http://127.0.0.1:{port}/api/cameras", headers=headers),
                wrk(f"{uncached}/api/cameras", headers=headers),
                wrk(f"{ours}/api/cameras", headers=headers),
            )
            for _ in range(3)
        ]
    theirs, plain, cached = (sorted(column)[1] for column in zip(*rounds, strict=True))
    report("camera list, uncached", plain, theirs, "FastAPI + SQLAlchemy", 1.4)
    report("camera list, cached", cached, theirs, "FastAPI + SQLAlchemy", 3)
