"""Expired sessions are removed by a recurring task."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.contrib.sessions.models import Session
from django.utils import timezone

from nvr.accounts.tasks import clear_sessions


@pytest.mark.django_db
def test_only_expired_sessions_are_removed() -> None:
    now = timezone.now()
    Session.objects.create(session_key="old", session_data="x", expire_date=now - timedelta(days=1))
    Session.objects.create(session_key="new", session_data="x", expire_date=now + timedelta(days=1))

    clear_sessions()

    assert list(Session.objects.values_list("session_key", flat=True)) == ["new"]
