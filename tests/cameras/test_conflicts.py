"""409 for values that are already taken, also with concurrent requests."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from django.contrib.auth.models import Group
from django.db import connections
from django.test import Client
from django.utils import timezone
from rest_framework.test import APIClient

from cameras.models import Camera
from nvr.audit.models import AuditEntry
from tests.conftest import client_of
from tests.factories import make_camera, make_user

CAMERAS = "/api/cameras"


def detail(response) -> str:
    assert response.status_code == 409, response.content
    assert response.headers["Content-Type"] == "application/problem+json"
    return response.json()["detail"]


@pytest.mark.parametrize(
    ("values", "field", "value"),
    [
        ({"name": "Front Door", "folder_path": "/x"}, "name", "Front Door"),
        ({"name": " Front Door ", "folder_path": "/x"}, "name", "Front Door"),
        ({"name": "Other", "folder_path": "/cams/front"}, "folder_path", "/cams/front"),
        ({"name": "Other", "folder_path": "/cams/./front//"}, "folder_path", "/cams/front"),
        ({"name": "front-door", "folder_path": "/x"}, "id", "front_door"),
    ],
)
def test_a_conflict_names_the_field_the_value_and_the_other_camera(
    api: APIClient, values: dict[str, str], field: str, value: str
) -> None:
    make_camera("Front Door", folder_path="/cams/front")

    text = detail(api.post(CAMERAS, values, format="json"))

    assert field in text
    assert value in text
    assert "camera front_door" in text
    assert "trash" not in text
    assert Camera.everything.count() == 1


def test_a_conflict_with_a_trashed_camera_mentions_the_trash(api: APIClient) -> None:
    make_camera("Front Door", deleted_at=timezone.now())

    text = detail(api.post(CAMERAS, {"name": "Front Door", "folder_path": "/x"}, format="json"))

    assert "front_door" in text
    assert "in the trash" in text


def test_a_conflict_does_not_name_an_invisible_camera(family: Group) -> None:
    hidden = make_camera("Secret Garden", folder_path="/cams/vault")
    adder = client_of(make_user("a", "cameras.add_camera"))

    text = detail(adder.post(CAMERAS, {"name": "Other", "folder_path": "/cams/vault"}, format="json"))

    assert "is taken by another camera" in text
    assert hidden.slug not in text
    assert hidden.name not in text


@pytest.mark.parametrize("field", ["name", "folder_path"])
def test_a_change_can_conflict_too(api: APIClient, field: str) -> None:
    one = make_camera("One", folder_path="/cams/one")
    make_camera("Two", folder_path="/cams/two")

    text = detail(api.patch(f"{CAMERAS}/two", {field: getattr(one, field)}, format="json"))

    assert field in text
    assert "camera one" in text


def test_a_camera_does_not_conflict_with_itself(api: APIClient, camera: Camera) -> None:
    same = {"name": camera.name, "folder_path": camera.folder_path}

    assert api.patch(f"{CAMERAS}/front_door", same, format="json").status_code == 200


def at_once(number: int, ask) -> list[int]:
    def one(index: int) -> int:
        try:
            return ask(index).status_code
        finally:
            connections.close_all()

    with ThreadPoolExecutor(number) as pool:
        return sorted(pool.map(one, range(number)))


@pytest.fixture
def chief_key(transactional_db: None) -> str:
    from nvr.accounts.models import ApiKey

    user = make_user("chief", is_staff=True, is_superuser=True)
    return ApiKey.objects.issue(user=user, name="race")[1]


def client_with(key: str) -> APIClient:
    client = APIClient()
    client.credentials(HTTP_X_API_KEY=key)
    return client


@pytest.mark.slow
def test_twenty_concurrent_creations_of_the_same_camera_create_one(chief_key: str) -> None:
    body = {"name": "Front Door", "folder_path": "/cams/front"}

    statuses = at_once(20, lambda _: client_with(chief_key).post(CAMERAS, body, format="json"))

    assert statuses == [201] + [409] * 19
    assert Camera.everything.count() == 1
    assert AuditEntry.objects.filter(action="camera_created").count() == 1


def test_ten_concurrent_changes_to_the_same_name_succeed_once(chief_key: str, tmp_path: Path) -> None:
    for number in range(10):
        make_camera(f"cam{number}", folder_path=f"/cams/{number}")

    statuses = at_once(
        10, lambda n: client_with(chief_key).patch(f"{CAMERAS}/cam{n}", {"name": "Winner"}, format="json")
    )

    assert statuses == [200] + [409] * 9
    assert Camera.objects.filter(name="Winner").count() == 1


def test_ten_concurrent_changes_of_different_fields_lose_no_change(chief_key: str) -> None:
    make_camera("cam", folder_path="/cams/cam")
    changes = [
        {"notes": "n"},
        {"enabled": False},
        {"motion_sensitivity": 0.25},
        {"detector": "none"},
        {"time_zone": "Asia/Tokyo"},
    ]

    statuses = at_once(5, lambda n: client_with(chief_key).patch(f"{CAMERAS}/cam", changes[n], format="json"))

    assert statuses == [200] * 5
    body = client_with(chief_key).get(f"{CAMERAS}/cam").json()
    assert all(body[key] == value for change in changes for key, value in change.items())


@pytest.mark.slow
def test_ten_concurrent_deletions_leave_one_audit_entry(chief_key: str) -> None:
    make_camera("cam", folder_path="/cams/cam")

    statuses = at_once(10, lambda _: client_with(chief_key).delete(f"{CAMERAS}/cam"))

    assert set(statuses) <= {204, 404}
    assert 204 in statuses
    assert AuditEntry.objects.filter(action="camera_deleted").count() == 1


@pytest.mark.django_db
@pytest.mark.parametrize("place", ["front/sub", "front/not/yet/there", "link", "link/sub"])
def test_a_folder_inside_a_hidden_cameras_folder_is_rejected(tmp_path: Path, place: str) -> None:
    mine = Group.objects.create(name="mine")
    (tmp_path / "front/sub").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "front")
    make_camera("Front Door", folder_path=str(tmp_path / "front"))
    make_camera("Yard", folder_path=str(tmp_path / "yard"), groups=(mine,))
    client = client_of(make_user("ann", "cameras.add_camera", "cameras.change_camera", groups=(mine,)))
    folder = str(tmp_path / place)

    texts = {
        detail(client.patch("/api/cameras/yard", {"folder_path": folder}, format="json")),
        detail(client.post(CAMERAS, {"name": "New", "folder_path": folder}, format="json")),
    }

    assert texts == {f"folder_path {folder!r} is inside another camera's folder."}


@pytest.mark.django_db
def test_a_folder_inside_a_visible_cameras_folder_is_accepted(tmp_path: Path) -> None:
    mine = Group.objects.create(name="mine")
    make_camera("Front Door", folder_path=str(tmp_path / "front"), groups=(mine,))
    make_camera("Yard", folder_path=str(tmp_path / "yard"), groups=(mine,))
    client = client_of(make_user("ann", "cameras.change_camera", groups=(mine,)))

    response = client.patch("/api/cameras/yard", {"folder_path": str(tmp_path / "front/gate")}, format="json")

    assert response.status_code == 200


@pytest.mark.django_db
def test_the_admin_form_also_rejects_a_folder_inside_a_hidden_cameras_folder(tmp_path: Path) -> None:
    mine = Group.objects.create(name="mine")
    make_camera("Front Door", folder_path=str(tmp_path / "front"))
    yard = make_camera("Yard", folder_path=str(tmp_path / "yard"), groups=(mine,))
    staff = make_user("carl", "cameras.view_camera", "cameras.change_camera", groups=(mine,), is_staff=True)
    client = Client()
    client.force_login(staff)
    address = f"/admin/cameras/camera/{yard.pk}/change/"
    form = client.get(address).context["adminform"].form
    values = {name: "" if value is None else value for name, value in form.initial.items()}
    folder = str(tmp_path / "front/sub")
    values |= {"groups": [mine.pk], "folder_path": folder, "save_anyway": folder}  # it is also outside the root

    response = client.post(address, values)

    assert response.status_code == 200
    assert "is inside another camera&#x27;s folder" in response.content.decode()
    yard.refresh_from_db()
    assert yard.folder_path == str(tmp_path / "yard")
