"""`manage.py import_review_paths`: imports the review paths from the config file of an older program."""

from __future__ import annotations

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

import yaml
from django.contrib.auth.models import Group, User
from django.core.management.base import BaseCommand, CommandError

from nvr.errors import NvrError
from reviewer.registry import add_path

KEYS = ("known_paths", "knownPaths", "review_paths")


class Command(BaseCommand):
    help = "Adds the review paths that a config.yaml lists (known_paths), and reports those that cannot be added."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", help="such as ~/.mediareviewer/config.yaml")
        parser.add_argument(
            "--group", action="append", default=[], help="a group whose members may review the paths; repeatable"
        )
        parser.add_argument("--user", help="the user who adds the paths; default: the first superuser")

    def handle(self, *args: Any, file: str, group: list[str], user: str | None, **options: Any) -> None:
        paths, actor, groups = read_paths(Path(file).expanduser()), find_user(user), find_groups(group)
        failed = 0
        for path in paths:
            try:
                review_path, is_new = add_path(actor, path, groups=groups)
            except NvrError as error:
                failed += 1
                self.stderr.write(f"{path}: {error.detail}")
            else:
                self.stdout.write(f"{review_path.path}: {'added' if is_new else 'already exists, stays as it is'}")
        if failed:
            raise CommandError(f"{failed} of {len(paths)} paths were not added.")


def read_paths(file: Path) -> list[str]:
    try:
        content = yaml.safe_load(file.read_text())
    except OSError as error:
        raise CommandError(f"{file} cannot be read: {error.strerror}.") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise CommandError(f"{file} is not a YAML file.") from error
    found = next((content[key] for key in KEYS if key in content), None) if isinstance(content, dict) else None
    if not isinstance(found, list):
        raise CommandError(f"{file} has no list named {KEYS[0]}.")
    return [str(path) for path in found]


def find_user(name: str | None) -> User:
    active = User.objects.filter(is_active=True)
    matching = active.filter(username=name) if name else active.filter(is_superuser=True).order_by("pk")
    user = matching.first()
    if user is None:
        raise CommandError(
            f"There is no active user {name!r}." if name else "There is no superuser yet: start NVR once."
        )
    return user


def find_groups(names: list[str]) -> list[Group]:
    groups = list(Group.objects.filter(name__in=names))
    missing = sorted(set(names) - {group.name for group in groups})
    if missing:
        raise CommandError(f"There is no group {', '.join(missing)}. Add it in the admin first.")
    return groups
