"""Marks are outdated if a new picture has replaced the marked one: an unseen picture is never deleted."""

from __future__ import annotations

import errno
import os
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from rest_framework.test import APIClient

from nvr.media.files import companions
from nvr.media.files.companions import Status, apply_action, open_directory, read_status
from tests.factories import jpeg, make_user, put
from tests.reviewer.conftest import settle
from tests.reviewer.emptying import emptied, of_type
from tests.reviewer.test_listings import SUMMARY, names, streamed

pytestmark = pytest.mark.django_db

DAY_S = 86_400.0
UNMARKED = Status(locked=False, trashed=False, seen=False)


def status_of(file: Path) -> Status:
    with open_directory(file) as directory:
        return read_status(directory, file.name)


def counts(client: APIClient, card: Path) -> dict[str, int]:
    found: dict[str, int] = client.get(SUMMARY, {"path": str(card)}).json()["counts"]
    return found


def mark(file: Path, *suffixes: str, age_s: float = 3600) -> None:
    """Create companions as if the file was marked `age_s` seconds ago."""
    mark_time = time.time() - age_s
    for suffix in suffixes:
        companion = Path(f"{file}{suffix}")
        companion.touch()
        os.utime(companion, (mark_time, mark_time))


def overwrite(file: Path, seed: int = 77) -> None:
    """Overwrite the file in place, as a camera or a copy does: the mtime of the folder stays the same."""
    with file.open("r+b") as open_file:
        open_file.truncate()
        open_file.write(jpeg(64, 48, seed=seed))


@pytest.fixture
def photo(folder: Path) -> Path:
    """A new picture with the name of one that was trashed and seen before."""
    file = folder / "IMG_0002.JPG"
    mark(file, ".trash", ".seen")
    overwrite(file)
    settle(folder)
    return file


def status_in_stream(client: APIClient, card: Path, file: Path) -> dict[str, bool]:
    (found,) = [item["status"] for item in streamed(client, card) if item["path"] == str(file)]
    return found


def test_outdated_marks_count_in_no_listing(review, card, photo):
    unmarked = {"locked": False, "trashed": False, "seen": False}

    assert status_in_stream(review, card, photo) == unmarked
    files = review.get("/api/folders/files", {"path": str(photo.parent)}).json()["items"]
    assert [item["status"] for item in files if item["name"] == photo.name] == [unmarked]
    assert counts(review, card) == {"all": 4, "unseen": 4, "seen": 0, "locked": 0, "trashed": 0}
    assert names(streamed(review, card, statusFilter="trashed")) == []
    assert len(streamed(review, card, statusFilter="unseen")) == 4


def test_dry_run_skips_a_file_with_an_outdated_trash_mark(review, card, photo):
    lines = emptied(review, query="?dry_run=1")

    assert [(line["path"], line["reason"]) for line in lines if line["type"] == "skipped"] == [(str(photo), "changed")]
    assert lines[-1]["deleted"] == 0


@pytest.mark.django_db(transaction=True)
def test_trash_run_skips_a_file_with_an_outdated_trash_mark(review, card, folder, photo, worker):
    other = folder / "IMG_0001.JPG"
    apply_action(other, "trash")

    lines = emptied(review)

    assert of_type(lines, "deleted") == [str(other)]
    assert {"type": "skipped", "path": str(photo), "reason": "changed"} in lines
    assert photo.exists() and Path(f"{photo}.trash").exists()
    assert not other.exists()


@pytest.mark.parametrize("filter_name", ["all", "seen", "trashed", "unseen"])
def test_overwriting_in_place_is_detected_by_the_next_request(review, card, folder, filter_name):
    for name in ("IMG_0001.JPG", "IMG_0002.JPG"):
        mark(folder / name, ".trash", ".seen", age_s=1800)
        os.utime(folder / name, (time.time() - DAY_S,) * 2)
    settle(folder)
    before = {name: len(streamed(review, card, statusFilter=name)) for name in ("all", "seen", "trashed", "unseen")}
    assert before == {"all": 4, "seen": 2, "trashed": 2, "unseen": 2}

    overwrite(folder / "IMG_0002.JPG")
    settle(folder)

    after = {"all": 4, "seen": 1, "trashed": 1, "unseen": 3}
    assert len(streamed(review, card, statusFilter=filter_name)) == after[filter_name]
    assert {name: counts(review, card)[name] for name in after} == after


def test_marks_of_files_on_other_pages_are_rechecked_in_rotation(review, card, folder, monkeypatch):
    monkeypatch.setattr("reviewer.catalog.scanner.RECHECK_BATCH_SIZE", 2)
    for number in range(7):
        file = put(folder, f"A_{number}.JPG", jpeg())
        mark(file, ".seen", age_s=-5)
    settle(folder)
    assert counts(review, card)["seen"] == 7

    for number in (2, 6):
        mark(folder / f"A_{number}.JPG", ".seen", age_s=60)  # older than the file
    settle(folder)

    assert [counts(review, card)["seen"] for _ in range(5)][-1] == 5


