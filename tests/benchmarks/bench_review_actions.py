"""Lock, trash and seen by API key, from four clients that keep their connections, in a tree of 10 000 files.

The peer technique walks the tree before each action, as programs without an index do; the same key, two processes each.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from urllib.request import Request, urlopen

import pytest
from django.conf import settings
from django.contrib.auth.models import User

from nvr.accounts.models import ApiKey
from reviewer.registry import add_path
from tests.servers import free_port, our_server, report, running, wrk

FILES, ROUNDS, GOAL = 10_000, 3, 1200
# Each undone before the next, a thousand files at a time, so that no two clients are at the same file.
ORDER = ("lock", "unlock", "trash", "untrash", "seen", "unseen")
SCRIPT = """
local turn = -1
local actions = {ACTIONS}
wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
request = function()
  turn = turn + 1
  local number = (math.floor(turn / 6000) * 1000 + turn % 1000) % FILES
  local file = string.format("ROOT/%03dMEDIA/IMG_%05d.JPG", number % 10, number)
  local action = actions[math.floor(turn / 1000) % 6 + 1]
  return wrk.format(nil, nil, nil, string.format('{"path": "%s", "action": "%s"}', file, action))
end
"""


@pytest.fixture
def card(tmp_path: Path) -> Path:
    root = tmp_path.resolve() / "card"
    for number in range(FILES):
        folder = root / f"{number % 10:03}MEDIA"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"IMG_{number:05}.JPG").touch()
    return root


@pytest.fixture
def script(card: Path, tmp_path: Path) -> Path:
    names = ", ".join(f'"{action}"' for action in ORDER)
    path = tmp_path / "actions.lua"
    path.write_text(SCRIPT.replace("ACTIONS", names).replace("FILES", str(FILES)).replace("ROOT", str(card)))
    return path


def known_to_us(url: str, key: dict[str, str], card: Path) -> None:
    request = Request(f"{url}/api/media-items/summary?path={card}", headers=key)
    with urlopen(request, timeout=60) as answer:
        assert json.load(answer)["counts"]["all"] == FILES


def in_turn(url: str, key: dict[str, str], script: Path) -> float:
    """Requests per second, when the other has ended what it was asked last."""
    time.sleep(2)
    return wrk(f"{url}/api/media-actions", headers=key, script=script)


@pytest.mark.django_db(transaction=True)
def test_actions(card: Path, script: Path) -> None:
    user = User.objects.create_superuser("bench")
    key = {"X-API-Key": ApiKey.objects.issue(user=user, name="bench")[1]}
    add_path(user, str(card))
    port = free_port()
    peer = [sys.executable, "-m", "uvicorn", "tests.benchmarks.peer_review_actions:app", "--port", str(port)]
    surroundings = {"PEER_DATABASE": f"sqlite:///{settings.DATABASES['default']['NAME']}", "PEER_ROOT": str(card)}
    with (
        our_server() as ours,
        running([*peer, "--workers", "2", "--log-level", "warning"], f"http://127.0.0.1:{port}/docs", **surroundings),
    ):
        known_to_us(ours, key, card)
        rounds = [tuple(in_turn(url, key, script) for url in (ours, f"http://127.0.0.1:{port}")) for _ in range(ROUNDS)]
    mine, theirs = (sorted(column)[ROUNDS // 2] for column in zip(*rounds, strict=True))
    report(f"actions in a tree of {FILES}, four clients", mine, theirs, "a walk before each", 2.5)
    print(f"  goal {GOAL}/s")
