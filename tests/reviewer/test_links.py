"""Links to pictures of the same review path: listed, marked and deleted under their own name, shown as their target."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.factories import jpeg, put
from tests.reviewer.emptying import emptied, left_in, of_type
from tests.reviewer.test_actions import BATCH, act, marks
from tests.reviewer.test_listings import FILES, names, streamed

FILE, THUMBNAIL = "/api/media-file", "/api/media-thumbnail"


@pytest.fixture
def target(card: Path) -> Path:
    return card / "DCIM/100MEDIA/IMG_0001.JPG"


@pytest.fixture
def link(card: Path, target: Path) -> Path:
    """A link in another folder than its target, with another suffix."""
    link = card / "DCIM/101MEDIA/best.jpeg"
    link.symlink_to(target)
    return link


def test_link_has_its_own_marks_in_every_listing(review, card, link, target):
    response = act(review, link, "lock")

    assert response.json()["path"] == str(link)
    assert (marks(link), marks(target)) == ({".lock", ".seen"}, set())
    for query in ({}, {"refresh": 1}):
        assert names(streamed(review, card, statusFilter="locked", **query)) == ["101MEDIA/best.jpeg"]
        (item,) = [
            item
            for item in review.get(FILES, {"path": str(link.parent), **query}).json()["items"]
            if item["path"] == str(link)
        ]
        assert item["status"] == {"locked": True, "trashed": False, "seen": True}
    counts = review.get("/api/media-items/summary", {"path": str(card)}).json()["counts"]
    assert (counts["locked"], counts["seen"]) == (1, 1)


def test_link_has_the_content_and_metadata_of_its_target(review, card, link, target):
    (item,) = [item for item in streamed(review, card) if item["path"] == str(link)]

    assert item["metadata"] == {"width": 64, "height": 48, "duration_seconds": None}
    assert item["sizeBytes"] == target.stat().st_size
    shown, other = (review.get(FILE, {"path": str(path)}) for path in (link, target))
    assert b"".join(shown.streaming_content) == b"".join(other.streaming_content) == target.read_bytes()
    assert "best.jpeg" in shown["Content-Disposition"]
    small, same = (review.get(THUMBNAIL, {"path": str(path)}) for path in (link, target))
    assert small.status_code == same.status_code == 200
    assert small["ETag"] == same["ETag"]
    assert len(list((card / ".thumbnails").rglob("*.png"))) == 1


def test_batch_marks_links_like_single_actions(review, link, target):
    response = review.post(BATCH, {"paths": [str(link), str(target)], "action": "trash"}, format="json")

    assert [row["status"] for row in response.json()["results"]] == [200, 200]
    assert marks(link) == marks(target) == {".trash", ".seen"}


def test_path_through_a_linked_folder_marks_the_real_file(review, card, link, target):
    (card / "linked").symlink_to(target.parent)

    assert act(review, card / "linked" / target.name, "seen").json()["path"] == str(target)
    assert marks(target) == {".seen"}


def test_link_outside_the_review_path_marks_its_target(review, target, tmp_path):
    outside = tmp_path.resolve() / "name.jpg"
    outside.symlink_to(target)

    assert act(review, outside, "seen").json()["path"] == str(target)
    assert (marks(outside), marks(target)) == (set(), {".seen"})


@pytest.mark.django_db(transaction=True)
def test_trash_run_deletes_the_link_and_keeps_its_target(review, worker, card, link, target):
    act(review, target, "lock")
    act(review, link, "trash")
    assert emptied(review, query="?dry_run=1") == [
        {"type": "would_delete", "path": str(link)},
        {"type": "done", "deleted": 1, "errors": 0, "bytes": 0},
    ]

    lines = emptied(review)

    assert of_type(lines, "deleted") == [str(link)]
    assert not [name for name in left_in(card) if "best" in name]
    assert target.read_bytes() and marks(target) == {".lock", ".seen"}


@pytest.mark.django_db(transaction=True)
def test_trash_run_deletes_the_target_and_keeps_the_link(review, worker, card, link, target):
    act(review, target, "trash")

    assert of_type(emptied(review), "deleted") == [str(target)]
    assert link.is_symlink()
    items = review.get(FILES, {"path": str(link.parent)}).json()["items"]
    assert str(link) not in [item["path"] for item in items]


@pytest.mark.parametrize(
    ("name", "target_path", "status"),
    [
        ("out.jpg", "{outside}", 403),
        ("hidden.jpg", "{card}/.hidden/a.jpg", 400),
        ("text.jpg", "{card}/DCIM/100MEDIA/notes.txt", 400),
        ("gone.jpg", "{card}/gone.jpg", 400),
        ("round.jpg", "{card}/round.jpg", 400),
        ("folder.jpg", "{card}/DCIM", 400),
    ],
)
def test_link_to_an_unreviewable_file_is_not_listed(review, card, tmp_path, name, target_path, status):
    outside = put(tmp_path, "outside.jpg", jpeg())
    put(card / ".hidden", "a.jpg", jpeg())
    (card / name).symlink_to(target_path.format(card=card, outside=outside))

    assert str(card / name) not in [item["path"] for item in streamed(review, card)]
    assert act(review, card / name, "seen").status_code == status
    assert not list(card.glob("*.seen"))
    for url in (FILE, THUMBNAIL):
        # `/api/media-file` returns 403 for other file types
        assert review.get(url, {"path": str(card / name)}).status_code in {status, 403}


def test_link_to_outside_does_not_reveal_whether_its_target_exists(review, card, tmp_path):
    outside = tmp_path.resolve() / "outside"
    put(outside, "a.jpg", jpeg())
    (card / "linked").symlink_to(outside)
    (card / "broken_link").symlink_to(tmp_path / "nothing")
    for name in ("there.jpg", "missing.jpg"):
        (card / name).symlink_to(outside / {"there.jpg": "a.jpg"}.get(name, "nothing.jpg"))
    paths = ("there.jpg", "missing.jpg", "linked/a.jpg", "linked/nothing.jpg", "broken_link/a.jpg")

    def responses(request: Callable[[str], Any]) -> set[tuple[int, bytes]]:
        return {
            (response.status_code, response.content) for response in map(request, (str(card / path) for path in paths))
        }

    for url in (FILE, THUMBNAIL, FILES, "/api/folders", "/api/media-items/stream"):
        assert {status for status, _ in responses(lambda path, at=url: review.get(at, {"path": path}))} == {403}
        assert len(responses(lambda path, at=url: review.get(at, {"path": path}))) == 1
    assert len(responses(lambda path: act(review, path, "seen"))) == 1
    rows = review.post(BATCH, {"paths": [str(card / p) for p in paths], "action": "seen"}, format="json").json()
    assert {(row["status"], row["error"]) for row in rows["results"]} == {(403, rows["results"][0]["error"])}
