"""The orders of the stream: the same files, whole, by pages, behind a cursor, at a place, through changes."""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rest_framework.test import APIClient

from nvr.media.files.companions import apply_action
from reviewer.catalog.orders import ORDERS
from tests.factories import jpeg, put
from tests.reviewer.conftest import settle
from tests.reviewer.test_listings import STREAM, streamed

pytestmark = pytest.mark.django_db
POSITION = "/api/media-items/position"
NOON = 1_600_000_000
FOLDERS = ("", "DCIM", "DCIM/100MEDIA", "DCIM-2", "DCIM/100MEDIA/a", "DCIM/100-B", "Ä")


@pytest.fixture
def many(card: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Files in many folders, of all ages, in small blocks."""
    for module, name in (("index", "TREE_BLOCK"), ("index", "FOLDER_BLOCK"), ("builder", "TREE_BLOCK")):
        monkeypatch.setattr(f"reviewer.catalog.{module}.{name}", 4)
    monkeypatch.setattr("reviewer.catalog.times.BLOCK_SIZE", 4)
    dice = random.Random(3)
    for number in range(60):
        file = put(card / dice.choice(FOLDERS), f"F_{dice.randrange(25):03}.JPG", b"x" * number)
        moment = NOON + dice.randrange(30)
        os.utime(file, (moment, moment))
        if dice.random() < 0.4:
            apply_action(file, dice.choice(["seen", "trash", "lock"]))
    settle(card)
    return card


def path_in(card: Path) -> Callable[[dict[str, Any]], str]:
    return lambda item: item["path"].removeprefix(f"{card}/")


def key_for(order: str, card: Path) -> Callable[[dict[str, Any]], Any]:
    below = path_in(card)
    keys: dict[str, Callable[[dict[str, Any]], Any]] = {
        "name": lambda item: (item["name"].encode(), below(item).encode()),
        "folder": lambda item: ([os.fsencode(step) for step in below(item).split("/")[:-1]], item["name"].encode()),
        "time": lambda item: (item["modifiedAt"], below(item).encode()),
    }
    return keys[order]


def whole(client: APIClient, card: Path, order: str, taken: str = "all") -> list[str]:
    """All files, which are in that order."""
    items = streamed(client, card, order=order, statusFilter=taken, limit=1000)
    assert items == sorted(items, key=key_for(order, card))
    return [item["path"] for item in items]


def paths(items: list[dict[str, Any]]) -> list[str]:
    return [item["path"] for item in items]


@pytest.mark.parametrize("taken", ["all", "unseen", "trashed"])
@pytest.mark.parametrize("order", ORDERS)
def test_all_pages_fit_together(review, many, order, taken):
    everything = whole(review, many, order, taken)
    assert len(set(everything)) == len(everything) == len(streamed(review, many, statusFilter=taken, limit=1000)) > 5

    for place in range(0, len(everything) + 1, 3):
        page = streamed(review, many, order=order, statusFilter=taken, offset=place, limit=4)
        assert paths(page) == everything[place : place + 4]
    for place, path in list(enumerate(everything))[::3]:
        behind = streamed(review, many, order=order, statusFilter=taken, after=path, limit=4)
        assert paths(behind) == everything[place + 1 : place + 5]
        answer = review.get(POSITION, {"path": str(many), "item": path, "order": order, "statusFilter": taken})
        assert answer.json() == {"path": str(many), "offset": place}


@pytest.mark.parametrize("order", ORDERS)
def test_the_order_holds_through_marks_and_new_and_removed_files(review, many, order):
    before = whole(review, many, order)
    for number, path in enumerate(before[::5]):
        answer = review.post(
            "/api/media-actions", {"path": path, "action": ("trash", "lock")[number % 2]}, format="json"
        )
        assert answer.status_code in {200, 409}
    Path(before[7]).unlink()
    put(many / "DCIM/new", "F_000.JPG", b"new", age_s=99)
    put(many / "DCIM", "G.JPG", b"new", age_s=99)

    after = whole(review, many, order)

    assert set(after) == set(before) - {before[7]} | {str(many / "DCIM/new/F_000.JPG"), str(many / "DCIM/G.JPG")}
    for taken in ("unseen", "trashed", "locked"):
        named = streamed(review, many, statusFilter=taken, limit=1000)
        assert sorted(whole(review, many, order, taken)) == sorted(paths(named))


@pytest.mark.parametrize("order", ["name", "folder"])
@pytest.mark.parametrize("taken", ["all", "unseen"])
def test_a_file_that_is_gone_still_has_a_place(review, many, order, taken):
    everything = whole(review, many, order, taken)
    gone = everything[9]
    Path(gone).unlink()
    settle(many)

    assert paths(streamed(review, many, order=order, statusFilter=taken, after=gone, limit=3)) == everything[10:13]
    answer = review.get(POSITION, {"path": str(many), "item": gone, "order": order, "statusFilter": taken})
    assert answer.json()["offset"] == 9


def test_by_time_a_file_that_is_gone_has_none(review, many):
    gone = whole(review, many, "time")[9]
    Path(gone).unlink()
    (many / "DCIM" / "x.txt").write_bytes(b"")

    answer = review.get(STREAM, {"path": str(many), "order": "time", "after": gone})

    assert (answer.status_code, "offset" in answer.json()["error"]) == (400, True)


def test_a_file_that_was_written_over_is_listed_at_its_new_time(review, many):
    first = whole(review, many, "time")[0]
    os.utime(first, (NOON + 100, NOON + 100))

    assert whole(review, many, "time")[0] != first


def test_a_time_ahead_of_now_counts_as_the_one_at_which_it_came(review, card):
    file = put(card / "DCIM/100MEDIA", "AHEAD.JPG", jpeg(), age_s=-(10**8))
    put(card / "DCIM/100MEDIA", "LATER.JPG", jpeg(), age_s=-(10**7))
    os.utime(card / "DCIM/100MEDIA/IMG_0001.JPG", (NOON, NOON))

    listed = [item["name"] for item in streamed(review, card, order="time")]

    assert listed.index(file.name) < listed.index("LATER.JPG")  # they came in this order, whatever their clocks say
    assert listed[0] == "IMG_0001.JPG"


def test_refresh_looks_at_all_times_again(review, many):
    everything = whole(review, many, "time")
    os.utime(everything[-1], (NOON - 100, NOON - 100))

    assert paths(streamed(review, many, order="time", refresh=1, limit=1)) == [everything[-1]]


@pytest.mark.parametrize("query", [{"order": "size"}, {"order": ""}])
def test_an_unknown_order_is_400(review, card, known, query):
    for address in (STREAM, POSITION):
        answer = review.get(address, {"path": str(card), "item": f"{card}/a.jpg", **query})
        assert (answer.status_code, list(answer.json())) == (400, ["error"])


def test_a_position_needs_an_item_below_the_path(review, card, known):
    for item in ("", "/etc/passwd", str(card)):
        assert review.get(POSITION, {"path": str(card), "item": item}).status_code == 400
