"""Deleting, the trash list, restoring and purging."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.contrib.auth.models import Group, User
from django.utils import timezone
from rest_framework.test import APIClient

from cameras import registry
from cameras.models import Camera
from cameras.tasks import purge_expired
from nvr.audit.models import AuditEntry
from nvr.errors import NotFound
from tests.conftest import client_of
from tests.factories import folder_of, jpeg, make_camera, make_user, put

FRONT = "/api/cameras/front_door"
DELETED = "/api/cameras/deleted"


def actions() -> list[str]:
    return [entry.action for entry in AuditEntry.objects.filter(target_type="camera").order_by("pk")]


def test_deleting_returns_204_without_a_body_and_hides_the_camera(
    api: APIClient, stranger: APIClient, camera: Camera, pictures: list[str]
) -> None:
    response = api.delete(FRONT)

    assert response.status_code == 204
    assert response.content == b""
    assert api.get("/api/cameras").json()["items"] == []
    for client in (api, stranger):
        assert client.get(f"{FRONT}/snapshot").status_code == 404
    assert api.get(FRONT).status_code == 404
    assert api.get(f"/api/cameras/{camera.uuid}").status_code == 404


def test_deleting_again_is_404(api: APIClient, camera: Camera) -> None:
    api.delete(FRONT)

    assert api.delete(FRONT).status_code == 404
    assert api.delete("/api/cameras/nobody").status_code == 404


def test_the_trash_lists_deleted_cameras(api: APIClient, camera: Camera) -> None:
    make_camera("Still Here")
    live = api.get(FRONT).json()
    api.delete(FRONT)

    body = api.get(DELETED).json()

    (item,) = body["items"]
    assert item.items() >= live.items()
    assert item["deleted_at"].endswith("Z")
    assert body["pagination"] == {"total": 1, "limit": 1000, "offset": 0, "has_more": False}


def test_the_trash_is_paged(api: APIClient) -> None:
    for number in range(3):
        make_camera(f"cam{number}", deleted_at=timezone.now())

    body = api.get(f"{DELETED}?limit=2&offset=1").json()

    assert [item["id"] for item in body["items"]] == ["cam1", "cam2"]
    assert body["pagination"] == {"total": 3, "limit": 2, "offset": 1, "has_more": False}
    assert api.get(f"{DELETED}?limit=0").status_code == 422


def test_restoring_restores_everything(api: APIClient, camera: Camera, family: Group) -> None:
    camera.groups.set([family])
    before = api.get(FRONT).json()
    api.delete(FRONT)

    response = api.post(f"{FRONT}/restore")

    assert response.status_code == 200
    assert response.json() == before == api.get(FRONT).json()
    assert api.get(DELETED).json()["items"] == []


def test_restoring_a_live_camera_is_400_and_an_unknown_one_404(api: APIClient, camera: Camera) -> None:
    assert api.post(f"{FRONT}/restore").status_code == 400
    assert api.post("/api/cameras/nobody/restore").status_code == 404


def test_purging_removes_the_row_and_leaves_the_folder(api: APIClient, camera: Camera, pictures: list[str]) -> None:
    api.delete(FRONT)

    response = api.post(f"{FRONT}/purge")

    assert response.status_code == 204
    assert not Camera.everything.exists()
    assert sorted(path.name for path in folder_of(camera).iterdir()) == sorted(pictures)
    assert api.post(f"{FRONT}/purge").status_code == 404


def test_purging_a_live_camera_is_400(api: APIClient, camera: Camera) -> None:
    assert api.post(f"{FRONT}/purge").status_code == 400
    assert Camera.objects.exists()


def test_each_step_is_audited_once(api: APIClient, camera: Camera) -> None:
    api.delete(FRONT)
    api.delete(FRONT)
    api.post(f"{FRONT}/restore")
    api.post(f"{FRONT}/restore")
    api.delete(FRONT)
    api.post(f"{FRONT}/purge")

    assert actions() == ["camera_deleted", "camera_restored", "camera_deleted", "camera_purged"]
    assert {entry.target_name for entry in AuditEntry.objects.filter(target_type="camera")} == {"Front Door"}


def test_a_name_is_available_again_only_after_the_purge(api: APIClient, camera: Camera) -> None:
    same = {"name": "Front Door", "folder_path": camera.folder_path}
    api.delete(FRONT)
    assert api.post("/api/cameras", same, format="json").status_code == 409

    api.post(f"{FRONT}/purge")

    assert api.post("/api/cameras", same, format="json").status_code == 201


@pytest.mark.parametrize(
    ("permission", "deletes", "restores", "purges"),
    [(None, 403, 403, 403), ("cameras.change_camera", 403, 200, 403), ("cameras.delete_camera", 204, 403, 204)],
)
def test_each_step_requires_its_permission(
    db: None, permission: str | None, deletes: int, restores: int, purges: int
) -> None:
    user = make_user("u", "cameras.view_all", *([permission] if permission else []))
    client = client_of(user)
    for name in ("To Delete", "To Restore", "To Purge"):
        make_camera(name, deleted_at=None if name == "To Delete" else timezone.now())

    assert client.delete("/api/cameras/to_delete").status_code == deletes
    assert client.post("/api/cameras/to_restore/restore").status_code == restores
    assert client.post("/api/cameras/to_purge/purge").status_code == purges


def test_the_trash_shows_only_visible_cameras(family: Group) -> None:
    make_camera("Ours", groups=(family,), deleted_at=timezone.now())
    make_camera("Theirs", deleted_at=timezone.now())
    member = client_of(make_user("m", "cameras.change_camera", groups=(family,)))

    assert [item["id"] for item in member.get(DELETED).json()["items"]] == ["ours"]
    assert member.post("/api/cameras/theirs/restore").status_code == 404
    assert member.get(DELETED).json()["pagination"]["total"] == 1


def test_cameras_are_purged_after_the_retention(db: None, settings: pytest.FixtureRequest) -> None:
    settings.NVR_TRASH_RETENTION = timedelta(days=30)
    make_camera("Old", deleted_at=timezone.now() - timedelta(days=31))
    make_camera("Young", deleted_at=timezone.now() - timedelta(days=29))
    make_camera("Live")

    purge_expired()
    purge_expired()

    assert [camera.name for camera in Camera.everything.all()] == ["Live", "Young"]
    assert [(entry.action, entry.actor_name) for entry in AuditEntry.objects.filter(target_type="camera")] == [
        ("camera_purged", "system")
    ]


def test_a_camera_that_cannot_be_purged_does_not_block_the_others(db: None) -> None:
    from cameras.signals import camera_purging

    long_ago = timezone.now() - timedelta(days=365)
    for name in ("A Stubborn One", "B", "C"):
        make_camera(name, deleted_at=long_ago)

    def refuse(sender: object, camera: Camera, **kwargs: object) -> None:
        if camera.name == "A Stubborn One":
            raise RuntimeError("not today")

    camera_purging.connect(refuse)
    try:
        purge_expired()
    finally:
        camera_purging.disconnect(refuse)

    assert [camera.name for camera in Camera.everything.all()] == ["A Stubborn One"]


def test_a_request_after_a_purge_returns_not_found_instead_of_an_error(admin: User, camera: Camera) -> None:
    """Two concurrent clients: both found the camera, and one has purged it since."""
    registry.trash_camera(admin, camera)
    registry.purge_camera(admin, camera)

    for late in (registry.trash_camera, registry.restore_camera, registry.purge_camera):
        with pytest.raises(NotFound):
            late(admin, camera)
    with pytest.raises(NotFound):
        registry.update_camera(admin, camera, {"notes": "x"})


def test_a_camera_does_not_become_public_when_its_group_is_deleted(
    api: APIClient, stranger: APIClient, family: Group, family_camera: Camera
) -> None:
    put(folder_of(family_camera), "a.jpg", jpeg())

    family.delete()

    assert stranger.get("/api/cameras/back_yard/snapshot").status_code == 404
    assert api.get("/api/cameras/back_yard").json()["public"] is False
    assert AuditEntry.objects.get(action="camera_updated").changes["groups"] == [["family"], []]
