"""`POST /api/empty-trash`: what is trashed and not locked is deleted for good, and told line by line."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from rest_framework.test import APIClient

from nvr.audit.models import AuditEntry
from nvr.media.files import companions
from nvr.media.files.companions import ReadOnly
from nvr.media.http.stream_limits import SLOTS_PER_READER
from reviewer.catalog import scanner, store
from reviewer.models import ReviewPath, RunState, TrashRun
from reviewer.registry import add_path
from reviewer.trash import runs as trash_runs
from reviewer.trash import worker as trash_worker
from tests.factories import folder_of, jpeg, make_camera, make_user, put
from tests.reviewer.emptying import EMPTY, emptied, left_in, lines_of, of_type, trashed

pytestmark = pytest.mark.django_db(transaction=True)  # a worker has connections of its own


def test_trashed_files_go_with_their_companions_and_the_rest_stays(review, worker, card, folder):
    first, second = trashed(folder, "IMG_0001.JPG"), trashed(card, "clip.mp4", data=b"y" * 50)
    kept = left_in(card) - {"clip.mp4", "clip.mp4.trash", "clip.mp4.seen"}
    kept -= {f"DCIM/100MEDIA/IMG_0001.JPG{mark}" for mark in ("", ".trash", ".seen")}

    answer = review.post(EMPTY)
    lines = lines_of(answer)

    assert left_in(card) == kept
    assert sorted(of_type(lines, "deleted")) == sorted(of_type(lines, "deleting")) == sorted([str(first), str(second)])
    assert lines[-1] == {"type": "done", "deleted": 2, "errors": 0}
    for path in (str(first), str(second)):
        assert lines.index({"type": "deleting", "path": path}) < lines.index({"type": "deleted", "path": path})
    run = TrashRun.objects.get(pk=int(answer["X-Trash-Run"]))
    assert (run.state, run.deleted, run.skipped, run.errors, run.bytes_freed) == ("done", 2, 0, 0, 150)
    assert run.finished_at is not None
    assert run.in_progress == []


def test_what_is_locked_is_skipped_and_keeps_its_marks(review, worker, folder):
    file = trashed(folder, "a.jpg", ".trash", ".seen", ".lock")

    lines = emptied(review)

    assert lines == [
        {"type": "deleting", "path": str(file)},
        {"type": "skipped", "path": str(file), "reason": "locked"},
        {"type": "done", "deleted": 0, "errors": 0},
    ]
    assert {"a.jpg", "a.jpg.trash", "a.jpg.seen", "a.jpg.lock"} <= left_in(folder)
    assert TrashRun.objects.get().skipped == 1


def test_only_media_files_and_never_in_hidden_folders(review, worker, card):
    trashed(card, "notes.txt")
    trashed(card / ".hidden", "a.jpg")
    trashed(card, ".b.jpg")
    before = left_in(card)

    assert emptied(review) == [{"type": "done", "deleted": 0, "errors": 0}]
    assert left_in(card) == before


def test_a_path_narrows_it_to_exactly_one_known_path(review, manager, worker, card, group, tmp_path, folder):
    other = tmp_path.resolve() / "other"
    elsewhere = trashed(other, "a.jpg")
    here = trashed(folder, "a.jpg")
    add_path(manager, str(other), groups=(group,))

    assert of_type(emptied(review, {"path": str(other)}), "deleted") == [str(elsewhere)]
    assert here.exists()
    assert TrashRun.objects.get().path == str(other)
    assert review.post(EMPTY, {"path": str(folder)}, format="json").status_code == 403
    assert of_type(emptied(review), "deleted") == [str(here)]


def test_a_path_inside_another_is_gone_through_once(review, manager, worker, card, group, folder):
    add_path(manager, str(folder), groups=(group,))
    file = trashed(folder, "a.jpg", ".trash", ".lock")

    assert of_type(emptied(review), "skipped") == [str(file)]


def test_only_what_one_reviews_is_emptied(manager, worker, known, folder):
    file = trashed(folder, "a.jpg")
    client = APIClient()
    client.force_authenticate(make_user("another", "reviewer.review"))

    assert emptied(client) == [{"type": "done", "deleted": 0, "errors": 0}]
    assert file.exists()


@pytest.mark.parametrize("body", [{"path": 7}, {"path": None}, {"paths": ["/a"]}, [], {"path": ""}, {"path": "a"}])
def test_a_wrong_body_deletes_nothing(review, sent, folder, body):
    trashed(folder, "a.jpg")

    answer = review.post(EMPTY, body, format="json")

    assert (answer.status_code, set(answer.json())) == (400, {"error"})
    assert not TrashRun.objects.exists()


@pytest.mark.parametrize("query", ["dryRun=1", "dry-run=1", "dry_run=1&dryRun=1", "path={folder}", "confirm=0"])
def test_a_misspelt_query_deletes_nothing(review, sent, folder, query):
    file = trashed(folder, "a.jpg")

    answer = review.post(f"{EMPTY}?{query.format(folder=folder)}")

    assert (answer.status_code, set(answer.json())) == (400, {"error"})
    assert not TrashRun.objects.exists()
    assert file.exists()


def test_a_dry_run_lists_and_deletes_nothing(review, sent, card, folder):
    file, locked = trashed(folder, "a.jpg"), trashed(folder, "b.jpg", ".trash", ".lock")
    before = left_in(card)

    assert emptied(review, query="?dry_run=1") == [
        {"type": "would_delete", "path": str(file)},
        {"type": "skipped", "path": str(locked), "reason": "locked"},
        {"type": "done", "deleted": 1, "errors": 0, "bytes": 100},
    ]
    assert left_in(card) == before
    assert not TrashRun.objects.exists()
    assert review.post(f"{EMPTY}?dry_run=yes").status_code == 400


def test_a_dry_run_while_the_disk_is_being_read_is_503(review, known, folder, monkeypatch):
    monkeypatch.setattr(scanner, "LOCK_TIMEOUT_S", 0.0)
    trashed(folder, "a.jpg")
    with store.scanner_of(known)._locked():
        answer = review.post(EMPTY + "?dry_run=1")

    assert answer.status_code == 503
    assert len(emptied(review, query="?dry_run=1")) == 2


def test_dry_runs_that_nobody_reads_hold_only_so_many_threads(review, reviewer, known, folder):
    trashed(folder, "a.jpg")
    unread = [review.post(EMPTY + "?dry_run=1") for _ in range(SLOTS_PER_READER)]

    refused = review.post(EMPTY + "?dry_run=1")
    assert (refused.status_code, set(refused.json())) == (503, {"error"})
    assert refused["Retry-After"]

    unread[0].close()
    assert len(emptied(review, query="?dry_run=1")) == 2
    assert len(emptied(review, query="?dry_run=1")) == 2
    for answer in unread:
        answer.close()


def test_many_files_are_all_told_once(review, worker, card):
    for number in range(700):
        trashed(card / f"{number % 3}", f"IMG_{number:04}.JPG", ".trash")

    lines = emptied(review)

    assert lines[-1] == {"type": "done", "deleted": 700, "errors": 0}
    assert store.scanner_of(ReviewPath.objects.get()).index.counts()["trashed"] == 0  # without a look at the disk
    assert len(set(of_type(lines, "deleted"))) == len(of_type(lines, "deleted")) == 700
    assert not [name for name in left_in(card) if name.endswith(".trash")]
    assert store.counts_of(ReviewPath.objects.get())["trashed"] == 0


def test_names_that_are_no_utf8_are_deleted_as_well(review, worker, card):
    place = os.fsencode(card)
    for name in (b"\xff.jpg", b"new\nline.jpg", b"\xff.jpg.trash", b"new\nline.jpg.trash"):
        (Path(os.fsdecode(place)) / os.fsdecode(name)).write_bytes(b"")

    assert emptied(review)[-1] == {"type": "done", "deleted": 2, "errors": 0}
    assert not [name for name in os.listdir(place) if b".jpg" in name]


# Looked at again in the moment of deletion


def changed_after_listing(monkeypatch: pytest.MonkeyPatch, change: Any) -> None:
    """Do `change` between listing and deleting."""
    before = trash_worker.next_batch

    def next_batch(root: ReviewPath, after: bytes | None) -> Any:
        files = before(root, after)
        if files:
            change()
        return files

    monkeypatch.setattr(trash_worker, "next_batch", next_batch)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda file: companions.apply_action(file, "untrash"), "no longer marked as trash"),
        (lambda file: file.unlink(), "no longer exists"),
        (lambda file: (put(file.parent, "new", b"new"), (file.parent / "new").replace(file)), "changed"),
        (lambda file: file.write_bytes(b"written again"), "changed"),
        (lambda file: (file.unlink(), file.mkdir()), "not a regular file"),
        (lambda file: file.parent.rename(file.parent.with_name("moved")), "no longer exists"),
    ],
)
def test_what_changed_since_it_was_listed_is_kept(review, worker, folder, monkeypatch, change, message):
    file = trashed(folder, "a.jpg")
    changed_after_listing(monkeypatch, lambda: change(file))

    lines = emptied(review)

    assert [line["type"] for line in lines] == ["deleting", "error", "done"]
    assert set(lines[1]) == {"type", "path", "message"}
    assert message in lines[1]["message"]
    assert lines[-1] == {"type": "done", "deleted": 0, "errors": 1}


def test_what_is_locked_since_it_was_listed_is_skipped(review, worker, folder, monkeypatch):
    file = trashed(folder, "a.jpg")
    changed_after_listing(monkeypatch, lambda: companions.apply_action(file, "lock"))

    assert of_type(emptied(review), "skipped") == [str(file)]
    assert file.exists()


def test_a_folder_that_became_a_link_is_not_followed(review, worker, card, folder, tmp_path, monkeypatch):
    trashed(folder, "a.jpg")
    outside = tmp_path.resolve() / "outside"

    def swap() -> None:
        folder.parent.rename(outside)
        (card / "DCIM").symlink_to(outside)

    changed_after_listing(monkeypatch, swap)

    assert emptied(review)[-1] == {"type": "done", "deleted": 0, "errors": 1}
    assert (outside / "100MEDIA/a.jpg").exists()


def test_of_a_link_beside_its_mark_the_target_is_never_deleted(review, worker, folder):
    (folder / "link.jpg").symlink_to(folder / "IMG_0001.JPG")
    put(folder, "link.jpg.trash", b"")

    assert emptied(review)[-1] == {"type": "done", "deleted": 1, "errors": 0}
    assert not (folder / "link.jpg").is_symlink()
    assert (folder / "IMG_0001.JPG").exists()
    assert TrashRun.objects.get().bytes_freed == 0


def test_a_link_that_was_exchanged_since_it_was_listed_stays(review, worker, folder, monkeypatch):
    link = folder / "link.jpg"
    link.symlink_to(folder / "IMG_0001.JPG")
    put(folder, "link.jpg.trash", b"")
    changed_after_listing(monkeypatch, lambda: (link.unlink(), link.symlink_to(folder / "IMG_0002.JPG")))

    assert emptied(review)[-1] == {"type": "done", "deleted": 0, "errors": 1}
    assert link.is_symlink()


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        (PermissionError(13, "Permission denied"), "Permission denied."),
        (OSError(30, "Read-only file system"), ReadOnly.title),
        (OSError(5, "Input/output error"), "The storage does not respond: Input/output error."),
    ],
)
def test_one_that_cannot_be_deleted_keeps_no_other_back(review, worker, folder, monkeypatch, fault, message):
    trashed(folder, "a.jpg"), trashed(folder, "b.jpg")
    real = trash_worker.delete

    def delete(file: Any) -> int:
        if file.path.endswith(b"a.jpg"):
            raise fault
        return real(file)

    monkeypatch.setattr(trash_worker, "delete", delete)

    lines = emptied(review)

    assert {"type": "error", "path": str(folder / "a.jpg"), "message": message} in lines
    assert lines[-1] == {"type": "done", "deleted": 1, "errors": 1}


def test_a_cameras_files_take_the_right_to_change_cameras(worker, group):
    camera = make_camera("Barn", groups=(group,))
    file = trashed(folder_of(camera), "a.jpg")
    add_path(make_user("chief", is_superuser=True), str(folder_of(camera)), groups=(group,))
    client = APIClient()

    client.force_authenticate(make_user("ranger", "reviewer.review", groups=(group,)))
    for query in ("?dry_run=1", ""):
        lines = emptied(client, query=query)
        assert [line["type"] for line in lines][-2:] == ["error", "done"]
        assert "camera" in lines[-2]["message"]
    assert file.exists()

    client.force_authenticate(make_user("boss", "reviewer.review", "cameras.change_camera", groups=(group,)))
    assert of_type(emptied(client), "deleted") == [str(file)]


# Volumes


def test_a_missing_path_is_409_before_anything(review, sent, card):
    card.rename(card.with_name("away"))

    for query in ("", "?dry_run=1"):
        answer = review.post(EMPTY + query)
        assert (answer.status_code, set(answer.json())) == (409, {"error"})
        assert "mount" in answer.json()["error"]
    assert not TrashRun.objects.exists()


def test_a_volume_that_vanishes_in_the_middle_ends_the_run(review, worker, card, monkeypatch, settings):
    settings.NVR_DELETION_WORKERS = 1  # or others go on while one waits for the rename
    for number in range(40):
        trashed(card, f"{number:02}.jpg")
    real, away = trash_worker.delete, card.with_name("away")

    def delete(file: Any) -> int:
        if file.path.endswith(b"/20.jpg"):
            card.rename(away)
        return real(file)

    monkeypatch.setattr(trash_worker, "delete", delete)
    monkeypatch.setattr(trash_worker, "_pruners", [lambda root: pytest.fail("pruned while the volume is away")])

    lines = emptied(review)

    run = TrashRun.objects.get()
    assert run.state == RunState.FAILED
    assert "does not exist" in run.reason
    assert lines[-2] == {"type": "error", "path": str(card), "message": run.reason}
    assert lines[-1] == {"type": "done", "deleted": run.deleted, "errors": run.errors}
    assert len(list(away.glob("*.jpg"))) == 40 - run.deleted >= 19


# The record


def test_begin_and_end_are_audited(review, reviewer, worker, folder, card):
    trashed(folder, "a.jpg")

    emptied(review)

    started, done = AuditEntry.objects.filter(target_type="trashrun").order_by("pk")
    assert (started.action, done.action) == ("trash_emptying_started", "trash_emptied")
    assert started.actor_name == done.actor_name == reviewer.username
    assert started.changes == {"folders": [None, [str(card)]]}
    assert done.changes["deleted"] == [None, 1]
    assert done.changes["bytes_freed"] == [None, 100]


def test_thumbnails_are_pruned_afterwards(review, worker, known, monkeypatch):
    pruned: list[str] = []
    monkeypatch.setattr(trash_worker, "_pruners", [lambda root: pruned.append(root.path)])

    emptied(review)

    assert pruned == [known.path]


def test_whoever_may_not_review_any_more_deletes_nothing(reviewer, known, sent, folder):
    file = trashed(folder, "a.jpg")
    run = trash_runs.start_run(reviewer)
    User.objects.filter(pk=reviewer.pk).update(is_active=False)

    trash_worker.execute_run(run.pk)

    run.refresh_from_db()
    assert run.state == RunState.FAILED
    assert file.exists()


def test_it_takes_the_right_to_review(known, group: Group, sent):
    client = APIClient()
    client.force_authenticate(make_user("looker", groups=(group,)))

    assert client.post(EMPTY).status_code == 403


def test_a_picture_that_was_not_trashed_is_never_touched(review, worker, folder):
    put(folder, "seen.jpg", jpeg())
    put(folder, "seen.jpg.seen", b"")

    emptied(review)

    assert {"seen.jpg", "seen.jpg.seen", "IMG_0001.JPG", "notes.txt"} <= left_in(folder)


def test_a_thumbnail_whose_picture_is_gone_goes_with_the_trash(review, worker, card, folder):
    picture = folder / "IMG_0002.JPG"
    assert review.get("/api/media-thumbnail", {"path": str(picture), "size": 256}).status_code == 200
    assert len(list((card / ".thumbnails").rglob("*.png"))) == 1

    emptied(review)
    assert len(list((card / ".thumbnails").rglob("*.png"))) == 1
    picture.unlink()
    emptied(review)

    assert not list((card / ".thumbnails").rglob("*.png"))


@pytest.fixture
def unplugged(card: Path, tmp_path: Path, manager: User, group: Group) -> Path:
    """A second card, which was added and then pulled out."""
    other = tmp_path.resolve() / "aaa"  # the first in order
    trashed(other, "b.jpg")
    add_path(manager, str(other), groups=(group,))
    other.rename(tmp_path / "drawer")
    return other


def test_of_several_paths_one_that_is_away_keeps_back_none_of_the_others(review, worker, folder, unplugged):
    file = trashed(folder, "a.jpg")

    trial = emptied(review, query="?dry_run=1")
    assert of_type(trial, "error") == [str(unplugged)]
    assert of_type(trial, "would_delete") == [str(file)]
    assert trial[-1]["errors"] == 1

    lines = emptied(review)
    assert of_type(lines, "deleted") == [str(file)]
    assert of_type(lines, "error") == [str(unplugged)]
    assert lines[-1] == {"type": "done", "deleted": 1, "errors": 1}
    assert TrashRun.objects.get().state == RunState.DONE
    assert (unplugged.parent / "drawer/b.jpg").exists()


def test_exactly_the_path_that_is_away_is_409(review, sent, unplugged):
    for query in ("", "?dry_run=1"):
        answer = review.post(EMPTY + query, {"path": str(unplugged)}, format="json")
        assert (answer.status_code, set(answer.json())) == (409, {"error"})
    assert review.get("/api/media-items/stream", {"path": str(unplugged)}).status_code == 409
    assert not TrashRun.objects.exists()


def test_one_that_vanishes_in_the_middle_keeps_back_none_of_the_others(
    review, worker, card, tmp_path, manager, group, monkeypatch, settings
):
    settings.NVR_DELETION_WORKERS = 1  # or others go on while one waits for the rename
    other = tmp_path.resolve() / "aaa"
    for number in range(40):
        trashed(other, f"{number:02}.jpg")
    add_path(manager, str(other), groups=(group,))
    file = trashed(card, "z.jpg")
    real = trash_worker.delete

    def delete(file: Any) -> int:
        if file.path.endswith(b"/20.jpg"):
            other.rename(tmp_path / "drawer")
        return real(file)

    monkeypatch.setattr(trash_worker, "delete", delete)

    lines = emptied(review)

    assert of_type(lines, "deleted")[-1] == str(file)
    assert of_type(lines, "error").count(str(other)) == 1
    assert TrashRun.objects.get().state == RunState.DONE
    assert len(list((tmp_path / "drawer").glob("*.jpg"))) >= 19
