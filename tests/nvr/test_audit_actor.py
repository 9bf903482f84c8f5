"""What is recorded of the user who requests work that a worker does later."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict

import pytest
from django.contrib.auth.models import AnonymousUser, User

from cameras.models import Camera
from nvr.audit.actor import Actor, RecordedActor, recorded_actor
from nvr.audit.record import record
from nvr.request_context import Origin, current_origin

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def origin() -> Iterator[None]:
    token = current_origin.set(Origin(request_id="r-1", address="192.0.2.7", client="curl"))
    yield
    current_origin.reset(token)


def test_a_user_is_recorded_with_the_origin_of_the_request() -> None:
    user = User.objects.create_user("anna")

    assert recorded_actor(user) == RecordedActor(user.pk, "anna", "192.0.2.7", "curl", "r-1")


@pytest.mark.parametrize("actor", [None, AnonymousUser()])
def test_without_a_known_user_it_is_the_system(actor: Actor | None) -> None:
    assert recorded_actor(actor) == RecordedActor(None, "system", "192.0.2.7", "curl", "r-1")


def test_the_stored_keys_stay_the_same() -> None:
    assert list(asdict(recorded_actor(None))) == ["actor_id", "actor_name", "address", "client", "request_id"]


def test_an_entry_by_a_recorded_actor_has_the_origin_of_the_request_that_started_the_work(camera: Camera) -> None:
    user = User.objects.create_user("anna")
    started_by = RecordedActor(**asdict(recorded_actor(user)))
    current_origin.set(Origin(request_id="r-2", address="192.0.2.9", client="worker"))

    entry = record(started_by, "camera_purged", camera)

    assert (entry.actor, entry.actor_name, entry.address, entry.request_id) == (user, "anna", "192.0.2.7", "r-1")
