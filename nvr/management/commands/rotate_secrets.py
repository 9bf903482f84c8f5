"""`manage.py rotate_secrets`: encrypts every stored secret with the current key."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand

from nvr.installation.stored_secrets import rotate


class Command(BaseCommand):
    help = (
        "Encrypts all stored secrets with the current key. "
        "Add the previous key to NVR_SECRET_KEY_FALLBACKS first; remove it afterwards."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--dry-run", action="store_true", help="only count")

    def handle(self, *args: Any, dry_run: bool, **options: Any) -> None:
        result = rotate(dry_run=dry_run)
        verb = "would be encrypted" if dry_run else "are encrypted"
        self.stdout.write(f"{result.rotated} secrets {verb} with the current key.")
        if result.unreadable:
            names = ", ".join(result.unreadable)
            self.stderr.write(f"No key decrypts these, so they were not changed: {names}. Enter them again.")
