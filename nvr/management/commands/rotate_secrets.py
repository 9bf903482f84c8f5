"""`manage.py rotate_secrets`: store every secret under the current key."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand

from nvr.installation.stored_secrets import rotate


class Command(BaseCommand):
    help = (
        "Encrypts all stored secrets anew with the current key. "
        "Put the former key into NVR_SECRET_KEY_FALLBACKS first; afterwards it can go."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--dry-run", action="store_true", help="only count")

    def handle(self, *args: Any, dry_run: bool, **options: Any) -> None:
        result = rotate(dry_run=dry_run)
        verb = "would be stored" if dry_run else "are stored"
        self.stdout.write(f"{result.rotated} secrets {verb} under the current key.")
        if result.unreadable:
            names = ", ".join(result.unreadable)
            self.stderr.write(f"No key of ours opens these, which were left alone: {names}. Type them in again.")
