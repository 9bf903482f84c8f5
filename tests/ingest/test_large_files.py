"""Large files: what is mostly empty is not read, the rest in slices, and no camera keeps the workers from others."""

from __future__ import annotations

import hashlib
import os
from datetime import timedelta
from pathlib import Path

import pytest
from django.utils import timezone

from cameras.models import Camera
from media_serving.ingest import digests, leases, processor
from media_serving.models import Upload
from media_serving.models import uploads as models
from nvr.media.files.sparse import copy_sparse, data_bytes
from tests.factories import folder_of, jpeg, make_camera, make_video, put
from tests.ingest.conftest import scan_and_enter, uploads
from tests.ingest.test_working import process_all


@pytest.fixture
def large(monkeypatch) -> int:
    """What counts as large, so that the tests need not write so much."""
    for module in (models, digests, leases):
        monkeypatch.setattr(module, "LARGE_BYTES", 20_000)
    monkeypatch.setattr("media_serving.ingest.pipeline.LARGE_BYTES", 20_000)
    return 20_000


def stretched(file: Path, size: int) -> Path:
    """A film with a hole behind it, as of a camera that reserves the room first."""
    with file.open("r+b") as film:
        film.truncate(size)
    return file


def needs_holes(folder: Path) -> None:
    with (folder / "probe").open("w+b") as probe:
        probe.truncate(10 * 2**20)
        if data_bytes(probe.fileno()):
            pytest.skip("this file system knows no holes")
    (folder / "probe").unlink()


def with_free_box(file: Path, size: int) -> Path:
    """A whole film of that size, of which a box that nobody reads is a hole."""
    here = file.stat().st_size
    with file.open("r+b") as film:
        film.seek(here)
        film.write((1).to_bytes(4, "big") + b"free" + (size - here).to_bytes(8, "big"))
        film.truncate(size)
    return file


def test_sparse_videos_of_a_tebibyte_do_not_block_other_cameras(porch, monkeypatch):
    needs_holes(folder_of(porch))
    yard = make_camera("Yard", detector="none")
    for camera in (porch, yard):
        with_free_box(make_video(folder_of(camera) / "huge.mp4", seconds=1), 2**40)
        (folder_of(camera) / "nothing.mp4").touch()
        os.truncate(folder_of(camera) / "nothing.mp4", 2**40)
        put(folder_of(camera), "a.jpg", jpeg())
        scan_and_enter(camera)
    monkeypatch.setattr(digests, "digest_in_slices", lambda *args: pytest.fail("it was read"))

    processor.process_pending()

    for camera in (porch, yard):
        found = uploads(camera)
        assert found["a.jpg"] == ("done", "")
        assert found["nothing.mp4"][0] in {"rejected", "waiting"}
        state, reason = found["huge.mp4"]
        assert state == "waiting" and "only" in reason and "been written" in reason


