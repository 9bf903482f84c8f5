"""Thumbnails of deleted files are pruned, but not those of a missing card; incomplete files are cleaned up."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from nvr.media.files.cached_files import MAX_PART_AGE_S, evict
from reviewer.models import ReviewPath
from reviewer.thumbnails import rendering as thumbnails
from reviewer.thumbnails.rendering import Source
from tests.factories import jpeg, put
from tests.reviewer.test_thumbnails import cached, picture, shared_thumbnail


@pytest.fixture(autouse=True)
def own_cache(settings, tmp_path: Path) -> None:
    settings.CACHE_DIR = tmp_path / "cache"


def test_frame_file_of_a_killed_process_is_cleaned_up(tmp_path, monkeypatch):
    leftover: list[Path] = []

    def extract(file: Path, at: float, target: Path, *_: object, **__: object) -> None:
        leftover.append(put(target.parent, target.name, jpeg()))

    with monkeypatch.context() as patched:
        patched.setattr("nvr.media.ffmpeg.operations.extract_early_frame", extract)
        patched.setattr(Path, "unlink", lambda *_, **__: None)  # as if the process was killed
        thumbnails.extract_frame(Source(tmp_path / "a.mp4", tmp_path, 0, 0), 256)

    os.utime(leftover[0], (time.time() - 2 * MAX_PART_AGE_S, time.time()))
    evict(thumbnails.CACHE, limit_bytes=2**30)

    assert not leftover[0].exists()


def test_pruning_deletes_only_thumbnails_of_deleted_files(review, card, known, tmp_path):
    deleted, kept = card / "DCIM/100MEDIA/IMG_0001.JPG", card / "DCIM/100MEDIA/IMG_0002.JPG"
    for file in (deleted, kept):
        for size in (128, 256, 200):
            picture(review, file, size=size)
    foreign = put(card / ".thumbnails/large", f"{'0' * 32}.png", b"\x89PNG\r\n\x1a\n")
    incomplete = put(card / ".thumbnails/large", "0123.part", b"x")
    deleted.unlink()

    assert thumbnails.prune(known) == 3

    assert not shared_thumbnail(card, deleted).exists() and not shared_thumbnail(card, deleted, 128).exists()
    assert shared_thumbnail(card, kept).exists() and shared_thumbnail(card, kept, 128).exists()
    assert len(cached()) == 1
    assert foreign.exists() and incomplete.exists()
    assert thumbnails.prune(known) == 0


def test_nothing_is_pruned_while_the_card_is_missing(review, card, known):
    picture(review, card / "DCIM/100MEDIA/IMG_0001.JPG", size=200)
    before = len(cached())
    card.rename(card.with_name("away"))

    assert thumbnails.prune(known) == 0
    assert len(cached()) == before == 1


def test_nothing_is_pruned_if_the_volume_differs(review, card, known):
    file = card / "DCIM/100MEDIA/IMG_0001.JPG"
    picture(review, file)
    file.unlink()
    known.mount = known.mount | {"point": str(card)}  # as if its volume was unmounted
    known.save()

    assert thumbnails.prune(known) == 0
    assert shared_thumbnail(card, file).exists()


def test_thumbnails_of_files_elsewhere_are_not_pruned(review, card, known, tmp_path):
    """A thumbnail folder may have been copied along: its files are, or were, in another review path."""
    file = card / "DCIM/100MEDIA/IMG_0001.JPG"
    picture(review, file)
    picture(review, file, size=200)
    other = ReviewPath.objects.create(path=str(put(tmp_path.resolve() / "other", "a.jpg", jpeg()).parent))
    (card / ".thumbnails").rename(tmp_path / "other/.thumbnails")
    file.unlink()

    assert thumbnails.prune(other) == 0
    assert thumbnails.prune(known) == 1  # in the data directory


def test_thumbnails_of_a_missing_inner_card_are_not_pruned(manage, card, known):
    inner = ReviewPath.objects.create(path=str(card / "DCIM/100MEDIA"), mount=known.mount)
    files = [card / "DCIM/100MEDIA/IMG_0001.JPG", card / "DCIM/101MEDIA/IMG_0001.JPG"]
    for file in files:
        picture(manage, file, size=200)
        file.unlink()
    inner.mount = inner.mount | {"point": inner.path}  # as if its volume was unmounted
    inner.save()

    assert thumbnails.prune(known) == 2  # of the other file: next to it, and in the data directory
    assert thumbnails.prune(inner) == 0
    assert len(cached()) == 1
    inner.mount = known.mount
    inner.save()
    assert thumbnails.prune(known) == 1
    assert thumbnails.prune(inner) == 1
