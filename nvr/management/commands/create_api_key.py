"""`manage.py create_api_key`: creates an API key for a device or a program."""

from __future__ import annotations

from argparse import ArgumentParser
from datetime import timedelta
from typing import Any

from django.contrib.auth.models import User
from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from nvr.accounts.models import ApiKey


class Command(BaseCommand):
    help = "Creates an API key and prints it, and nothing else. The key is not shown again."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("name", help="which device or program will use it")
        parser.add_argument("--user", required=True, help="the user whose permissions the key has")
        parser.add_argument("--read-only", action="store_true", help="the key can only read")
        parser.add_argument("--expires", type=int, metavar="DAYS", help="days until the key expires; default: never")

    def handle(self, *args: Any, name: str, user: str, read_only: bool, expires: int | None, **options: Any) -> None:
        if not 1 <= len(name.strip()) <= 100:
            raise CommandError("A key needs a name of 1 to 100 characters.")
        if expires is not None and not 1 <= expires <= 36_500:
            raise CommandError("--expires is a number of days from 1 to 36500.")
        owner = User.objects.filter(username=user).first()
        if owner is None:
            raise CommandError(f"There is no user {user!r}: create one in the admin first.")
        if not owner.is_active:
            raise CommandError(
                f"The user {user!r} is deactivated, and so are the user's keys: activate the user first."
            )
        expires_at = timezone.now() + timedelta(days=expires) if expires else None
        _, key = ApiKey.objects.issue(user=owner, name=name.strip(), read_only=read_only, expires_at=expires_at)
        self.stdout.write(key)
