"""The list cache: correct after every write, limited to what the user may see, and optional."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.contrib.auth.models import Group, User
from django.core.cache import cache
from rest_framework.test import APIClient

from cameras import health, registry
from cameras.models import Camera
from tests.conftest import client_of
from tests.factories import folder_of, jpeg, make_camera, make_user, put

CAMERAS = "/api/cameras"


def listed(client: APIClient) -> list[dict[str, object]]:
    return client.get(CAMERAS).json()["items"]


def test_a_second_request_does_not_query_cameras(
    api: APIClient, camera: Camera, django_assert_num_queries, django_capture_on_commit_callbacks
) -> None:
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    first = listed(api)

    with CaptureQueriesContext(
        connection,
    ) as queries:
        assert listed(api) == first
    assert not [query for query in queries if "cameras_camera" in query["sql"]]


def rename_group(camera: Camera, group: Group) -> None:
    group.name = "renamed"
    group.save()


def note_health(camera: Camera, group: Group) -> None:
    put(folder_of(camera), "a.jpg", jpeg(), age_s=10)
    health.refresh_all()


WRITES: dict[str, Callable[[Camera, Group], object]] = {
    "update": lambda camera, group: registry.update_camera(None, camera, {"notes": "x"}),
    "trash": lambda camera, group: registry.trash_camera(None, camera),
    "groups": lambda camera, group: registry.update_camera(None, camera, {}, groups=[]),
    "groups by relation": lambda camera, group: camera.groups.clear(),
    "groups from the other side": lambda camera, group: group.cameras.clear(),
    "renamed group": rename_group,
    "deleted group": lambda camera, group: group.delete(),
    "deleted groups": lambda camera, group: Group.objects.filter(pk=group.pk).delete(),
    "health": note_health,
    "save": lambda camera, group: (setattr(camera, "notes", "y"), camera.save()),
    "queryset update": lambda camera, group: Camera.objects.update(status="error"),
    "creation": lambda camera, group: registry.create_camera(None, {"name": "New", "folder_path": "/new"}),
    "row deletion": lambda camera, group: camera.delete(),
}


@pytest.mark.parametrize("write", WRITES)
def test_the_next_list_shows_every_change(transactional_db: None, write: str) -> None:
    chief = client_of(make_user("chief", is_superuser=True))
    group = Group.objects.create(name="family")
    camera = make_camera("Back Yard", groups=(group,), status="offline")
    before = listed(chief)

    WRITES[write](camera, group)

    after = listed(chief)
    assert after != before
    cache.clear()
    assert listed(chief) == after


def test_the_next_list_shows_a_restore_and_a_purge(api: APIClient, camera: Camera) -> None:
    assert len(listed(api)) == 1
    api.delete(f"{CAMERAS}/front_door")
    assert listed(api) == []
    api.post(f"{CAMERAS}/front_door/restore")
    assert len(listed(api)) == 1


def test_a_users_list_is_never_returned_to_another_user(family: Group, family_camera: Camera, camera: Camera) -> None:
    chief = client_of(make_user("chief", is_superuser=True))
    member = client_of(make_user("m", groups=(family,)))
    outsider = client_of(make_user("o"))

    for _ in range(2):
        assert [item["id"] for item in listed(chief)] == ["back_yard", "front_door"]
        assert [item["id"] for item in listed(member)] == ["back_yard"]
        assert listed(outsider) == []


def test_leaving_a_group_has_an_immediate_effect(family: Group, family_camera: Camera, member: User) -> None:
    client = client_of(member)
    assert len(listed(client)) == 1

    member.groups.clear()

    assert listed(client) == []


def test_each_query_is_cached_separately(api: APIClient, camera: Camera) -> None:
    make_camera("Yard", status="error")
    for _ in range(2):
        assert len(api.get(f"{CAMERAS}?status=error").json()["items"]) == 1
        assert len(api.get(f"{CAMERAS}?status=online").json()["items"]) == 1
        assert api.get(f"{CAMERAS}?fields=id").json()["items"] == [{"id": "front_door"}, {"id": "yard"}]
        assert len(api.get(f"{CAMERAS}?limit=1&offset=1").json()["items"]) == 1
        assert api.get(f"{CAMERAS}?limit=0").status_code == 422


def test_a_rolled_back_write_leaves_the_list_as_it_was(transactional_db: None) -> None:
    from django.db import transaction

    chief = client_of(make_user("chief", is_superuser=True))
    camera = make_camera("cam")
    before = listed(chief)

    with pytest.raises(RuntimeError), transaction.atomic():
        registry.update_camera(None, camera, {"notes": "x"})
        raise RuntimeError

    assert listed(chief) == before


def test_without_a_cache_the_list_is_read_from_the_database(api: APIClient, camera: Camera, cache_away: None) -> None:
    assert [item["id"] for item in listed(api)] == ["front_door"]
    assert api.patch(f"{CAMERAS}/front_door", {"notes": "x"}, format="json").status_code == 200
    assert listed(api)[0]["notes"] == "x"
