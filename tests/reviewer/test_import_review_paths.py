"""`import_review_paths`: importing the review paths of an older program."""

from __future__ import annotations

from pathlib import Path

import pytest
from django.contrib.auth.models import Group
from django.core.management import CommandError, call_command

from reviewer.models import ReviewPath
from tests.factories import make_user

pytestmark = pytest.mark.django_db


@pytest.fixture
def config(tmp_path: Path, card: Path) -> Path:
    file = tmp_path / "config.yaml"
    file.write_text(f"known_paths:\n  - {card}\n  - /proc\n  - /not/there\n")
    return file


def test_valid_paths_are_added_and_others_reported(config, card, capsys):
    make_user("chief", is_superuser=True)
    Group.objects.create(name="rangers")

    with pytest.raises(CommandError, match="2 of 3"):
        call_command("import_review_paths", str(config), "--group", "rangers")

    output = capsys.readouterr()
    assert f"{card}: added" in output.out
    assert "/proc" in output.err and "/not/there" in output.err
    assert [group.name for group in ReviewPath.objects.get().groups.all()] == ["rangers"]


def test_known_path_keeps_its_groups(tmp_path, known, capsys):
    make_user("chief", is_superuser=True)
    Group.objects.create(name="strangers")
    file = tmp_path / "config.yaml"
    file.write_text(f"known_paths: [{known.path}]\n")

    call_command("import_review_paths", str(file), "--group", "strangers")

    assert "stays as it is" in capsys.readouterr().out
    assert [group.name for group in known.groups.all()] == ["rangers"]


@pytest.mark.parametrize("content", ["", "known_paths: 7", "- a", "{", "\0"])
def test_invalid_file_is_an_error(tmp_path, content):
    make_user("chief", is_superuser=True)
    (tmp_path / "config.yaml").write_text(content)

    with pytest.raises(CommandError):
        call_command("import_review_paths", str(tmp_path / "config.yaml"))


def test_unknown_user_is_an_error(config):
    with pytest.raises(CommandError, match="superuser"):
        call_command("import_review_paths", str(config))
    with pytest.raises(CommandError, match="nobody"):
        call_command("import_review_paths", str(config), "--user", "nobody")


def test_unknown_group_or_file_is_an_error(config, tmp_path):
    make_user("chief", is_superuser=True)

    with pytest.raises(CommandError, match="nobodies"):
        call_command("import_review_paths", str(config), "--group", "nobodies")
    with pytest.raises(CommandError, match="cannot be read"):
        call_command("import_review_paths", str(tmp_path / "missing"))
