"""The secret key: created once by the first process, readable by its owner only."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest
from django.core.exceptions import ImproperlyConfigured

from nvr.default_hosts import own_hosts
from nvr.secret_key import stored_key

ROOT = Path(__file__).parent.parent.parent


def test_a_key_is_created_once_and_only_its_owner_can_read_it(tmp_path: Path) -> None:
    file = tmp_path / "new" / "secret_key"

    first = stored_key(file)

    assert len(first) >= 50
    assert stored_key(file) == first
    assert file.stat().st_mode & 0o777 == 0o600
    assert [path.name for path in file.parent.iterdir()] == ["secret_key"]


@pytest.mark.parametrize("number", [errno.EPERM, errno.EOPNOTSUPP])
def test_a_file_system_without_links_can_store_a_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def refuse(*args: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("nvr.secret_key.os.link", refuse)

    assert stored_key(tmp_path / "secret_key") == stored_key(tmp_path / "secret_key")
    assert [path.name for path in tmp_path.iterdir()] == ["secret_key"]


@pytest.mark.parametrize("content", ["", "\n", "short"])
def test_a_file_without_a_usable_key_is_reported_and_not_changed(tmp_path: Path, content: str) -> None:
    file = tmp_path / "secret_key"
    file.write_text(content)

    with pytest.raises(ImproperlyConfigured, match="secret_key"):
        stored_key(file)
    assert file.read_text() == content


def test_processes_that_start_at_once_agree_on_one_key(tmp_path: Path) -> None:
    script = "import sys, pathlib, nvr.secret_key as s; print(s.stored_key(pathlib.Path(sys.argv[1])))"
    command = [sys.executable, "-c", script, str(tmp_path / "key")]
    started = [subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) for _ in range(6)]

    keys = {process.communicate(timeout=60)[0].strip() for process in started}

    assert len(keys) == 1
    assert len(keys.pop()) >= 50


WITHOUT_LINKS = """
import os, pathlib, sys, time
import nvr.secret_key

file, others = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])

def refuse(*names):
    (others / str(os.getpid())).touch()
    while len(list(others.iterdir())) < 6:
        time.sleep(0.001)
    raise PermissionError(1, "Operation not permitted")

os.link = refuse
print(nvr.secret_key.stored_key(file))
"""


def test_processes_without_links_agree_on_one_key(tmp_path: Path) -> None:
    """All processes find no key and write one of their own before the first one renames its file."""
    others = tmp_path / "others"
    others.mkdir()
    command = [sys.executable, "-c", WITHOUT_LINKS, str(tmp_path / "data/key"), str(others)]
    started = [subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) for _ in range(6)]

    keys = {process.communicate(timeout=60)[0].strip() for process in started}

    assert len(keys) == 1
    assert len(keys.pop()) >= 50
    assert [path.name for path in (tmp_path / "data").iterdir()] == ["key"]


def test_own_hosts_are_names_of_this_machine_without_wildcards() -> None:
    hosts = own_hosts()

    assert {"localhost", "127.0.0.1", "[::1]"} <= set(hosts)
    assert not any("*" in host or host.startswith(".") for host in hosts)
    assert len(hosts) == len(set(hosts))
