"""GET /api/cameras: the envelope, order, filters, sparse fields and pages."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import Group, User
from rest_framework.test import APIClient

from cameras.models import Camera
from tests.conftest import client_of
from tests.factories import make_camera, make_user

CAMERAS = "/api/cameras"
SIX = ["id", "name", "folder_path", "status", "created_at", "last_seen_at"]


def ids(response) -> list[str]:
    assert response.status_code == 200, response.content
    return [camera["id"] for camera in response.json()["items"]]


def test_without_cameras_the_page_is_empty(api: APIClient) -> None:
    assert api.get(CAMERAS).json() == {
        "items": [],
        "pagination": {"total": 0, "limit": 1000, "offset": 0, "next_cursor": None, "has_more": False},
    }


def test_a_camera_has_the_documented_keys_and_never_its_password(api: APIClient, camera: Camera) -> None:
    Camera.objects.filter(pk=camera.pk).update(rtsp_password="hunter2", rtsp_username="root")

    response = api.get(CAMERAS)

    (item,) = response.json()["items"]
    assert list(item)[:10] == [*SIX, "ingestion_mode", "rtsp_url", "stream_profile", "motion_sensitivity"]
    assert not {"rtsp_password", "rtsp_username"} & item.keys()
    assert b"hunter2" not in response.content
    assert b"root" not in response.content.replace(camera.folder_path.encode(), b"")


def test_the_additional_fields_are_included(api: APIClient, family_camera: Camera) -> None:
    (item,) = api.get(CAMERAS).json()["items"]

    assert item["uuid"] == str(family_camera.uuid)
    assert item["groups"] == ["family"]
    assert item["public"] is False  # it lists a group
    assert (item["enabled"], item["time_zone"], item["notes"], item["onvif_url"]) == (True, "UTC", "", None)
    assert item["detector"] in {"people", "motion", "none"}


def test_times_are_utc_with_whole_seconds(api: APIClient, camera: Camera) -> None:
    (item,) = api.get(CAMERAS).json()["items"]

    assert item["created_at"] == camera.created_at.strftime("%Y-%m-%dT%H:%M:%SZ")
    assert item["last_seen_at"] is None


def test_cameras_are_ordered_by_name_without_trashed_ones(api: APIClient) -> None:
    for name in ("Yard", "Attic", "Door", "Gone"):
        make_camera(name)
    api.delete(f"{CAMERAS}/gone")

    assert ids(api.get(CAMERAS)) == ["attic", "door", "yard"]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("status=online", ["a"]),
        ("status=offline", ["b"]),
        ("status=nonsense", []),
        ("status=", ["a", "b", "c"]),
        ("ingestion_mode=rtsp", ["c"]),
        ("enabled=false", ["b"]),
        ("q=b", ["b"]),
        ("status=error&q=b", []),
    ],
)
def test_filters_narrow_the_list(api: APIClient, query: str, found: list[str]) -> None:
    make_camera("a")
    make_camera("b", status="offline", enabled=False)
    make_camera("c", status="error", ingestion_mode="rtsp", rtsp_url="rtsp://10.0.0.9/")

    response = api.get(f"{CAMERAS}?{query}")

    assert ids(response) == found
    assert response.json()["pagination"]["total"] == len(found)


@pytest.mark.parametrize(
    ("fields", "keys"),
    [
        ("id,name", ["id", "name"]),
        ("ID,Name", ["id", "name"]),
        (" id , status ", ["id", "status"]),
        ("last_seen_at", ["last_seen_at"]),
        (",".join(SIX), SIX),
        ("id,id", ["id"]),
    ],
)
def test_sparse_fields_return_exactly_these_keys(api: APIClient, camera: Camera, fields: str, keys: list[str]) -> None:
    (item,) = api.get(CAMERAS, {"fields": fields}).json()["items"]

    assert sorted(item) == sorted(keys)


@pytest.mark.parametrize("fields", ["id,nope", "rtsp_password", "uuid", "groups", "id;name", "\0"])
def test_an_unknown_sparse_field_is_400_and_names_the_valid_ones(api: APIClient, camera: Camera, fields: str) -> None:
    response = api.get(CAMERAS, {"fields": fields})

    assert response.status_code in ({400} if "\0" not in fields else {400, 422})
    if response.status_code == 400:
        assert all(field in response.json()["detail"] for field in SIX)


def test_pages_follow_limit_and_offset(api: APIClient) -> None:
    for number in range(5):
        make_camera(f"cam{number}")

    middle = api.get(f"{CAMERAS}?limit=2&offset=2")
    last = api.get(f"{CAMERAS}?limit=2&offset=4")
    past = api.get(f"{CAMERAS}?limit=2&offset=50")

    assert ids(middle) == ["cam2", "cam3"]
    assert middle.json()["pagination"] == {
        "total": 5,
        "limit": 2,
        "offset": 2,
        "next_cursor": None,
        "has_more": True,
    }
    assert ids(last) == ["cam4"]
    assert last.json()["pagination"]["has_more"] is False
    assert ids(past) == []
    assert past.json()["pagination"] == {
        "total": 5,
        "limit": 2,
        "offset": 50,
        "next_cursor": None,
        "has_more": False,
    }


@pytest.mark.parametrize(
    "query",
    [
        "limit=0",
        "limit=1001",
        "limit=-1",
        "limit=x",
        "limit=",
        "limit=1.5",
        "offset=-1",
        "offset=x",
        "limit=٣",
        f"offset={'9' * 30}",
        "limit=1%00",
        f"limit={'9' * 5000}",
    ],
)
def test_a_wrong_limit_or_offset_is_422_and_names_the_field(api: APIClient, query: str) -> None:
    response = api.get(f"{CAMERAS}?{query}")

    assert response.status_code == 422
    assert response.json()["errors"][0]["field"] == query.split("=")[0]


@pytest.mark.parametrize("query", ["ingestion_mode=telepathy", "q=a%00b"])
def test_an_invalid_filter_value_is_422(api: APIClient, query: str) -> None:
    assert api.get(f"{CAMERAS}?{query}").status_code == 422


def test_users_see_the_cameras_of_their_groups_only(family: Group, family_camera: Camera, camera: Camera) -> None:
    member = client_of(make_user("m", groups=(family,)))
    watcher = client_of(make_user("w", "cameras.view_all"))
    outsider = client_of(make_user("o"))

    assert ids(member.get(CAMERAS)) == ["back_yard"]
    assert member.get(CAMERAS).json()["pagination"]["total"] == 1
    assert ids(watcher.get(CAMERAS)) == ["back_yard", "front_door"]
    assert ids(outsider.get(CAMERAS)) == []
    assert outsider.get(f"{CAMERAS}/front_door").status_code == 404


def test_view_all_can_be_granted_through_a_group(family: Group, camera: Camera, member: User) -> None:
    from django.contrib.auth.models import Permission

    family.permissions.add(Permission.objects.get(codename="view_all", content_type__app_label="cameras"))

    assert ids(client_of(member).get(CAMERAS)) == ["front_door"]


def test_a_member_of_two_of_its_groups_sees_a_camera_once(family: Group) -> None:
    other = Group.objects.create(name="neighbours")
    make_camera("Shared", groups=(family, other))

    assert ids(client_of(make_user("m", groups=(family, other))).get(CAMERAS)) == ["shared"]


def test_the_list_costs_the_same_queries_for_two_cameras_and_for_twenty(
    api: APIClient, family: Group, django_assert_max_num_queries
) -> None:
    for number in range(20):
        make_camera(f"cam{number}", groups=(family,))

    with django_assert_max_num_queries(8):
        assert len(ids(api.get(CAMERAS))) == 20


@pytest.mark.parametrize("address", ["front_door", "uuid", "UUID"])
def test_a_camera_is_found_by_slug_and_uuid(api: APIClient, camera: Camera, address: str) -> None:
    text = {"front_door": "front_door", "uuid": str(camera.uuid), "UUID": str(camera.uuid).upper()}[address]

    response = api.get(f"{CAMERAS}/{text}")

    assert response.status_code == 200
    assert response.json()["id"] == "front_door"


@pytest.mark.parametrize(
    "camera_id", ["nobody", "Front_Door", "..", "%00", "front_door%00", "%ed%a0%80", "x" * 1000, "1", "%F0%9F%93%B7"]
)
def test_an_unknown_camera_is_404(api: APIClient, camera: Camera, camera_id: str) -> None:
    response = api.get(f"{CAMERAS}/{camera_id}")

    assert response.status_code in {400, 404}
    assert response.headers["Content-Type"] == "application/problem+json"
