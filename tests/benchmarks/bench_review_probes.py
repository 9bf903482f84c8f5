"""A page of 50 videos with width, height and duration, by API key: new ones, and known ones.

The peer technique asks ffprobe for each file, one after the other, and does nothing else: no server, no listing.
"""

from __future__ import annotations

import http.client
import json
import subprocess
import time
from pathlib import Path
from urllib.parse import quote, urlsplit

import pytest
from django.contrib.auth.models import User

from nvr.accounts.models import ApiKey
from reviewer.registry import add_path
from tests.servers import our_server, report

PAGE, ROUNDS = 50, 5
NEW, KNOWN = 90, 300  # times as fast


@pytest.fixture
def film(tmp_path: Path) -> Path:
    path = tmp_path / "film.mp4"
    source = ["-f", "lavfi", "-i", "testsrc2=size=1920x1080:rate=30:duration=10"]
    command = ["ffmpeg", "-v", "error", *source, "-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p"]
    subprocess.run([*command, str(path)], check=True, timeout=120)
    return path


def fill(folder: Path, film: Path) -> Path:
    """25 MP4 and 25 QuickTime files, of which a page looks at the first and last kilobytes at most."""
    folder.mkdir(parents=True)
    for number in range(PAGE):
        (folder / f"VID_{number:04}.{'MP4' if number % 2 else 'MOV'}").write_bytes(film.read_bytes())
    return folder


def probed_ms(folder: Path) -> float:
    wanted = ["-print_format", "json", "-show_entries", "stream=width,height:format=duration"]
    started = time.perf_counter()
    for file in sorted(folder.iterdir()):
        subprocess.run(["ffprobe", "-v", "error", *wanted, str(file)], check=True, capture_output=True, timeout=60)
    return 1000 * (time.perf_counter() - started)


def page_ms(connection: http.client.HTTPConnection, key: str, folder: Path) -> float:
    started = time.perf_counter()
    connection.request("GET", f"/api/folders/files?limit={PAGE}&path={quote(str(folder))}", headers={"X-API-Key": key})
    items = json.loads(connection.getresponse().read())["items"]
    spent = 1000 * (time.perf_counter() - started)
    assert [item["metadata"] for item in items] == [{"width": 1920, "height": 1080, "duration_seconds": 10.0}] * PAGE
    return spent


@pytest.mark.timeout(600)
@pytest.mark.django_db(transaction=True)
def test_a_page_of_videos(tmp_path: Path, film: Path) -> None:
    card = tmp_path.resolve() / "card"
    fill(card / "000", film)
    user = User.objects.create_superuser("bench")
    key = ApiKey.objects.issue(user=user, name="bench")[1]
    add_path(user, str(card))
    rounds = []
    with our_server() as url:
        connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=60)
        page_ms(connection, key, card / "000")
        for number in range(1, ROUNDS + 1):
            folder = fill(card / f"{number:03}", film)
            new = page_ms(connection, key, folder)
            known = sorted(page_ms(connection, key, folder) for _ in range(5))[2]
            rounds.append((new, known, probed_ms(folder)))
    new, known, peer = (sorted(column)[ROUNDS // 2] for column in zip(*rounds, strict=True))
    report(f"a page of {PAGE} videos, new (speed)", 1000 / new, 1000 / peer, "ffprobe for each", NEW)
    report(f"a page of {PAGE} videos, known (speed)", 1000 / known, 1000 / peer, "ffprobe for each", KNOWN)
    print(f"  {new:.0f} and {known:.1f} ms against {peer:.0f} ms")
