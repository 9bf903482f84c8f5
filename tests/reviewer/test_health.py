"""`GET /api/health` for reviewers: exactly the documented body."""

from __future__ import annotations

import pytest
from django.db import OperationalError
from django.utils import timezone
from rest_framework.test import APIClient

from nvr.health import details
from reviewer.models import RunState, TrashRun
from tests.factories import make_user

HEALTH = "/api/health"
pytestmark = pytest.mark.django_db(transaction=True)  # each check runs in a thread of its own


def test_reviewers_get_exactly_the_documented_body(review, settings):
    settings.NVR_DELETION_WORKERS = 3
    for state in (RunState.DONE, RunState.DONE, RunState.CANCELLED, RunState.FAILED, RunState.WORKING):
        TrashRun.objects.create(state=state, reason="The disk failed.", leased_until=timezone.now())

    body = review.get(HEALTH).json()

    assert body.pop("status") in {"ok", "degraded"}
    assert body == {
        "service": "mediareviewer-api",
        "settings": {
            "stateDirectory": str(settings.NVR_DATA_DIR),
            "hiddenPickerPaths": settings.NVR_REVIEW_HIDDEN_PATHS,
            "deletionWorkers": 3,
        },
        "deletionQueue": {
            "max_workers": 3,
            "active_jobs": 1,
            "submitted_jobs": 5,
            "completed_jobs": 3,
            "failed_jobs": 1,
        },
    }


def test_other_users_get_only_status_and_service(db):
    client = APIClient()
    assert client.get(HEALTH).json().keys() == {"status", "service"}
    client.force_authenticate(make_user("viewer"))
    assert client.get(HEALTH).json().keys() == {"status", "service"}


def test_unavailable_database_omits_the_details(review, monkeypatch):
    def fail() -> dict[str, object]:
        raise OperationalError

    monkeypatch.setitem(details._details, "reviewer.review", fail)

    response = review.get(HEALTH)
    assert (response.status_code, response.json().keys()) == (200, {"status", "service"})
