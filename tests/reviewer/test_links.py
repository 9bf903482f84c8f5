"""A link to a picture of the same review path: listed, marked and deleted under its own name, shown as its target."""

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
    """In another folder than its target, and of another ending."""
    link = card / "DCIM/101MEDIA/best.jpeg"
    link.symlink_to(target)
    return link


def test_its_marks_are_beside_it_and_show_in_every_listing(review, card, link, target):
    answer = act(review, link, "lock")

    assert answer.json()["path"] == str(link)
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


def test_what_is_told_and_shown_of_it_is_its_targets(review, card, link, target):
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


def test_a_batch_marks_it_as_a_single_action_does(review, link, target):
    answer = review.post(BATCH, {"paths": [str(link), str(target)], "action": "trash"}, format="json")

    assert [row["status"] for row in answer.json()["results"]] == [200, 200]
    assert marks(link) == marks(target) == {".trash", ".seen"}


def test_a_folder_that_is_a_link_leads_to_the_files_own_marks(review, card, link, target):
    (card / "way").symlink_to(target.parent)

    assert act(review, card / "way" / target.name, "seen").json()["path"] == str(target)
    assert marks(target) == {".seen"}


def test_one_that_lies_outside_is_but_a_name_for_its_target(review, target, tmp_path):
    outside = tmp_path.resolve() / "name.jpg"
    outside.symlink_to(target)

    assert act(review, outside, "seen").json()["path"] == str(target)
    assert (marks(outside), marks(target)) == (set(), {".seen"})


@pytest.mark.django_db(transaction=True)
def test_trashed_it_goes_itself_and_its_target_stays(review, worker, card, link, target):
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
def test_its_target_goes_without_it(review, worker, card, link, target):
    act(review, target, "trash")

    assert of_type(emptied(review), "deleted") == [str(target)]
    assert link.is_symlink()
    items = review.get(FILES, {"path": str(link.parent)}).json()["items"]
    assert str(link) not in [item["path"] for item in items]


@pytest.mark.parametrize(
    ("name", "leads_to", "status"),
    [
        ("out.jpg", "{outside}", 403),
        ("hidden.jpg", "{card}/.hidden/a.jpg", 400),
        ("text.jpg", "{card}/DCIM/100MEDIA/notes.txt", 400),
        ("gone.jpg", "{card}/gone.jpg", 400),
        ("round.jpg", "{card}/round.jpg", 400),
        ("folder.jpg", "{card}/DCIM", 400),
    ],
)
def test_what_cannot_be_reviewed_is_not_listed_either(review, card, tmp_path, name, leads_to, status):
    outside = put(tmp_path, "outside.jpg", jpeg())
    put(card / ".hidden", "a.jpg", jpeg())
    (card / name).symlink_to(leads_to.format(card=card, outside=outside))

    assert str(card / name) not in [item["path"] for item in streamed(review, card)]
    assert act(review, card / name, "seen").status_code == status
    assert not list(card.glob("*.seen"))
    for address in (FILE, THUMBNAIL):
        # The file says of a wrong type 403, as the contract has it
        assert review.get(address, {"path": str(card / name)}).status_code in {status, 403}


def test_one_that_leads_outside_answers_the_same_whether_or_not_something_is_there(review, card, tmp_path):
    outside = tmp_path.resolve() / "outside"
    put(outside, "a.jpg", jpeg())
    (card / "way").symlink_to(outside)
    (card / "no_way").symlink_to(tmp_path / "nothing")
    for name in ("there.jpg", "missing.jpg"):
        (card / name).symlink_to(outside / {"there.jpg": "a.jpg"}.get(name, "nothing.jpg"))
    places = ("there.jpg", "missing.jpg", "way/a.jpg", "way/nothing.jpg", "no_way/a.jpg")

    def answers(ask: Callable[[str], Any]) -> set[tuple[int, bytes]]:
        return {(answer.status_code, answer.content) for answer in map(ask, (str(card / place) for place in places))}

    for address in (FILE, THUMBNAIL, FILES, "/api/folders", "/api/media-items/stream"):
        assert {status for status, _ in answers(lambda path, at=address: review.get(at, {"path": path}))} == {403}
        assert len(answers(lambda path, at=address: review.get(at, {"path": path}))) == 1
    assert len(answers(lambda path: act(review, path, "seen"))) == 1
    rows = review.post(BATCH, {"paths": [str(card / p) for p in places], "action": "seen"}, format="json").json()
    assert {(row["status"], row["error"]) for row in rows["results"]} == {(403, rows["results"][0]["error"])}
