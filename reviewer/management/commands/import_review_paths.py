"""`manage.py import_review_paths`: the known paths of an older program's config file."""

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
    help = "Adds the review paths that a config.yaml lists (known_paths); what cannot be added is said."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", help="such as ~/.mediareviewer/config.yaml")
        parser.add_argument("--group", action="append", default=[], help="whose members may review them; repeatable")
        parser.add_argument("--user", help="in whose name; without it, the first superuser's")

    def handle(self, *args: Any, file: str, group: list[str], user: str | None, **options: Any) -> None:
        paths, actor, groups = paths_in(Path(file).expanduser()), person(user), named(group)
        refused = 0
        for path in paths:
            try:
                row, is_new = add_path(actor, path, groups=groups)
            except NvrError as error:
                refused += 1
                self.stderr.write(f"{path}: {error.detail}")
            else:
                self.stdout.write(f"{row.path}: {'added' if is_new else 'was known, and stays as it is'}")
        if refused:
            raise CommandError(f"{refused} of {len(paths)} paths were not added.")


def paths_in(file: Path) -> list[str]:
    try:
        content = yaml.safe_load(file.read_text())
    except OSError as error:
        raise CommandError(f"{file} cannot be read: {error.strerror}.") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise CommandError(f"{file} is no YAML.") from error
    found = next((content[key] for key in KEYS if key in content), None) if isinstance(content, dict) else None
    if not isinstance(found, list):
        raise CommandError(f"{file} has no list named {KEYS[0]}.")
    return [str(path) for path in found]


def person(name: str | None) -> User:
    people = User.objects.filter(is_active=True)
    found = people.filter(username=name) if name else people.filter(is_superuser=True).order_by("pk")
    actor = found.first()
    if actor is None:
        raise CommandError(
            f"There is no active user {name!r}." if name else "There is no superuser yet: start NVR once."
        )
    return actor


def named(names: list[str]) -> list[Group]:
    groups = list(Group.objects.filter(name__in=names))
    missing = sorted(set(names) - {group.name for group in groups})
    if missing:
        raise CommandError(f"There is no group {', '.join(missing)}: add it in the admin first.")
    return groups
