"""What the health of ingest says."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from cameras.models import Camera
from media_serving.ingest import state
from media_serving.models import Upload
from tests.media_serving.ledger import enter


@pytest.fixture
def waiting(porch: Camera) -> Upload:
    return enter(porch, "a.jpg", received_at=timezone.now() - timedelta(hours=1))


def has_old_work() -> bool:
    found = state.ingest_state()
    return found.oldest_at is not None and found.waiting == 1


def test_an_upload_that_waits_too_long_degrades_the_health(waiting):
    assert has_old_work()


@pytest.mark.parametrize("values", [{"enabled": False}, {"deleted_at": timezone.now()}], ids=["off", "in the trash"])
def test_uploads_of_disabled_cameras_do_not_count(waiting, values):
    Camera.everything.update(**values)

    found = state.ingest_state()
    assert (found.waiting, found.oldest_at) == (0, None)


def test_a_video_read_in_slices_is_not_overdue(waiting):
    assert state.ingest_state().oldest_at is not None

    Upload.objects.update(block_digests="0" * 64)

    assert state.ingest_state().oldest_at is None
