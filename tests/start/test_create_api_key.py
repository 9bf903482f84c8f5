"""`manage.py create_api_key`."""

from __future__ import annotations

from datetime import timedelta
from io import StringIO

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.utils import timezone

from nvr.accounts.models import ApiKey

pytestmark = pytest.mark.django_db


@pytest.fixture
def owner() -> User:
    return User.objects.create_user("hub")


def create(*arguments: str) -> str:
    output = StringIO()
    call_command("create_api_key", *arguments, stdout=output)
    return output.getvalue()


def test_only_the_key_is_printed_and_it_works(owner: User) -> None:
    printed = create("home hub", "--user", "hub")

    key = ApiKey.objects.find(printed.removesuffix("\n"))
    assert key is not None
    assert (key.user, key.name, key.read_only, key.expires_at) == (owner, "home hub", False, None)


def test_a_key_can_be_read_only_and_expire(owner: User) -> None:
    printed = create("tablet", "--user", "hub", "--read-only", "--expires", "30")

    key = ApiKey.objects.find(printed.strip())
    assert key is not None and key.read_only and key.expires_at is not None
    assert abs(key.expires_at - timezone.now() - timedelta(days=30)) < timedelta(minutes=1)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("x", "--user", "nobody"), "There is no user 'nobody'"),
        (("x", "--user", "gone"), "is deactivated"),
        (("  ", "--user", "hub"), "needs a name"),
        (("x" * 101, "--user", "hub"), "needs a name"),
        (("x", "--user", "hub", "--expires", "0"), "number of days"),
        (("x", "--user", "hub", "--expires", "-3"), "number of days"),
    ],
)
def test_invalid_arguments_are_rejected_in_one_sentence(owner: User, arguments: tuple[str, ...], sentence: str) -> None:
    User.objects.create_user("gone", is_active=False)

    with pytest.raises(CommandError, match=sentence):
        create(*arguments)

    assert not ApiKey.objects.exists()
