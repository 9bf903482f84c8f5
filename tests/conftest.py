"""What all tests share: clients of every role, a camera with pictures, clean caches."""

from __future__ import annotations

import gc
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.contrib.auth.models import Group, Permission, User
from django.contrib.contenttypes.models import ContentType
from django.core.cache import caches
from django.core.management import call_command
from django.db import connection, transaction
from django.test import TransactionTestCase
from pytest_django.plugin import DjangoDbBlocker
from rest_framework.test import APIClient

from cameras.api import list_cache
from cameras.models import Camera
from nvr.accounts.models import ApiKey
from nvr.api import counters
from tests.factories import folder_of, jpeg, make_camera, make_user, put
from tests.shared import made_once

gc.disable()  # until all tests are collected: almost nothing of what that makes is garbage


def pytest_collection_finish() -> None:
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)  # as in the web server
    gc.enable()


@pytest.fixture(scope="session")
def django_db_keepdb(django_db_modify_db_settings: None, django_db_blocker: DjangoDbBlocker) -> bool:
    """On SQLite one process of the run migrates, and each begins with a copy of its database."""
    database = settings.DATABASES["default"]
    if not database["ENGINE"].endswith("sqlite3"):
        return False
    with django_db_blocker.unblock():
        migrated = made_once("migrated.sqlite3", migrate)
    shutil.copyfile(migrated, database["TEST"]["NAME"])
    return True


def migrate(path: Path) -> None:
    connection.settings_dict["NAME"] = str(path)
    call_command("migrate", verbosity=0)
    connection.close()


def delete_rows(_: TransactionTestCase) -> None:
    """Ends a test with transactions of its own. Django's `flush` also makes all content types and permissions anew."""
    tables = set(connection.introspection.django_table_names(only_existing=True, include_views=False))
    with transaction.atomic(), connection.cursor() as cursor:
        for table in tables - {ContentType._meta.db_table, Permission._meta.db_table}:
            cursor.execute(f"DELETE FROM {connection.ops.quote_name(table)}")  # constraints are checked at the end
    ContentType.objects.clear_cache()


TransactionTestCase._fixture_teardown = delete_rows  # type: ignore[attr-defined]


@pytest.fixture(autouse=True)
def clean_caches() -> Iterator[None]:
    """Rate limits and lists of one test do not count for the next."""
    caches["default"].clear()
    caches["process"].clear()
    yield


@pytest.fixture
def cache_away(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The shared cache is a Redis that is not there."""
    from django_redis.exceptions import ConnectionInterrupted
    from redis.exceptions import RedisError

    options = {"SOCKET_CONNECT_TIMEOUT": 0.2}
    away = {"BACKEND": "django_redis.cache.RedisCache", "LOCATION": "redis://127.0.0.1:1/0", "OPTIONS": options}
    settings.CACHES = settings.CACHES | {"default": away}
    for module in (counters, list_cache):
        monkeypatch.setattr(module, "CACHE_FAULTS", (OSError, ConnectionInterrupted, RedisError))


class Clock:
    """The clock by which rate limits divide time into windows; it moves only when it is told to."""

    def __init__(self) -> None:
        self.now = time.time()

    def time(self) -> float:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def still_clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """No window of a rate limit ends while a test counts."""
    clock = Clock()
    monkeypatch.setattr("django_ratelimit.core.time", clock)
    return clock


@pytest.fixture
def stranger() -> APIClient:
    return APIClient()


def client_of(user: User) -> APIClient:
    """A client that sends the user's API key, as a program would."""
    client = APIClient()
    _, text = ApiKey.objects.issue(user=user, name="test")
    client.credentials(HTTP_X_API_KEY=text)
    return client


@pytest.fixture
def family(db: None) -> Group:
    return Group.objects.create(name="family")


@pytest.fixture
def admin(db: None) -> User:
    return make_user("chief", is_staff=True, is_superuser=True)


@pytest.fixture
def api(admin: User) -> APIClient:
    """The API as a superuser sees it."""
    return client_of(admin)


@pytest.fixture
def member(family: Group) -> User:
    """Sees what lists the group `family`, and may change nothing."""
    return make_user("member", groups=(family,))


@pytest.fixture
def outsider(db: None) -> User:
    """Signed in, member of nothing."""
    return make_user("outsider")


@pytest.fixture
def camera(db: None) -> Camera:
    """A camera without groups: only who may see all sees it; its snapshot is public."""
    return make_camera("Front Door", folder_path="")


@pytest.fixture
def family_camera(family: Group) -> Camera:
    return make_camera("Back Yard", groups=(family,))


@pytest.fixture
def pictures(camera: Camera) -> list[str]:
    """Three whole pictures in the camera's folder; the last is the newest."""
    names = ["a.jpg", "b.jpg", "c.jpg"]
    for number, name in enumerate(names):
        put(folder_of(camera), name, jpeg(seed=number), age_s=30 - number * 5)
    return names
