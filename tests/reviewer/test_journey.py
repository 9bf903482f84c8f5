"""A script reviews a card with 20 000 pictures, from adding it to emptying the trash, and checks the disk each time."""

from __future__ import annotations

import http.client
import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import pytest
from django.contrib.auth.models import User

from nvr.accounts.models import ApiKey
from tests.factories import jpeg, put
from tests.reviewer.conftest import settle
from tests.reviewer.test_trash_real import begun_when_ready, working
from tests.servers import our_server

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]
FOLDERS, EACH = 20, 1000
FILES = FOLDERS * EACH
ACTIONS = [("lock", ".lock"), *3 * [("trash", ".trash")], *6 * [("seen", ".seen")]]
COMPANIONS = (".lock", ".trash", ".seen")


@pytest.fixture
def card(tmp_path: Path) -> Path:
    """Hard links to three pictures: 20 000 files without the space of 20 000 pictures."""
    pictures = [put(tmp_path, f"{seed}.jpg", jpeg(160, 120, seed=seed)) for seed in range(3)]
    root = tmp_path.resolve() / "card" / "DCIM"
    for number in range(FILES):
        folder = root / f"{100 + number // EACH}MEDIA"
        folder.mkdir(parents=True, exist_ok=True)
        os.link(pictures[number % 3], folder / f"IMG_{number:05}.JPG")
    settle(root.parent)
    return root.parent


class Client:
    """One persistent connection, as a script uses it."""

    def __init__(self, url: str, key: str) -> None:
        self.connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=60)
        self.headers = {"X-API-Key": key, "Content-Type": "application/json"}

    def request(self, method: str, url: str, body: Any = None, *, status: int = 200) -> Any:
        self.connection.request(method, url, None if body is None else json.dumps(body), self.headers)
        response = self.connection.getresponse()
        data = response.read()
        assert response.status == status, (method, url, data)
        if response.headers["Content-Type"] == "application/x-ndjson":
            return [json.loads(line) for line in data.splitlines()]
        return json.loads(data)

    def act(self, path: str, action: str, *, status: int = 200) -> None:
        response = self.request("POST", "/api/media-actions", {"path": path, "action": action}, status=status)
        assert status != 200 or (response["path"], response["action"]) == (path, action)


def names_below(card: Path) -> set[str]:
    return {os.path.join(path, name) for path, _, names in os.walk(card) for name in names if ".thumbnails" not in path}


def marked(card: Path, suffix: str) -> set[str]:
    return {name.removesuffix(suffix) for name in names_below(card) if name.endswith(suffix)}


def mark_files(client: Client, paths: Iterable[str]) -> dict[str, set[str]]:
    """Of every ten files, lock one, trash three and mark six as seen. Return the marked paths by suffix."""
    marks: dict[str, set[str]] = {suffix: set() for suffix in COMPANIONS}
    for number, path in enumerate(paths):
        action, suffix = ACTIONS[number % len(ACTIONS)]
        client.act(path, action)
        marks[".seen"].add(path)
        marks[suffix].add(path)
    return marks


def test_reviewing_a_card_with_20_000_pictures(card: Path) -> None:
    key = ApiKey.objects.issue(user=User.objects.create_superuser("owner"), name="script")[1]
    path_query = f"path={quote(str(card), safe='')}"
    with our_server() as url, working():
        client = Client(url, key)
        assert client.request("POST", "/api/review-paths", {"path": str(card)}, status=201)["addedPath"] == str(card)
        *page, done = client.request("GET", f"/api/media-items/stream?{path_query}&limit=100&statusFilter=unseen")
        assert done == {"type": "done", "count": 100}

        marks = mark_files(client, [item["path"] for item in page])
        locked, trashed = min(marks[".lock"]), sorted(marks[".trash"])
        client.act(locked, "trash", status=409)
        for path in trashed[:3]:
            client.act(path, "untrash")
            marks[".trash"].discard(path)
        *rest, _ = client.request("GET", f"/api/media-items/stream?{path_query}&limit=500&statusFilter=unseen")
        batch = [item["path"] for item in rest]
        response = client.request("POST", "/api/media-items/batch", {"paths": batch, "action": "trash"}, status=207)
        assert {row["status"] for row in response["results"]} == {200}
        marks[".trash"].update(batch)
        marks[".seen"].update(batch)

        assert {suffix: marked(card, suffix) for suffix in COMPANIONS} == marks
        counts = client.request("GET", f"/api/media-items/summary?{path_query}")["counts"]
        assert counts == {
            "all": FILES,
            "unseen": FILES - len(marks[".seen"]),
            "seen": len(marks[".seen"]),
            "locked": len(marks[".lock"]),
            "trashed": len(marks[".trash"]),
        }

        before = names_below(card)
        dry_run = client.request("POST", "/api/empty-trash?dry_run=1")
        assert {line["path"] for line in dry_run[:-1]} == marks[".trash"]
        assert names_below(card) == before
        emptied = [json.loads(line) for line in begun_when_ready(url, key).read().splitlines()]
        assert emptied[-1] == {"type": "done", "deleted": len(marks[".trash"]), "errors": 0}

        deleted = {path + suffix for path in marks[".trash"] for suffix in ("", *COMPANIONS)}
        assert names_below(card) == before - deleted
        listed: list[str] = []
        while len(listed) < FILES - len(marks[".trash"]):
            *page, _ = client.request("GET", f"/api/media-items/stream?{path_query}&limit=10000&offset={len(listed)}")
            listed += [item["path"] for item in page]
        assert set(listed) == {path for path in names_below(card) if path.endswith(".JPG")}
        assert len(set(listed)) == len(listed)
