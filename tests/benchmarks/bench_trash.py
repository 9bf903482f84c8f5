"""Emptying 1 000 trashed files of 10 000 by API key: the first line and the whole.

Over the broker of `CELERY_BROKER_URL`, or that of files.

The peer technique, in this process and without any server, walks the tree for what is trashed and deletes as it goes.
"""

from __future__ import annotations

import http.client
import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from django.contrib.auth.models import User

from nvr.accounts.models import ApiKey
from reviewer.registry import add_path
from tests.reviewer.test_trash_real import begun_when_ready, working
from tests.servers import our_server

TREE, TRASHED, ROUNDS = 10_000, 1_000, 5
FIRST_LINE_MS, WHOLE_MS = (30, 200) if os.environ.get("CELERY_BROKER_URL") else (150, 400)


def fill(root: Path) -> None:
    """10 folders; what the last round deleted is there again, and was so long before it is asked for."""
    for number in range(TREE):
        folder = root / f"{number % 10:03}MEDIA"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"IMG_{number:05}.JPG").touch()
        if number % (TREE // TRASHED) == 0:
            (folder / f"IMG_{number:05}.JPG.trash").touch()
            (folder / f"IMG_{number:05}.JPG.seen").touch()


def emptied_by_peer(root: Path) -> Iterator[str]:
    for path in sorted(root.rglob("*"), key=lambda path: path.name):
        if path.suffix.lower() in {".jpg", ".mp4"} and path.with_name(f"{path.name}.trash").exists():
            yield json.dumps({"type": "deleting", "path": str(path)})
            path.unlink()
            for ending in (".trash", ".seen"):
                path.with_name(f"{path.name}{ending}").unlink(missing_ok=True)
            yield json.dumps({"type": "deleted", "path": str(path)})


def timed_peer(root: Path) -> tuple[float, float]:
    started = time.monotonic()
    lines = emptied_by_peer(root)
    next(lines)
    first = time.monotonic() - started
    assert sum(1 for _ in lines) == 2 * TRASHED - 1
    return first * 1000, (time.monotonic() - started) * 1000


def timed_ours(url: str, key: str) -> tuple[float, float]:
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=60)
    started = time.monotonic()
    connection.request("POST", "/api/empty-trash", headers={"X-API-Key": key})
    answer = connection.getresponse()
    answer.readline()
    first = time.monotonic() - started
    last = json.loads(answer.read().splitlines()[-1])
    whole = time.monotonic() - started
    assert last == {"type": "done", "deleted": TRASHED, "errors": 0}, last
    return first * 1000, whole * 1000


@pytest.mark.timeout(300)
def test_emptying(transactional_db: None, tmp_path: Path) -> None:
    ours, peers = tmp_path.resolve() / "ours", tmp_path.resolve() / "peer"
    os.makedirs(ours)
    user = User.objects.create_superuser("bench")
    key = ApiKey.objects.issue(user=user, name="bench")[1]
    add_path(user, str(ours))
    rounds = []
    with our_server() as url, working():
        begun_when_ready(url, key).read()
        for _ in range(ROUNDS):
            fill(ours), fill(peers)
            connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=60)
            time.sleep(2.1)  # the index is sure of a folder two seconds after its last change
            connection.request("GET", f"/api/media-items/summary?path={ours}", headers={"X-API-Key": key})
            assert json.loads(connection.getresponse().read())["counts"]["trashed"] == TRASHED
            rounds.append((*timed_ours(url, key), *timed_peer(peers)))
    first, whole, peer_first, peer_whole = (sorted(column)[ROUNDS // 2] for column in zip(*rounds, strict=True))
    print(
        f"\nemptying {TRASHED} of {TREE}: first line {first:.0f} ms (goal {FIRST_LINE_MS}), whole {whole:.0f} ms "
        f"(goal {WHOLE_MS}); a walk without server or record: {peer_first:.0f} and {peer_whole:.0f} ms"
    )
