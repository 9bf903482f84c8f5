"""Thumbnails go when their file has gone, and never because its card has; what was left half-made goes, too."""

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
from tests.reviewer.test_thumbnails import kept_at, own, picture


@pytest.fixture(autouse=True)
def own_cache(settings, tmp_path: Path) -> None:
    settings.CACHE_DIR = tmp_path / "cache"


def test_what_a_killed_process_left_of_a_frame_is_swept(tmp_path, monkeypatch):
    left: list[Path] = []

    def extract(file: Path, at: float, target: Path, *_: object, **__: object) -> None:
        left.append(put(target.parent, target.name, jpeg()))

    with monkeypatch.context() as patched:
        patched.setattr("nvr.media.ffmpeg.operations.extract_early_frame", extract)
        patched.setattr(Path, "unlink", lambda *_, **__: None)  # as in a process that is killed
        thumbnails.extract_frame(Source(tmp_path / "a.mp4", tmp_path, 0, 0), 256)

    os.utime(left[0], (time.time() - 2 * MAX_PART_AGE_S, time.time()))
    evict(thumbnails.CACHE, limit_bytes=2**30)

    assert not left[0].exists()


def test_pruning_takes_what_has_lost_its_file_and_no_other(review, card, known, tmp_path):
    gone, stays = card / "DCIM/100MEDIA/IMG_0001.JPG", card / "DCIM/100MEDIA/IMG_0002.JPG"
    for file in (gone, stays):
        for size in (128, 256, 200):
            picture(review, file, size=size)
    foreign = put(card / ".thumbnails/large", f"{'0' * 32}.png", b"\x89PNG\r\n\x1a\n")
    half = put(card / ".thumbnails/large", "0123.part", b"x")
    gone.unlink()

    assert thumbnails.prune(known) == 3

    assert not kept_at(card, gone).exists() and not kept_at(card, gone, 128).exists()
    assert kept_at(card, stays).exists() and kept_at(card, stays, 128).exists()
    assert len(own()) == 1
    assert foreign.exists() and half.exists()
    assert thumbnails.prune(known) == 0


def test_nothing_is_pruned_while_the_card_is_away(review, card, known):
    picture(review, card / "DCIM/100MEDIA/IMG_0001.JPG", size=200)
    before = len(own())
    card.rename(card.with_name("away"))

    assert thumbnails.prune(known) == 0
    assert len(own()) == before == 1


def test_nothing_is_pruned_where_another_volume_shows(review, card, known):
    file = card / "DCIM/100MEDIA/IMG_0001.JPG"
    picture(review, file)
    file.unlink()
    known.mount = known.mount | {"point": str(card)}  # was mounted there; now the folder is its parent's
    known.save()

    assert thumbnails.prune(known) == 0
    assert kept_at(card, file).exists()


def test_another_paths_thumbnails_are_not_pruned(review, card, known, tmp_path):
    """Nor one that was brought along: its file lies elsewhere, or lay."""
    file = card / "DCIM/100MEDIA/IMG_0001.JPG"
    picture(review, file)
    picture(review, file, size=200)
    other = ReviewPath.objects.create(path=str(put(tmp_path.resolve() / "other", "a.jpg", jpeg()).parent))
    (card / ".thumbnails").rename(tmp_path / "other/.thumbnails")
    file.unlink()

    assert thumbnails.prune(other) == 0
    assert thumbnails.prune(known) == 1  # in the data directory


def test_a_card_below_another_path_loses_nothing_while_it_is_away(manage, card, known):
    inner = ReviewPath.objects.create(path=str(card / "DCIM/100MEDIA"), mount=known.mount)
    files = [card / "DCIM/100MEDIA/IMG_0001.JPG", card / "DCIM/101MEDIA/IMG_0001.JPG"]
    for file in files:
        picture(manage, file, size=200)
        file.unlink()
    inner.mount = inner.mount | {"point": inner.path}  # was mounted there; now the folder is its parent's
    inner.save()

    assert thumbnails.prune(known) == 2  # of the other file: beside it, and in the data directory
    assert thumbnails.prune(inner) == 0
    assert len(own()) == 1
    inner.mount = known.mount
    inner.save()
    assert thumbnails.prune(known) == 1
    assert thumbnails.prune(inner) == 1
