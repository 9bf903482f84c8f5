"""File modes: private data is not readable by other users; camera folders stay open for uploads."""

from __future__ import annotations

import grp
import os
import pwd
import re
import stat
import struct
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.conf import settings

from nvr.media.files import companions
from nvr.private_files import FILES, FOLDERS, DataLayout, exposed_paths, make_shared, restrict_all

NOBODY = 65534
APPS = ("nvr", "cameras", "media_serving", "reviewer")


@pytest.fixture
def root() -> Iterator[Path]:
    """A folder that everybody can enter, unlike those of pytest."""
    with tempfile.TemporaryDirectory(prefix="nvr-private-") as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


@pytest.fixture
def layout(root: Path) -> DataLayout:
    """An installation whose files everybody can read."""
    data = root / "data"
    for name in ("", *FOLDERS, "cameras", "cameras/door"):
        make(data / name)
    for name in (
        "nvr.sqlite3",
        "nvr.sqlite3-wal",
        "nvr.sqlite3-shm",
        "secret_key",
        "clips/1.mp4",
        "cameras/door/a.jpg",
    ):
        (data / name).write_text("private")
        (data / name).chmod(0o644)
    return DataLayout(data, data / "cameras", data / "nvr.sqlite3")


def make(folder: Path, mode: int = 0o755) -> Path:
    folder.mkdir(exist_ok=True)
    folder.chmod(mode)
    return folder


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def readable_by_nobody(root: Path) -> set[str]:
    """Return the files that another user can open, also by a known path."""
    command = ["find", root, root / "data/cameras", "-type", "f", "-readable"]
    found = subprocess.run(command, user=NOBODY, group=NOBODY, capture_output=True, text=True).stdout
    return {Path(line).relative_to(root).as_posix() for line in found.splitlines()}


def test_exposed_files_are_restricted(layout: DataLayout) -> None:
    assert len(list(exposed_paths(layout))) == 1 + len(FOLDERS) + 4

    assert list(restrict_all(layout)) == []

    assert mode_of(layout.data) == 0o700
    assert {mode_of(layout.data / name) for name in FOLDERS} == {0o700}
    assert {mode_of(path) for path in layout.data.iterdir() if path.is_file()} == {0o600}
    assert mode_of(layout.cameras) == 0o755
    assert list(exposed_paths(layout)) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="becoming another user takes root")
@pytest.mark.parametrize("owner", [0, NOBODY])
def test_another_user_can_access_only_its_uploads(layout: DataLayout, root: Path, owner: int) -> None:
    os.chown(layout.cameras / "door", owner, owner)
    assert "data/nvr.sqlite3" in readable_by_nobody(root)

    assert list(restrict_all(layout)) == []

    assert readable_by_nobody(root) == ({"data/cameras/door/a.jpg"} if owner == NOBODY else set())
    assert mode_of(layout.data) == (0o711 if owner == NOBODY else 0o700)


def test_a_camera_root_that_others_write_to_stays_accessible(layout: DataLayout) -> None:
    layout.cameras.chmod(0o777)

    list(restrict_all(layout))

    assert (mode_of(layout.data), mode_of(layout.cameras)) == (0o711, 0o777)
    assert mode_of(layout.data / "nvr.sqlite3") == 0o600


@pytest.mark.parametrize(("members", "mode"), [((), 0o700), (("ftp",), 0o711)])
def test_a_member_of_our_own_group_keeps_access_to_the_cameras(
    layout: DataLayout, monkeypatch: pytest.MonkeyPatch, members: tuple[str, ...], mode: int
) -> None:
    """Each user has a group of its own, and folders are often writable for it."""
    ours, ftp = pwd.getpwuid(os.geteuid()), pwd.struct_passwd(("ftp", "x", 4711, 4711, "", "/", "/bin/false"))
    monkeypatch.setattr(pwd, "getpwall", lambda: [ours, ftp])
    monkeypatch.setattr(grp, "getgrgid", lambda gid: grp.struct_group((ours.pw_name, "x", gid, list(members))))
    (layout.cameras / "door").chmod(0o775)

    list(restrict_all(layout))

    assert mode_of(layout.data) == mode