def test_a_large_video_is_read_once_in_slices(porch, large, monkeypatch):
    film = make_video(folder_of(porch) / "v.mp4", seconds=8, size="320x240")
    data = film.read_bytes()
    assert len(data) > 3 * large
    scan_and_enter(porch)
    monkeypatch.setattr(processor, "CAMERA_BUDGET_S", 0.0001)

    reasons = []
    for _ in range(len(data) // large + 1):
        processor.process_camera(porch.pk)
        reasons.append(uploads(porch)["v.mp4"])

    states = [state for state, _ in reasons]
    assert states == ["waiting"] * (len(states) - 1) + ["done"] or states.count("done") > 0
    assert "slices" in reasons[0][1]
    blocks = [hashlib.sha256(data[at : at + large]).hexdigest() for at in range(0, len(data), large)]
    assert Upload.objects.get().content_digest == hashlib.sha256("".join(blocks).encode()).hexdigest()
    assert not Upload.objects.get().block_digests


def test_digests_of_a_video_that_changes_are_discarded(porch, large, monkeypatch):
    make_video(folder_of(porch) / "v.mp4", seconds=8, size="320x240")
    scan_and_enter(porch)
    monkeypatch.setattr(processor, "CAMERA_BUDGET_S", 0.0001)
    processor.process_camera(porch.pk)
    assert Upload.objects.get().block_digests

    film = make_video(folder_of(porch) / "other" / "v.mp4", seconds=7, size="320x240")
    film.replace(folder_of(porch) / "v.mp4")
    scan_and_enter(porch)

    assert not Upload.objects.get().block_digests


def large_and_small(camera: Camera) -> None:
    make_video(folder_of(camera) / "20260131_120000.mp4", seconds=8, size="320x240")
    put(folder_of(camera), "20260131_120010.jpg", jpeg())
    scan_and_enter(camera)


def test_during_a_large_video_other_large_videos_wait_but_pictures_do_not(porch, large):
    yard = make_camera("Yard", detector="none")
    for camera in (porch, yard):
        large_and_small(camera)

    with leases.camera_lease(porch.pk) as lease:
        film = next(row for row in leases.next_batch(porch.pk, timezone.now()) if row.path.endswith(".mp4"))
        assert lease is not None and leases.start_processing(lease, film)

        assert processor.process_camera(yard.pk) == 1
        assert {path[-3:]: state for path, (state, _) in uploads(yard).items()} == {"mp4": "waiting", "jpg": "done"}
    Upload.objects.filter(pk=film.pk).update(state="done")
    processor.process_pending()

    assert {state for state, _ in uploads(yard).values()} == {"done"}


def test_a_large_video_of_a_dead_worker_does_not_block_other_cameras(porch, large):
    yard = make_camera("Yard", detector="none")
    for camera in (porch, yard):
        large_and_small(camera)
    Upload.objects.filter(camera=porch, path__endswith=".mp4").update(state="working")  # its lease is over

    processor.process_camera(yard.pk)

    assert {state for state, _ in uploads(yard).values()} == {"done"}


def test_disabling_a_camera_stops_reading_its_video(porch, large, monkeypatch):
    make_video(folder_of(porch) / "v.mp4", seconds=8, size="320x240")
    scan_and_enter(porch)
    monkeypatch.setattr(digests, "CHECK_S", -1)
    checked = digests.check_still_needed

    def switched_off(upload, file):
        Camera.objects.filter(pk=porch.pk).update(enabled=False)
        checked(upload, file)

    monkeypatch.setattr(digests, "check_still_needed", switched_off)
    processor.process_camera(porch.pk)

    state, reason = uploads(porch)["v.mp4"]
    assert state == "waiting" and "disabled" in reason


def test_a_video_deleted_while_it_is_read_is_recorded(porch, large, monkeypatch):
    film = make_video(folder_of(porch) / "v.mp4", seconds=8, size="320x240")
    scan_and_enter(porch)
    monkeypatch.setattr(digests, "CHECK_S", -1)
    checked = digests.check_still_needed

    def deleted(upload, file):
        film.unlink(missing_ok=True)
        checked(upload, file)

    monkeypatch.setattr(digests, "check_still_needed", deleted)
    processor.process_camera(porch.pk)

    assert uploads(porch) == {"v.mp4": ("rejected", processor.FILE_REMOVED)}


def test_a_sparse_copy_has_the_same_content_and_holes(tmp_path):
    needs_holes(tmp_path)
    source = tmp_path / "source"
    with source.open("wb") as file:
        file.write(b"begin")
        file.seek(5 * 2**20)
        file.write(b"middle")
        file.truncate(20 * 2**20)
    with source.open("rb") as file, (tmp_path / "copy").open("wb") as copy:
        copy_sparse(file, copy)

    with (tmp_path / "copy").open("rb") as copy:
        assert data_bytes(copy.fileno()) < 2**20
    assert (tmp_path / "copy").read_bytes() == source.read_bytes()


def test_files_of_other_cameras_are_processed_during_a_large_video(porch, large, monkeypatch):
    """Of one camera too, what is small comes first."""
    large_and_small(porch)
    Upload.objects.filter(path__endswith=".mp4").update(block_digests="0" * 64)

    (first, *_) = leases.next_batch(porch.pk, timezone.now())

    assert first.path.endswith(".jpg")


def test_a_mostly_empty_video_is_rejected_after_hours(porch, settings):
    needs_holes(folder_of(porch))
    with_free_box(make_video(folder_of(porch) / "v.mp4", seconds=1), 2**30)
    assert process_all(porch)["v.mp4"][0] == "waiting"

    settings.NVR_INCOMPLETE_UPLOAD_TIMEOUT = timedelta(0)
    Upload.objects.update(retry_at=None)
    processor.process_pending()

    assert uploads(porch)["v.mp4"][0] == "rejected"
