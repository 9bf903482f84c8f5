"""Access to media, responses to anonymous requests, and query counts."""

from __future__ import annotations

import os

import pytest
from django.contrib.auth.models import User
from django.db import OperationalError
from rest_framework.test import APIClient

from cameras import registry
from cameras.models import Camera
from media_serving.models import Detection
from tests.conftest import client_of
from tests.factories import folder_of, jpeg, make_camera, make_user, put
from tests.media_serving.stored import MEDIA, make_detection

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("own_folders")]


def test_a_member_of_the_cameras_group_sees_all_its_media(member, family_media):
    client = client_of(member)

    assert [client.get(MEDIA + path).status_code for path in family_media] == [200] * len(family_media)


def test_other_users_see_none_of_its_media(outsider, family_media):
    client = client_of(outsider)

    for path in family_media:
        for response in (client.get(MEDIA + path), client.get(MEDIA + path, HTTP_RANGE="bytes=0-0")):
            assert response.status_code == 404
            assert "ETag" not in response
        assert client.head(MEDIA + path).status_code == 404
        known = client.get(MEDIA + path, HTTP_IF_NONE_MATCH="*")
        assert known.status_code == 404


def test_invisible_media_return_the_same_response_as_missing_media(outsider, family_camera, family_media):
    client = client_of(outsider)

    hidden = client.get(f"{MEDIA}cameras/{family_camera.slug}/a.jpg").json()
    absent = client.get(f"{MEDIA}cameras/no_such_camera/a.jpg").json()

    assert hidden["error"] == absent["error"]


def test_access_ends_with_the_membership_the_camera_and_the_account(member, family, admin, family_camera, family_media):
    client = client_of(member)
    member.groups.remove(family)
    assert {client.get(MEDIA + path).status_code for path in family_media} == {404}

    member.groups.add(family)
    registry.trash_camera(admin, family_camera)
    assert {client.get(MEDIA + path).status_code for path in family_media} == {404}

    registry.restore_camera(admin, family_camera)
    assert {client.get(MEDIA + path).status_code for path in family_media} == {200}

    User.objects.filter(pk=member.pk).update(is_active=False)
    assert {client.get(MEDIA + path).status_code for path in family_media} == {401}


def test_view_all_is_sufficient_and_staff_status_is_not(family_media):
    viewer = client_of(make_user("viewer", "cameras.view_all"))
    staff = client_of(make_user("staff", is_staff=True))

    assert {viewer.get(MEDIA + path).status_code for path in family_media} == {200}
    assert {staff.get(MEDIA + path).status_code for path in family_media} == {404}


def test_an_anonymous_request_is_401_for_any_path(stranger, family_media):
    for path in (*family_media, "cameras/../x", "nothing"):
        response = stranger.get(MEDIA + path)
        assert response.status_code == 401
        assert set(response.json()) == {"error", "path"}
        assert response["WWW-Authenticate"].startswith("Bearer")


def test_anonymous_requests_are_rate_limited(stranger):
    answers = [stranger.get(f"{MEDIA}clips/1_clip.mp4") for _ in range(31)]

    assert answers[-1].status_code == 429
    assert set(answers[-1].json()) == {"error", "path"}
    assert int(answers[-1]["Retry-After"]) > 0


def test_an_unavailable_database_is_503_not_500(api, camera, picture, monkeypatch):
    def away(*args: object) -> None:
        raise OperationalError("connection refused")

    path = f"cameras/{camera.slug}/2025/01/04/image_001.jpg"
    monkeypatch.setattr("media_serving.serving.find_camera", away)
    response = api.get(MEDIA + path)

    assert response.status_code == 503
    assert int(response["Retry-After"]) > 0
    assert set(response.json()) == {"error", "path"}


@pytest.mark.django_db(transaction=True)  # within one, nothing is remembered that could be rolled back
def test_a_camera_file_costs_a_fixed_number_of_queries(admin, camera, picture, client, django_assert_max_num_queries):
    for number in range(5):
        make_camera(f"Other {number}")
    client.force_login(admin)
    path = f"{MEDIA}cameras/{camera.slug}/2025/01/04/image_001.jpg"
    client.get(path)

    with django_assert_max_num_queries(3):  # session, user, number of the list
        assert client.get(path).status_code == 200


@pytest.mark.django_db(transaction=True)
def test_group_membership_costs_few_more_queries(
    member: User, family_camera: Camera, client, django_assert_max_num_queries
):
    put(folder_of(family_camera), "a.jpg", jpeg())
    client.force_login(member)
    client.get(f"{MEDIA}cameras/{family_camera.slug}/a.jpg")

    with django_assert_max_num_queries(6):  # the camera too, and the two of Django's permissions
        assert client.get(f"{MEDIA}cameras/{family_camera.slug}/a.jpg").status_code == 200


def test_serving_does_not_change_the_detection(api: APIClient, camera, picture):
    detection = make_detection(camera, picture)
    before = os.stat(picture)

    api.get(f"{MEDIA}detections/{detection.pk}")

    assert Detection.objects.get(pk=detection.pk).file_path == str(picture)
    assert os.stat(picture).st_mtime_ns == before.st_mtime_ns