def test_a_user_in_an_access_list_keeps_access_to_the_cameras(layout: DataLayout) -> None:
    everybody = 0xFFFFFFFF
    entries = [(1, 7, everybody), (2, 7, NOBODY), (4, 5, everybody), (16, 7, everybody), (32, 0, everybody)]
    access_list = struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *entry) for entry in entries)
    try:
        os.setxattr(layout.cameras / "door", "system.posix_acl_access", access_list)
    except OSError as error:
        pytest.skip(f"this file system has no access lists ({error.strerror})")

    list(restrict_all(layout))

    assert mode_of(layout.data) == 0o711


def test_files_of_others_in_the_data_folder_are_not_changed(layout: DataLayout) -> None:
    photos = make(layout.data / "photos")

    list(restrict_all(layout))

    assert (mode_of(layout.data), mode_of(photos)) == (0o711, 0o755)


def test_a_database_outside_the_data_folder_is_restricted_too(layout: DataLayout, root: Path) -> None:
    database = root / "other.sqlite3"
    database.touch(0o644)
    Path(f"{database}-wal").touch(0o644)

    list(restrict_all(DataLayout(layout.data, layout.cameras, database)))

    assert (mode_of(database), mode_of(Path(f"{database}-wal"))) == (0o600, 0o600)
    assert mode_of(root) == 0o755


def test_every_entry_that_nvr_creates_in_the_data_folder_is_listed() -> None:
    sources = [path.read_text() for app in APPS for path in Path(settings.BASE_DIR, app).rglob("*.py")]
    made = {name for source in sources for name in re.findall(r'\bNVR_DATA_DIR \}?/ "([^"]+)"', source)}

    assert made - {"cameras"} <= {*FOLDERS, *FILES}


def test_a_link_is_reported_and_its_target_is_not_changed(layout: DataLayout, root: Path) -> None:
    elsewhere = make(root / "elsewhere")
    (layout.data / "kept").rmdir()
    (layout.data / "kept").symlink_to(elsewhere)

    (warning,) = restrict_all(layout)

    assert mode_of(elsewhere) == 0o755
    assert "data/kept" in warning and "it is a link" in warning


@pytest.mark.parametrize(
    ("fault", "reason"), [(None, "its file system has no modes"), (PermissionError(), "it belongs to another user")]
)
def test_a_path_that_cannot_be_restricted_is_reported(
    layout: DataLayout, monkeypatch: pytest.MonkeyPatch, fault: Exception | None, reason: str
) -> None:
    def chmod(*args: object) -> None:
        if fault:
            raise fault

    monkeypatch.setattr(Path, "chmod", chmod)

    warnings = list(restrict_all(layout))

    assert f"Other users of this machine can read {layout.data / 'nvr.sqlite3'}: {reason}." in warnings


@pytest.mark.parametrize(("parent", "made"), [(0o755, 0o755), (0o2775, 0o2775), (0o700, 0o700), (0o1777, 0o755)])
def test_a_cameras_folder_has_the_mode_of_its_parent(root: Path, parent: int, made: int) -> None:
    top = make(root / "ftp", parent)

    make_shared(top / "cameras" / "door")

    assert mode_of(top / "cameras") == made
    assert mode_of(top / "cameras" / "door") == (made if parent != 0o1777 else 0o755)


def test_a_companion_file_stays_readable_for_other_users_of_the_card(root: Path) -> None:
    directory = os.open(root, os.O_RDONLY)

    assert companions.create(directory, "a.jpg.lock")
    os.close(directory)

    assert mode_of(root / "a.jpg.lock") == 0o644


def test_new_files_of_nvr_and_its_children_are_private(root: Path) -> None:
    script = "import django; django.setup(); import subprocess; subprocess.run(['touch', r'{}'])"
    child = root / "made"
    env = os.environ | {"NVR_DATA_DIR": str(root / "new"), "DJANGO_SETTINGS_MODULE": "nvr.settings"}

    subprocess.run([sys.executable, "-c", script.format(child)], env=env, check=True, umask=0o022)

    assert mode_of(child) == 0o600
    assert {mode_of(path) & 0o077 for path in (root / "new").rglob("*")} == {0}
