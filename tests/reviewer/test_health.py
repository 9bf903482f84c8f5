"""`GET /api/health` for those who review: exactly the contract's body."""

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


def test_reviewers_get_exactly_the_contracts_body(review, settings):
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


def test_others_see_status_and_service_only(db):
    client = APIClient()
    assert client.get(HEALTH).json().keys() == {"status", "service"}
    client.force_authenticate(make_user("looker"))
    assert client.get(HEALTH).json().keys() == {"status", "service"}


def test_a_database_that_is_away_takes_the_details_only(review, monkeypatch):
    def away() -> dict[str, object]:
        raise OperationalError

    monkeypatch.setitem(details._details, "reviewer.review", away)

    answer = review.get(HEALTH)
    assert (answer.status_code, answer.json().keys()) == (200, {"status", "service"})
