"""Files with the suffix `.ts`: videos are reviewed, TypeScript is not."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from reviewer.catalog import media_types
from tests.factories import make_video, put
from tests.media.test_transport_streams import STREAM
from tests.reviewer.conftest import settle
from tests.reviewer.test_listings import ALL, names, streamed

pytestmark = pytest.mark.django_db
SOURCE = b"export function greet(who: string): string { return `Good morning, ${who}`; }\n" * 40


@pytest.fixture
def mixed(folder: Path) -> Path:
    for name in ("index.ts", "UPPER.TS"):
        put(folder, name, SOURCE)
    make_video(folder / "real.ts", seconds=1, size="64x48", codec=("-c:v", "mpeg2video"))
    put(folder, "cut.TS", STREAM[60:])
    settle(folder)
    return folder


def test_only_videos_are_listed(review, card, mixed):
    listed = names(streamed(review, card))

    assert sorted(listed) == sorted([*ALL, "100MEDIA/real.ts", "100MEDIA/cut.TS"])
    files = review.get("/api/folders/files", {"path": str(mixed)}).json()
    assert files["ignoredCount"] == 3  # with the notes
    assert {item["mediaType"] for item in files["items"] if item["name"].lower().endswith("ts")} == {"video"}


def test_source_code_is_neither_served_nor_marked(review, mixed):
    path = str(mixed / "index.ts")

    assert review.get("/api/media-file", {"path": path}).status_code == 403
    assert review.get("/api/media-thumbnail", {"path": path}).status_code == 400
    response = review.post("/api/media-actions", {"path": path, "action": "trash"}, format="json")
    assert response.status_code == 400
    assert not Path(f"{path}.trash").exists()
    assert review.get("/api/media-file", {"path": str(mixed / "real.ts")}).status_code == 200


def test_empty_video_is_listed_after_it_was_written(review, card, folder):
    file = put(folder, "recording.ts", b"", age_s=60)
    settle(folder)
    assert names(streamed(review, card)) == ALL

    with file.open("r+b") as growing:
        growing.write(STREAM)
    settle(folder)

    assert "100MEDIA/recording.ts" in names(streamed(review, card))


def test_content_check_is_cached_until_the_file_changes(review, card, mixed, monkeypatch):
    names(streamed(review, card))
    checked: list[bytes] = []
    is_transport_stream = media_types.is_transport_stream
    monkeypatch.setattr(
        media_types, "is_transport_stream", lambda head: checked.append(head) or is_transport_stream(head)
    )

    put(mixed, "new.jpg", b"x")
    (mixed / "index.ts").write_bytes(STREAM)
    os.utime(mixed / "index.ts", (time.time() - 5,) * 2)
    os.utime(mixed, (1_700_000_100, 1_700_000_100))

    assert "100MEDIA/index.ts" in names(streamed(review, card))
    assert len(checked) == 1
