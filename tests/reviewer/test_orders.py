"""The sort orders of the stream: complete, in pages, after a cursor, by position, and after changes."""

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
    """Files with various times in many folders, indexed in small blocks."""
    for module, name in (("index", "TREE_BLOCK"), ("index", "FOLDER_BLOCK"), ("builder", "TREE_BLOCK")):
        monkeypatch.setattr(f"reviewer.catalog.{module}.{name}", 4)
    monkeypatch.setattr("reviewer.catalog.times.BLOCK_SIZE", 4)
    rng = random.Random(3)
    for number in range(60):
        file = put(card / rng.choice(FOLDERS), f"F_{rng.randrange(25):03}.JPG", b"x" * number)
        mtime = NOON + rng.randrange(30)
        os.utime(file, (mtime, mtime))
        if rng.random() < 0.4:
            apply_action(file, rng.choice(["seen", "trash", "lock"]))
    settle(card)
    return card


def path_in(card: Path) -> Callable[[dict[str, Any]], str]:
    return lambda item: item["path"].removeprefix(f"{card}/")


def key_for(order: str, card: Path) -> Callable[[dict[str, Any]], Any]:
    relative = path_in(card)
    keys: dict[str, Callable[[dict[str, Any]], Any]] = {
        "name": lambda item: (item["name"].encode(), relative(item).encode()),
        "folder": lambda item: ([os.fsencode(name) for name in relative(item).split("/")[:-1]], item["name"].encode()),
        "time": lambda item: (item["modifiedAt"], relative(item).encode()),
    }
    return keys[order]


def all_paths(client: APIClient, card: Path, order: str, filter_name: str = "all") -> list[str]:
    """Return the paths of all files. They must be in this order."""
    items = streamed(client, card, order=order, statusFilter=filter_name, limit=1000)
    assert items == sorted(items, key=key_for(order, card))
    return [item["path"] for item in items]


def paths(items: list[dict[str, Any]]) -> list[str]:
    return [item["path"] for item in items]


@pytest.mark.parametrize("filter_name", ["all", "unseen", "trashed"])
@pytest.mark.parametrize("order", ORDERS)
def test_pages_cursors_and_positions_agree(review, many, order, filter_name):
    everything = all_paths(review, many, order, filter_name)
    assert (
        len(set(everything)) == len(everything) == len(streamed(review, many, statusFilter=filter_name, limit=1000)) > 5
    )

    for index in range(0, len(everything) + 1, 3):
        page = streamed(review, many, order=order, statusFilter=filter_name, offset=index, limit=4)
        assert paths(page) == everything[index : index + 4]
    for index, path in list(enumerate(everything))[::3]:
        following = streamed(review, many, order=order, statusFilter=filter_name, after=path, limit=4)
        assert paths(following) == everything[index + 1 : index + 5]
        response = review.get(POSITION, {"path": str(many), "item": path, "order": order, "statusFilter": filter_name})
        assert response.json() == {"path": str(many), "offset": index}


@pytest.mark.parametrize("order", ORDERS)
def test_order_is_correct_after_marking_adding_and_removing_files(review, many, order):
    before = all_paths(review, many, order)
    for number, path in enumerate(before[::5]):
        response = review.post(
            "/api/media-actions", {"path": path, "action": ("trash", "lock")[number % 2]}, format="json"
        )
        assert response.status_code in {200, 409}
    Path(before[7]).unlink()
    put(many / "DCIM/new", "F_000.JPG", b"new", age_s=99)
    put(many / "DCIM", "G.JPG", b"new", age_s=99)

    after = all_paths(review, many, order)

    assert set(after) == set(before) - {before[7]} | {str(many / "DCIM/new/F_000.JPG"), str(many / "DCIM/G.JPG")}
    for filter_name in ("unseen", "trashed", "locked"):
        named = streamed(review, many, statusFilter=filter_name, limit=1000)
        assert sorted(all_paths(review, many, order, filter_name)) == sorted(paths(named))


@pytest.mark.parametrize("order", ["name", "folder"])
@pytest.mark.parametrize("filter_name", ["all", "unseen"])
def test_removed_file_still_has_a_position(review, many, order, filter_name):
    everything = all_paths(review, many, order, filter_name)
    removed = everything[9]
    Path(removed).unlink()
    settle(many)

    assert (
        paths(streamed(review, many, order=order, statusFilter=filter_name, after=removed, limit=3))
        == everything[10:13]
    )
    response = review.get(POSITION, {"path": str(many), "item": removed, "order": order, "statusFilter": filter_name})
    assert response.json()["offset"] == 9


def test_removed_file_has_no_position_by_time(review, many):
    removed = all_paths(review, many, "time")[9]
    Path(removed).unlink()
    (many / "DCIM" / "x.txt").write_bytes(b"")

    response = review.get(STREAM, {"path": str(many), "order": "time", "after": removed})

    assert (response.status_code, "offset" in response.json()["error"]) == (400, True)


def test_overwritten_file_is_listed_at_its_new_time(review, many):
    first = all_paths(review, many, "time")[0]
    os.utime(first, (NOON + 100, NOON + 100))

    assert all_paths(review, many, "time")[0] != first


def test_future_mtime_counts_as_the_ctime(review, card):
    file = put(card / "DCIM/100MEDIA", "AHEAD.JPG", jpeg(), age_s=-(10**8))
    put(card / "DCIM/100MEDIA", "LATER.JPG", jpeg(), age_s=-(10**7))
    os.utime(card / "DCIM/100MEDIA/IMG_0001.JPG", (NOON, NOON))

    listed = [item["name"] for item in streamed(review, card, order="time")]

    # The order in which they were created, whatever their mtimes.
    assert listed.index(file.name) < listed.index("LATER.JPG")
    assert listed[0] == "IMG_0001.JPG"


def test_refresh_reads_all_times_again(review, many):
    everything = all_paths(review, many, "time")
    os.utime(everything[-1], (NOON - 100, NOON - 100))

    assert paths(streamed(review, many, order="time", refresh=1, limit=1)) == [everything[-1]]


@pytest.mark.parametrize("query", [{"order": "size"}, {"order": ""}])
def test_unknown_order_is_400(review, card, known, query):
    for url in (STREAM, POSITION):
        response = review.get(url, {"path": str(card), "item": f"{card}/a.jpg", **query})
        assert (response.status_code, list(response.json())) == (400, ["error"])


def test_position_requires_an_item_below_the_path(review, card, known):
    for item in ("", "/etc/passwd", str(card)):
        assert review.get(POSITION, {"path": str(card), "item": item}).status_code == 400