@pytest.mark.parametrize("action", ["trash", "seen", "lock"])
def test_marking_renews_outdated_marks(review, card, photo, action):
    response = review.post("/api/media-actions", {"path": str(photo), "action": action}, format="json").json()

    expected = {"locked": action == "lock", "trashed": action == "trash", "seen": True}
    assert response["status"] == expected
    assert status_in_stream(review, card, photo) == expected
    assert status_of(photo).seen and Path(f"{photo}.seen").stat().st_size == 0


def test_renewed_marks_can_be_removed(review, card, photo):
    apply_action(photo, "trash")
    assert apply_action(photo, "untrash") == Status(locked=False, trashed=False, seen=True)
    assert apply_action(photo, "unseen") == UNMARKED
    assert not Path(f"{photo}.trash").exists() and not Path(f"{photo}.seen").exists()


def test_lock_applies_to_any_file_of_that_name(review, card, folder):
    file = folder / "IMG_0002.JPG"
    mark(file, ".lock", ".trash", ".seen")
    overwrite(file)

    assert status_in_stream(review, card, file) == {"locked": True, "trashed": False, "seen": False}
    assert [line.get("reason") for line in emptied(review, query="?dry_run=1") if line["type"] == "skipped"] == [
        "locked"
    ]
    assert review.post("/api/media-actions", {"path": str(file), "action": "trash"}, format="json").status_code == 409


def test_copy_with_preserved_times_keeps_its_marks(review, card, folder):
    file = folder / "IMG_0002.JPG"
    mark(file, ".trash", ".seen")
    os.utime(file, (time.time() - DAY_S,) * 2)  # the ctime is now, as for every copy

    assert status_in_stream(review, card, file) == {"locked": False, "trashed": True, "seen": True}


def test_mark_with_the_mtime_of_its_file_is_valid(folder):
    file = folder / "IMG_0002.JPG"
    mark(file, ".trash")
    mtime_ns = Path(f"{file}.trash").stat().st_mtime_ns
    os.utime(file, ns=(mtime_ns, mtime_ns))

    assert status_of(file).trashed


def test_file_of_a_camera_with_its_clock_ahead_can_be_marked(review, card, folder):
    file = folder / "IMG_0002.JPG"
    ahead = time.time() + DAY_S
    os.utime(file, (ahead, ahead))

    assert apply_action(file, "trash").trashed

    assert Path(f"{file}.trash").stat().st_mtime_ns >= file.stat().st_mtime_ns
    assert status_in_stream(review, card, file)["trashed"]


def test_renewing_a_companion_neither_follows_a_link_nor_truncates(photo, tmp_path):
    target = put(tmp_path, "target", b"precious", age_s=5000)
    mtime_ns = target.stat().st_mtime_ns
    Path(f"{photo}.seen").unlink()
    Path(f"{photo}.seen").symlink_to(target)
    Path(f"{photo}.trash").write_bytes(b"written by somebody")
    os.utime(f"{photo}.trash", (1, 1))

    assert apply_action(photo, "trash").trashed

    assert (target.read_bytes(), target.stat().st_mtime_ns) == (b"precious", mtime_ns)
    assert Path(f"{photo}.trash").read_bytes() == b"written by somebody"


def test_failed_mark_leaves_the_other_mark_outdated(photo, monkeypatch):
    Path(f"{photo}.trash").unlink()
    create = companions.create

    def full(directory: int, name: str) -> bool:
        if name.endswith(".trash"):
            raise OSError(errno.ENOSPC, "full")
        return create(directory, name)

    monkeypatch.setattr(companions, "create", full)

    with pytest.raises(companions.Conflict):
        apply_action(photo, "trash")
    assert status_of(photo) == Status(locked=False, trashed=False, seen=False, outdated=(".seen",))


def test_outdated_companion_of_another_owner_is_replaced(photo, monkeypatch):
    utime = os.utime
    refused: list[Any] = []

    def only_own_files(path: Any, *args: Any, **kwargs: Any) -> None:
        if str(path).endswith(".seen") and not refused:
            refused.append(path)
            raise PermissionError(errno.EPERM, "not yours")
        utime(path, *args, **kwargs)

    monkeypatch.setattr(os, "utime", only_own_files)

    assert apply_action(photo, "seen").seen


def test_mark_of_a_link_is_outdated_if_its_target_changes(review, card, folder):
    link = folder / "LINK.JPG"
    link.symlink_to(folder / "IMG_0001.JPG")
    apply_action(link, "trash")
    mark(link, ".trash", ".seen", age_s=-5)
    assert status_of(link).trashed

    later = time.time() + 60
    os.utime(folder / "IMG_0001.JPG", (later, later))
    mark(link, ".trash", ".seen", age_s=600)

    assert status_of(link) == Status(locked=False, trashed=False, seen=False, outdated=(".trash", ".seen"))


def test_file_system_without_ctime_uses_the_mtime():
    file_stat: Any = SimpleNamespace(st_mtime_ns=1_700_000_000 * 10**9, st_ctime_ns=0)
    assert companions.earlier_time_ns(file_stat) == 1_700_000_000 * 10**9


def test_pages_without_javascript_ignore_outdated_marks(client, known, card, photo):
    client.force_login(make_user("viewer", "reviewer.review", groups=tuple(known.groups.all())))

    page = client.get("/review", {"path": str(card), "plain": "1", "filter": "trashed"}).content.decode()

    assert photo.name not in page
