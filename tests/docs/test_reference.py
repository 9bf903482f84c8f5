"""The reference tells all that there is, and nothing that there is not."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.apps import apps
from django.core.management import get_commands, load_command_class
from django.core.management.base import BaseCommand
from django.urls import URLPattern, URLResolver, get_resolver

from nvr.env import Environment, Setting
from nvr.settings import env
from tests.docs.markdown import FENCE, ROOT, anchors, code, column, links, pages, read, rows, section

SETTINGS = read("docs/reference/settings.md")
COMMANDS = read("docs/reference/commands.md")
API = read("docs/reference/api.md")
CHANGELOG = read("docs/changelog.md")
PERFORMANCE = read("docs/design/performance.md")
# Their defaults follow from the machine or from another setting, and are told in words.
TOLD_IN_WORDS = {
    "NVR_DATA_DIR",
    "NVR_CAMERA_ROOT",
    "DATABASE_URL",
    "NVR_TRUSTED_PROXIES",
    "NVR_REVIEW_ROOTS",
    "NVR_PUBLIC_SNAPSHOTS",
}


def own_commands() -> dict[str, BaseCommand]:
    """The commands of the apps that lie in this repository."""
    here = {config.name for config in apps.get_app_configs() if Path(config.path).parent in {ROOT, ROOT / "nvr"}}
    return {name: load_command_class(app, name) for name, app in get_commands().items() if app in here}


def own_options(name: str, command: BaseCommand) -> set[str]:
    """Long options and positional arguments that every command of Django's does not have."""
    return arguments_of(command, name) - arguments_of(BaseCommand(), "plain")


def arguments_of(command: BaseCommand, name: str) -> set[str]:
    parser = command.create_parser("manage.py", name)
    return {action.option_strings[-1] if action.option_strings else action.dest for action in parser._actions}


def make_targets() -> set[str]:
    return set(re.findall(r"^([a-z][a-z-]*):(?!=)", read("Makefile"), re.MULTILINE))


def routes(patterns: list[Any], prefix: str = "/") -> Iterator[tuple[str, Any]]:
    for pattern in patterns:
        path = prefix + str(pattern.pattern)
        if isinstance(pattern, URLResolver):
            yield from routes(pattern.url_patterns, path)
        elif isinstance(pattern, URLPattern):
            yield re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", path), pattern.callback


def methods_of(callback: Any) -> set[str]:
    view = getattr(callback, "cls", None) or callback.view_class
    names = getattr(callback, "actions", None) or [m for m in view.http_method_names if hasattr(view, m)]
    return {name.upper() for name in names} - {"HEAD", "OPTIONS"}


def api_routes() -> set[tuple[str, str]]:
    found = routes(get_resolver().url_patterns)
    return {(method, path) for path, view in found if path.startswith("/api/") for method in methods_of(view)}


def told_default(setting: Setting, told: str) -> str:
    """The default in the reference, in the form in which `nvr.env` remembers its own."""
    if told == "none":
        return ""
    if setting.kind.startswith("duration"):
        return f"{int(Environment({'told': told}).duration('told', timedelta()).total_seconds())}s"
    return told


def documented_settings() -> dict[str, tuple[str, str, str]]:
    return {name: (kind, default, meaning) for name, kind, default, meaning in rows(SETTINGS, "Variable")}


def test_the_reference_lists_exactly_the_existing_settings() -> None:
    assert sorted(column(SETTINGS, "Variable")) == sorted(env.known)


@pytest.mark.parametrize("setting", env.known.values(), ids=lambda setting: setting.name)
def test_the_reference_has_the_type_and_default_of_each_setting(setting: Setting) -> None:
    kind, default, meaning = documented_settings()[setting.name]

    assert kind == setting.kind
    assert len(meaning) > 20
    if setting.name not in TOLD_IN_WORDS:
        assert told_default(setting, default) == setting.default


def test_the_docs_mention_only_existing_settings() -> None:
    known = {*env.known, *(f"{name}_FILE" for name in env.known), *column(SETTINGS, "Other variable")}
    named = {name for page in pages() for name in re.findall(r"\bNVR_[A-Z_]+\b", page.read_text())}

    assert named - known == set()


def test_the_reference_lists_exactly_the_existing_commands() -> None:
    assert sorted(column(COMMANDS, "Command")) == sorted(f"manage.py {name}" for name in own_commands())


@pytest.mark.parametrize("name", own_commands())
def test_the_reference_lists_the_options_of_each_command(name: str) -> None:
    told = {cell.split()[0] for cell in column(section(COMMANDS, f"manage.py {name}"), "Option")}

    assert told == own_options(name, own_commands()[name])


def test_the_reference_lists_exactly_the_make_targets() -> None:
    assert sorted(column(COMMANDS, "Target")) == sorted(f"make {name}" for name in make_targets())


def test_the_docs_mention_only_existing_commands() -> None:
    text = "\n".join(code(page.read_text()) for page in pages())

    assert set(re.findall(r"\bmake ([a-z][a-z-]*)", text)) <= make_targets()
    assert set(re.findall(r"manage\.py ([a-z_]+)", text)) <= set(get_commands())


def test_the_overview_shows_the_enforced_layers() -> None:
    contracts = tomllib.loads(read("pyproject.toml"))["tool"]["importlinter"]["contracts"]
    drawn = next(iter(FENCE.findall(read("docs/design/overview.md")))).splitlines()[1:-1]

    assert [line.split("  ")[0] for line in drawn] == contracts[0]["layers"]


def test_the_docs_list_exactly_the_existing_benchmarks() -> None:
    benches = {path.name for path in (ROOT / "tests" / "benchmarks").glob("bench_*.py")}

    assert set(column(PERFORMANCE, "Bench")) == benches


def test_the_reference_lists_exactly_the_api_routes_and_methods() -> None:
    told = [(method, path) for method, path, *_ in rows(API, "Method")]

    assert sorted(told) == sorted(api_routes())


def test_every_route_has_its_permission_and_description() -> None:
    assert [cells for cells in rows(API, "Method") if len(cells) != 4 or not all(cells)] == []


@pytest.mark.parametrize("page", pages(), ids=lambda page: str(page.relative_to(ROOT)))
def test_no_link_is_broken(page: Path) -> None:
    assert [target for target in links(page.read_text()) if is_dead(page, target)] == []


def is_dead(page: Path, target: str) -> bool:
    name, _, fragment = target.partition("#")
    file = page.parent / name if name else page
    if not file.exists() or not file.resolve().is_relative_to(ROOT):
        return True
    return bool(fragment) and fragment not in anchors(file.read_text())


def test_every_page_is_linked_from_the_readme() -> None:
    reached: set[Path] = set()
    waiting = [ROOT / "README.md"]
    while waiting:
        page = waiting.pop()
        if page not in reached and page.suffix == ".md":
            reached.add(page)
            waiting += [(page.parent / target.partition("#")[0]).resolve() for target in links(page.read_text())]

    assert set(pages()) - reached == set()


def test_the_changelog_has_an_entry_for_this_version() -> None:
    version = tomllib.loads(read("pyproject.toml"))["project"]["version"]
    title = next((line for line in CHANGELOG.splitlines() if re.match(rf"## {re.escape(version)}\b", line)), "")

    assert title
    assert re.search(r"^- \w", section(CHANGELOG, title.removeprefix("## ")), re.MULTILINE)


def test_the_readme_names_the_two_commands() -> None:
    assert {"run", "test", "demo"} <= set(re.findall(r"\bmake ([a-z-]+)", code(read("README.md"))))
