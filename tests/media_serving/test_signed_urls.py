"""`POST /api/signed-urls`, and what the addresses that it gives are good for."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from urllib.parse import quote

import pytest
from django.contrib.auth.models import User
from django.test import override_settings
from rest_framework.test import APIClient

from nvr.accounts.models import ApiKey
from nvr.media.http import signing
from tests.conftest import client_of
from tests.factories import folder_of, jpeg, make_camera, put
from tests.media_serving.stored import make_detection, make_event

pytestmark = pytest.mark.django_db
SIGN = "/api/signed-urls"


@pytest.fixture
def path(family_camera) -> str:
    put(folder_of(family_camera), "a.jpg", jpeg(width=400))
    return f"/api/media/cameras/{family_camera.slug}/a.jpg"


@pytest.fixture
def member_api(member) -> APIClient:
    return client_of(member)


def signed(api: APIClient, path: str, **values: object) -> str:
    response = api.post(SIGN, {"path": path, **values}, format="json")
    assert response.status_code == 200, response.json()
    return response.json()["url"]


def test_a_signed_url_works_without_credentials_until_it_expires(member_api, stranger, path):
    before = datetime.now(UTC)

    response = member_api.post(SIGN, {"path": path, "expires_in": 60}, format="json")
    answer = response.json()

    assert set(answer) == {"url", "expires_at"}
    assert answer["url"].startswith(f"{path}?")
    expires_at = datetime.fromisoformat(answer["expires_at"])
    assert timedelta(seconds=55) < expires_at - before <= timedelta(seconds=61)
    assert stranger.get(answer["url"]).status_code == 200
    assert stranger.head(answer["url"]).status_code == 200
    assert stranger.get(answer["url"], HTTP_RANGE="bytes=0-0").status_code == 206


def test_every_kind_of_media_can_be_signed(api, stranger, family_camera, path):
    detection = make_detection(family_camera, folder_of(family_camera) / "a.jpg", thumbnail=jpeg())
    event = make_event(family_camera, clip=b"clip")

    for kind in (
        f"thumbnails/detection_{detection.pk}_thumb.jpg",
        f"detections/{detection.pk}",
        f"clips/{event.pk}_clip.mp4",
    ):
        assert stranger.get(signed(api, f"/api/media/{kind}")).status_code == 200
    snapshot = f"/api/cameras/{family_camera.slug}/snapshot"
    assert stranger.get(snapshot).status_code != 200
    assert stranger.get(signed(api, snapshot)).status_code == 200


def test_unusual_names_can_be_signed(api, stranger, camera):
    for name in ("mit blank.jpg", "前門 100%.jpg", "a+b&c=d.jpg", "q?x.jpg"):
        put(folder_of(camera), name, jpeg())

        url = signed(api, f"/api/media/cameras/{camera.slug}/{quote(name)}")

        assert stranger.get(url).status_code == 200, name


def test_the_query_is_signed_too(member_api, stranger, path):
    narrow = signed(member_api, f"{path}?width=160")
    whole = signed(member_api, path)

    assert stranger.get(narrow).status_code == 200
    assert stranger.get(narrow)["Content-Length"] != stranger.get(whole)["Content-Length"]
    assert stranger.get(narrow.replace("width=160", "width=320")).status_code == 401
    assert stranger.get(whole + "&width=160").status_code == 401
    assert stranger.get(whole + "&download=1").status_code == 401


@pytest.mark.parametrize(
    "tamper",
    [
        lambda url: url.replace("a.jpg", "b.jpg"),
        lambda url: re.sub(r"expires=\d+", "expires=99999999999", url),
        lambda url: re.sub(r"user=\d+", "user=1", url) + "&user=2",
        lambda url: re.sub(r"nonce=[^&]+", "nonce=x", url),
        lambda url: re.sub(r"signature=.", "signature=_", url),
        lambda url: re.sub(r"signature=[^&]+", "signature=", url),
        lambda url: re.sub(r"signature=[^&]+", "signature=%ff%00", url),
        lambda url: url + "&limit=5",
        lambda url: url + "&expires=99999999999",
        lambda url: re.sub(r"[?&](expires|nonce|user)=[^&]+", "", url).replace("jpg&", "jpg?"),
    ],
)
def test_a_tampered_signature_is_401(member_api, stranger, family_camera, path, tamper):
    put(folder_of(family_camera), "b.jpg", jpeg())

    response = stranger.get(tamper(signed(member_api, path)))

    assert response.status_code == 401
    assert set(response.json()) == {"error", "path"}
    assert response["WWW-Authenticate"]


def test_a_wrong_signature_is_401_even_with_valid_credentials(member_api, path):
    assert member_api.get(f"{path}?signature=x").status_code == 401


def test_a_signature_is_not_valid_for_another_file(member_api, stranger, family_camera, path):
    put(folder_of(family_camera), "b.jpg", jpeg())
    query = signed(member_api, path).partition("?")[2]

    assert stranger.get(f"/api/media/cameras/{family_camera.slug}/b.jpg?{query}").status_code == 401
    assert stranger.get(f"/api/cameras/{family_camera.slug}/snapshot?{query}").status_code == 401
    assert stranger.get(f"/api/events?{query}").status_code == 401


def test_a_signature_for_an_upload_is_not_valid_for_a_download(member, stranger, path):
    soon = datetime.now(UTC) + timedelta(minutes=5)
    for purpose, method in (("upload", "GET"), ("download", "PUT")):
        query = signing.sign(purpose, method=method, path=f"{path}?", expires_at=soon, subject=str(member.pk))
        assert stranger.get(f"{path}?{query}").status_code == 401


def test_a_signed_url_expires(member, stranger, path):
    past = datetime.now(UTC) - timedelta(seconds=1)
    query = signing.sign("download", method="GET", path=f"{path}?", expires_at=past, subject=str(member.pk))

    response = stranger.get(f"{path}?{query}")

    assert response.status_code == 401
    assert "expired" in response.json()["error"]


def test_a_signed_url_is_for_reading_only(member_api, stranger, path):
    url = signed(member_api, path)

    for method in ("post", "put", "patch", "delete"):
        assert getattr(stranger, method)(url).status_code in {401, 405}


def test_a_file_that_became_invisible_to_the_signer_is_not_served(member, family, member_api, stranger, path):
    url = signed(member_api, path)
    member.groups.remove(family)

    assert stranger.get(url).status_code == 404
    assert stranger.head(url).status_code == 404


def test_it_is_invalid_once_the_signer_is_deactivated(member, member_api, stranger, path):
    url = signed(member_api, path)

    User.objects.filter(pk=member.pk).update(is_active=False)
    assert stranger.get(url).status_code == 401
    ApiKey.objects.filter(user=member).delete()
    User.objects.filter(pk=member.pk).delete()
    assert stranger.get(url).status_code == 401


def test_it_stays_valid_if_the_old_key_is_a_fallback(member_api, stranger, path, settings):
    url = signed(member_api, path)

    with override_settings(SECRET_KEY="another", SECRET_KEY_FALLBACKS=[settings.SECRET_KEY]):
        assert stranger.get(url).status_code == 200
    with override_settings(SECRET_KEY="another", SECRET_KEY_FALLBACKS=[]):
        assert stranger.get(url).status_code == 401


def test_invisible_files_cannot_be_signed(outsider, path, family_camera):
    client = client_of(outsider)

    for hidden in (path, f"/api/cameras/{family_camera.slug}/snapshot", "/api/media/clips/1_clip.mp4"):
        response = client.post(SIGN, {"path": hidden}, format="json")
        assert response.status_code == 404
        assert response["Content-Type"] == "application/problem+json"


@pytest.mark.parametrize(
    "wrong",
    [
        {},
        {"path": None},
        {"path": 5},
        {"path": ""},
        {"path": "relative.jpg"},
        {"path": "https://elsewhere.example/api/media/x"},
        {"path": "//elsewhere.example/api/media/x"},
        {"path": "/api/events"},
        {"path": "/admin/"},
        {"path": "/api/cameras"},
        {"path": "/api/media/cameras/../x"},
        {"path": "/api/media/cameras/%2e%2e/x"},
        {"path": "/api/media/cameras/a/%00"},
        {"path": "/api/media/cameras/a/\u0000"},
        {"path": "/api/media/cameras/a/%ff.jpg"},
        {"path": "/api/media/clips/1_clip.mp4#t=1"},
        {"path": "/api/media/" + "a" * 4097},
        {"path": "/" + "a" * 20_000},
        {"path": "/api/media/clips/1_clip.mp4", "expires_in": 3601},
        {"path": "/api/media/clips/1_clip.mp4", "expires_in": 0},
        {"path": "/api/media/clips/1_clip.mp4", "expires_in": -1},
        {"path": "/api/media/clips/1_clip.mp4", "expires_in": "60"},
        {"path": "/api/media/clips/1_clip.mp4", "expires_in": 1.5},
        {"path": "/api/media/clips/1_clip.mp4", "expires_in": True},
        {"path": "/api/media/clips/1_clip.mp4", "expires_in": None},
        {"path": "/api/media/clips/1_clip.mp4", "expires_in": 10**30},
    ],
)
def test_invalid_values_are_named(api, wrong):
    response = api.post(SIGN, wrong, format="json")

    assert response.status_code == 422
    assert {row["field"] for row in response.json()["errors"]} <= {"path", "expires_in"}


def test_anonymous_users_cannot_sign(stranger):
    assert stranger.post(SIGN, {"path": "/api/media/clips/1_clip.mp4"}, format="json").status_code == 401


def test_files_of_a_trashed_camera_cannot_be_signed(api, admin):
    from cameras import registry

    camera = make_camera()
    put(folder_of(camera), "a.jpg", jpeg())
    url = signed(api, f"/api/media/cameras/{camera.slug}/a.jpg")
    registry.trash_camera(admin, camera)

    assert api.post(SIGN, {"path": url.partition("?")[0]}, format="json").status_code == 404
    assert APIClient().get(url).status_code == 404


def test_other_sites_may_embed_only_signed_urls(member_api, stranger, family_camera, path):
    """A browser shows a picture in another origin's page only if this header lets it."""
    policy = "Cross-Origin-Resource-Policy"

    for address in (path, f"/api/cameras/{family_camera.slug}/snapshot"):
        assert stranger.get(signed(member_api, address))[policy] == "cross-origin"
        assert member_api.get(address)[policy] == "same-origin"
