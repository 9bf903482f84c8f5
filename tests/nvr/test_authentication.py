"""The ways in: API key, token, browser session; and when each of them ends."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.db import connection, transaction
from django.test import Client
from django.utils import timezone
from rest_framework.test import APIClient
from rest_framework_simplejwt.tokens import AccessToken, RefreshToken

from cameras.models import Camera
from nvr.accounts.models import ApiKey
from nvr.audit.models import AuditEntry
from tests.conftest import client_of
from tests.factories import PASSWORD, make_user

CAMERAS = "/api/cameras"
TOKEN = "/api/token"


@pytest.fixture
def kim(db: None) -> User:
    return make_user("kim", "cameras.view_all", "cameras.change_camera")


def refused(response) -> None:
    assert response.status_code == 401, response.content
    assert response["Content-Type"] == "application/problem+json"
    assert response["WWW-Authenticate"]
    assert response.json()["status"] == 401


def with_token(text: str) -> APIClient:
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {text}")
    return client


def pair(client: APIClient, name: str = "kim", password: str = PASSWORD) -> dict[str, str]:
    response = client.post(TOKEN, {"username": name, "password": password}, format="json")
    assert response.status_code == 200, response.content
    assert response.json().keys() == {"access", "refresh"}
    return response.json()


def test_a_request_without_credentials_is_401(stranger: APIClient, db: None) -> None:
    refused(stranger.get(CAMERAS))


# Keys


@pytest.mark.parametrize("flags", [{}, {"is_staff": True}, {"is_staff": True, "is_superuser": True}])
def test_a_key_authenticates_its_user(flags: dict[str, bool], db: None) -> None:
    user = User.objects.create_user("sam", email="sam@example.org", **flags)
    _, text = ApiKey.objects.issue(user=user, name="test")

    key = ApiKey.objects.find(text)

    assert key is not None
    assert {field.name: getattr(key.user, field.name) for field in User._meta.concrete_fields} == {
        field.name: getattr(user, field.name) for field in User._meta.concrete_fields
    }


def test_a_key_has_the_permissions_of_its_user(kim: User, camera: Camera) -> None:
    client = client_of(kim)

    assert client.get(CAMERAS).status_code == 200
    assert client.patch(f"{CAMERAS}/front_door", {"notes": "x"}, format="json").status_code == 200
    assert client.delete(f"{CAMERAS}/front_door").status_code == 403


def test_a_key_is_stored_as_prefix_and_digest_only(kim: User) -> None:
    key, text = ApiKey.objects.issue(user=kim, name="phone")

    assert text.split("_", 2)[2] not in str(vars(ApiKey.objects.get()))
    assert key.prefix in text
    entry = AuditEntry.objects.get(action="api_key_issued")
    assert text not in str(entry.changes) + entry.target_name


@pytest.mark.parametrize(
    "spoil",
    [
        lambda t: "",
        lambda t: "nonsense",
        lambda t: t[:-1],
        lambda t: t + "x",
        lambda t: t.upper(),
        lambda t: f" {t} x",
        lambda t: t.replace("nvr_", "nvr-"),
        lambda t: "nvr_" + "x" * 10_000,
        lambda t: "é\x00",
        lambda t: t[:-1] + "é",
    ],
)
def test_a_wrong_key_is_401_never_anonymous(kim: User, spoil) -> None:
    _, text = ApiKey.objects.issue(user=kim, name="phone")

    refused(APIClient().get(CAMERAS, HTTP_X_API_KEY=spoil(text)))
    refused(APIClient().get("/api/health", HTTP_X_API_KEY=spoil(text)))


def test_an_expired_key_is_401(kim: User) -> None:
    client = APIClient()
    _, text = ApiKey.objects.issue(user=kim, name="phone", expires_at=timezone.now() + timedelta(minutes=1))
    client.credentials(HTTP_X_API_KEY=text)
    assert client.get(CAMERAS).status_code == 200

    ApiKey.objects.update(expires_at=timezone.now() - timedelta(seconds=1))

    refused(client.get(CAMERAS))


def test_a_key_is_invalid_once_revoked_or_its_user_is_inactive(kim: User) -> None:
    client = client_of(kim)
    User.objects.update(is_active=False)
    refused(client.get(CAMERAS))

    User.objects.update(is_active=True)
    assert client.get(CAMERAS).status_code == 200

    ApiKey.objects.all().delete()
    refused(client.get(CAMERAS))


def test_a_read_only_key_cannot_change_anything(kim: User, camera: Camera) -> None:
    client = APIClient()
    client.credentials(HTTP_X_API_KEY=ApiKey.objects.issue(user=kim, name="screen", read_only=True)[1])

    assert client.get(CAMERAS).status_code == 200
    assert client.head(f"{CAMERAS}/front_door").status_code in {200, 405}
    for method in ("post", "patch", "delete", "put"):
        assert getattr(client, method)(f"{CAMERAS}/front_door", {}, format="json").status_code in {403, 405}
    assert client.patch(f"{CAMERAS}/front_door", {"notes": "x"}, format="json").status_code == 403


@pytest.mark.parametrize("name", ["api_key", "apikey", "key", "token", "access_token", "X-API-Key", "jwt"])
def test_keys_and_tokens_in_the_query_string_are_ignored(kim: User, name: str) -> None:
    _, text = ApiKey.objects.issue(user=kim, name="phone")

    refused(APIClient().get(CAMERAS, {name: text}))
    refused(APIClient().get(CAMERAS, {name: str(AccessToken.for_user(kim))}))


def test_the_last_use_is_recorded_at_most_once_a_minute(kim: User, django_assert_num_queries) -> None:
    client = client_of(kim)
    client.get(CAMERAS)
    first = ApiKey.objects.get().last_used_at

    client.get(CAMERAS)

    assert first is not None
    assert ApiKey.objects.get().last_used_at == first


# Tokens


def test_keys_work_while_the_database_is_read_only(kim: User) -> None:
    client = client_of(kim)
    with transaction.atomic(), connection.cursor() as cursor:
        is_sqlite = connection.vendor == "sqlite"
        cursor.execute("PRAGMA query_only = ON" if is_sqlite else "SET TRANSACTION READ ONLY")
        response = client.get("/api/cameras")
        if is_sqlite:
            cursor.execute("PRAGMA query_only = OFF")
        transaction.set_rollback(True)  # PostgreSQL's way back

    assert response.status_code == 200
    assert ApiKey.objects.get().last_used_at is None


def test_name_and_password_get_a_pair_of_tokens(stranger: APIClient, kim: User) -> None:
    tokens = pair(stranger)

    assert with_token(tokens["access"]).get(CAMERAS).status_code == 200
    renewed = stranger.post(f"{TOKEN}/refresh", {"refresh": tokens["refresh"]}, format="json")
    assert renewed.json().keys() == {"access"}
    assert with_token(renewed.json()["access"]).get(CAMERAS).status_code == 200


def test_wrong_names_and_wrong_passwords_get_the_same_response(stranger: APIClient, kim: User) -> None:
    wrong = stranger.post(TOKEN, {"username": "kim", "password": "x"}, format="json")
    unknown = stranger.post(TOKEN, {"username": "nobody", "password": "x"}, format="json")
    User.objects.update(is_active=False)
    inactive = stranger.post(TOKEN, {"username": "kim", "password": PASSWORD}, format="json")

    for response in (wrong, unknown, inactive):
        refused(response)
    assert wrong.json()["detail"] == unknown.json()["detail"] == inactive.json()["detail"]


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"username": "kim"},
        {"password": "x"},
        {"username": 1, "password": []},
        [],
        None,
        "x",
        {"username": "a\x00b", "password": "x"},
        {"username": "kim", "password": None},
        {"username": {"a": 1}, "password": "x"},
        {"username": "x" * 200, "password": "x"},
    ],
)
def test_invalid_credentials_format_is_422(stranger: APIClient, db: None, body: object) -> None:
    response = stranger.post(TOKEN, body, format="json")

    assert response.status_code == 422, response.content


@pytest.mark.parametrize(
    "text", ["", " ", "nonsense", "a.b.c", "é", "\x00", "x" * 100_000, "Bearer x", "eyJhbGciOiJub25lIn0.e30."]
)
def test_a_malformed_token_is_401(text: str, db: None) -> None:
    refused(with_token(text).get(CAMERAS))
    refused(with_token(text).get("/api/health"))


@pytest.mark.parametrize(
    "header", ["Bearer", "Bearer ", "bearer", " Bearer x", "Bearer\tx", "Bearer:x", "Bearer=x", "BEARER"]
)
def test_a_malformed_bearer_header_is_401_even_on_public_routes(kim: User, header: str) -> None:
    refused(APIClient().get(CAMERAS, HTTP_AUTHORIZATION=header))
    refused(APIClient().get("/api/health", HTTP_AUTHORIZATION=header))


FOREIGN = [
    "",
    "Basic a2ltOng=",
    "basic a2ltOng=",
    'Digest username="kim"',
    "Negotiate YII=",
    "Token x",
    "Bearers x",
    "\x00",
]


@pytest.mark.parametrize("header", FOREIGN)
def test_other_authorization_schemes_are_ignored(kim: User, camera: Camera, header: str) -> None:
    """A browser repeats the password of the proxy before NVR with each request."""
    browser = Client()
    browser.force_login(kim)
    _, key = ApiKey.objects.issue(user=kim, name="phone")

    refused(APIClient().get(CAMERAS, HTTP_AUTHORIZATION=header))
    assert APIClient().get("/api/health", HTTP_AUTHORIZATION=header).status_code == 200
    assert browser.get(CAMERAS, headers={"Authorization": header}).status_code == 200
    assert APIClient().get(CAMERAS, HTTP_AUTHORIZATION=header, HTTP_X_API_KEY=key).status_code == 200


def test_a_token_of_the_wrong_type_is_401(stranger: APIClient, kim: User) -> None:
    tokens = pair(stranger)

    refused(with_token(tokens["refresh"]).get(CAMERAS))
    refused(stranger.post(f"{TOKEN}/refresh", {"refresh": tokens["access"]}, format="json"))


def test_an_expired_token_is_401(stranger: APIClient, kim: User) -> None:
    access, refresh = AccessToken.for_user(kim), RefreshToken.for_user(kim)
    for token in (access, refresh):
        token.set_exp(lifetime=timedelta(seconds=-1))

    refused(with_token(str(access)).get(CAMERAS))
    refused(stranger.post(f"{TOKEN}/refresh", {"refresh": str(refresh)}, format="json"))


@pytest.mark.parametrize("subject", ["x", "9" * 40, "-1", "0", "999999", "\x00"])
def test_a_token_of_an_unknown_user_is_401(kim: User, subject: str) -> None:
    token = AccessToken.for_user(kim)
    token["user_id"] = subject

    refused(with_token(str(token)).get(CAMERAS))


def test_a_token_with_another_signature_is_401(kim: User, settings) -> None:
    import jwt

    claims = AccessToken.for_user(kim).payload
    forged = jwt.encode(claims, "another key of more than thirty-two bytes", algorithm="HS256")

    refused(with_token(forged).get(CAMERAS))


@pytest.mark.parametrize("text", ["", "x", None, 5, [], "é", "a.b.c"])
def test_an_invalid_refresh_token_is_rejected(stranger: APIClient, db: None, text: object) -> None:
    response = stranger.post(f"{TOKEN}/refresh", {"refresh": text}, format="json")

    assert response.status_code in {401, 422}


def test_tokens_are_invalid_after_a_password_change(stranger: APIClient, kim: User) -> None:
    tokens = pair(stranger)

    kim.set_password("another long pass phrase")
    kim.save()

    refused(with_token(tokens["access"]).get(CAMERAS))
    refused(stranger.post(f"{TOKEN}/refresh", {"refresh": tokens["refresh"]}, format="json"))
    assert with_token(pair(stranger, password="another long pass phrase")["access"]).get(CAMERAS).status_code == 200


def test_tokens_are_invalid_once_the_user_is_inactive(stranger: APIClient, kim: User) -> None:
    tokens = pair(stranger)

    User.objects.update(is_active=False)
    refused(with_token(tokens["access"]).get(CAMERAS))
    refused(stranger.post(f"{TOKEN}/refresh", {"refresh": tokens["refresh"]}, format="json"))

    User.objects.all().delete()
    refused(with_token(tokens["access"]).get(CAMERAS))
    refused(stranger.post(f"{TOKEN}/refresh", {"refresh": tokens["refresh"]}, format="json"))


def test_token_lifetimes_are_settings(stranger: APIClient, kim: User, settings) -> None:
    tokens = pair(stranger)

    access, refresh = AccessToken(tokens["access"]), RefreshToken(tokens["refresh"])
    assert access["exp"] - access["iat"] == settings.NVR_ACCESS_TOKEN_LIFETIME.total_seconds()
    assert refresh["exp"] - refresh["iat"] == settings.NVR_REFRESH_TOKEN_LIFETIME.total_seconds()


# Sessions


def test_changes_with_a_session_require_the_csrf_token(kim: User, camera: Camera) -> None:
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(kim)
    address = f"{CAMERAS}/front_door"
    change = {"data": '{"notes": "x"}', "content_type": "application/json"}

    assert browser.get(CAMERAS).status_code == 200
    refusal = browser.patch(address, **change)
    browser.get("/password")  # a page with a form brings the cookie
    token = browser.cookies["nvr_csrftoken"].value

    assert refusal.status_code == 403
    assert refusal["Content-Type"] == "application/problem+json"
    assert browser.patch(address, **change, headers={"X-CSRFToken": "x" * 32}).status_code == 403
    assert browser.patch(address, **change, headers={"X-CSRFToken": token}).status_code == 200


def test_a_key_takes_precedence_over_a_session(kim: User, admin: User, camera: Camera) -> None:
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(admin)
    _, text = ApiKey.objects.issue(user=kim, name="phone")

    assert browser.delete(f"{CAMERAS}/front_door", headers={"X-API-Key": text}).status_code == 403
    refused(browser.get(CAMERAS, headers={"X-API-Key": "wrong"}))


def test_a_session_is_invalid_once_the_user_is_inactive(kim: User) -> None:
    browser = Client()
    browser.force_login(kim)
    User.objects.update(is_active=False)

    refused(browser.get(CAMERAS))
