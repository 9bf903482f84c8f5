"""Other users of the machine read nothing of ours; who uploads pictures can go on."""

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
from nvr.private_files import FILES, FOLDERS, Places, close_all, make_shared, open_paths

NOBODY = 65534
APPS = ("nvr", "cameras", "media_serving", "reviewer")


@pytest.fixture
def root() -> Iterator[Path]:
    """A folder that everybody may enter, unlike pytest's."""
    with tempfile.TemporaryDirectory(prefix="nvr-private-") as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


@pytest.fixture
def places(root: Path) -> Places:
    """An installation that was made with modes that let everybody read."""
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
    return Places(data, data / "cameras", data / "nvr.sqlite3")


def make(folder: Path, mode: int = 0o755) -> Path:
    folder.mkdir(exist_ok=True)
    folder.chmod(mode)
    return folder


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def readable_by_nobody(root: Path) -> set[str]:
    """What another user of the machine can open, also by an address that it knows; as the system sees it."""
    command = ["find", root, root / "data/cameras", "-type", "f", "-readable"]
    found = subprocess.run(command, user=NOBODY, group=NOBODY, capture_output=True, text=True).stdout
    return {Path(line).relative_to(root).as_posix() for line in found.splitlines()}


def test_what_was_left_open_is_closed(places: Places) -> None:
    assert len(list(open_paths(places))) == 1 + len(FOLDERS) + 4

    assert list(close_all(places)) == []

    assert mode_of(places.data) == 0o700
    assert {mode_of(places.data / name) for name in FOLDERS} == {0o700}
    assert {mode_of(path) for path in places.data.iterdir() if path.is_file()} == {0o600}
    assert mode_of(places.cameras) == 0o755
    assert list(open_paths(places)) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="becoming another user takes root")
@pytest.mark.parametrize("owner", [0, NOBODY])
def test_another_user_reads_nothing_but_what_it_uploads(places: Places, root: Path, owner: int) -> None:
    os.chown(places.cameras / "door", owner, owner)
    assert "data/nvr.sqlite3" in readable_by_nobody(root)

    assert list(close_all(places)) == []

    assert readable_by_nobody(root) == ({"data/cameras/door/a.jpg"} if owner == NOBODY else set())
    assert mode_of(places.data) == (0o711 if owner == NOBODY else 0o700)


def test_a_camera_root_that_others_write_to_stays_within_their_reach(places: Places) -> None:
    places.cameras.chmod(0o777)

    list(close_all(places))

    assert (mode_of(places.data), mode_of(places.cameras)) == (0o711, 0o777)
    assert mode_of(places.data / "nvr.sqlite3") == 0o600


@pytest.mark.parametrize(("members", "mode"), [((), 0o700), (("ftp",), 0o711)])
def test_a_member_of_our_own_group_keeps_its_way_to_the_cameras(
    places: Places, monkeypatch: pytest.MonkeyPatch, members: tuple[str, ...], mode: int
) -> None:
    """A group of one's own is made with each user, and folders are often writable for it."""
    ours, ftp = pwd.getpwuid(os.geteuid()), pwd.struct_passwd(("ftp", "x", 4711, 4711, "", "/", "/bin/false"))
    monkeypatch.setattr(pwd, "getpwall", lambda: [ours, ftp])
    monkeypatch.setattr(grp, "getgrgid", lambda gid: grp.struct_group((ours.pw_name, "x", gid, list(members))))
    (places.cameras / "door").chmod(0o775)

    list(close_all(places))

    assert mode_of(places.data) == mode


def test_who_is_let_in_by_an_access_list_keeps_the_way_to_the_cameras(places: Places) -> None:
    everybody = 0xFFFFFFFF
    entries = [(1, 7, everybody), (2, 7, NOBODY), (4, 5, everybody), (16, 7, everybody), (32, 0, everybody)]
    access_list = struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *entry) for entry in entries)
    try:
        os.setxattr(places.cameras / "door", "system.posix_acl_access", access_list)
    except OSError as error:
        pytest.skip(f"this file system has no access lists ({error.strerror})")

    list(close_all(places))

    assert mode_of(places.data) == 0o711


def test_what_somebody_else_keeps_in_the_data_folder_is_left_alone(places: Places) -> None:
    photos = make(places.data / "photos")

    list(close_all(places))

    assert (mode_of(places.data), mode_of(photos)) == (0o711, 0o755)


def test_a_database_that_lies_elsewhere_is_closed_too(places: Places, root: Path) -> None:
    database = root / "other.sqlite3"
    database.touch(0o644)
    Path(f"{database}-wal").touch(0o644)

    list(close_all(Places(places.data, places.cameras, database)))

    assert (mode_of(database), mode_of(Path(f"{database}-wal"))) == (0o600, 0o600)
    assert mode_of(root) == 0o755


def test_all_that_is_made_in_the_data_folder_is_known() -> None:
    sources = [path.read_text() for app in APPS for path in Path(settings.BASE_DIR, app).rglob("*.py")]
    made = {name for source in sources for name in re.findall(r'\bNVR_DATA_DIR \}?/ "([^"]+)"', source)}

    assert made - {"cameras"} <= {*FOLDERS, *FILES}


def test_a_link_is_told_and_what_it_leads_to_is_left_alone(places: Places, root: Path) -> None:
    elsewhere = make(root / "elsewhere")
    (places.data / "kept").rmdir()
    (places.data / "kept").symlink_to(elsewhere)

    (warning,) = close_all(places)

    assert mode_of(elsewhere) == 0o755
    assert "data/kept" in warning and "it is a link" in warning


@pytest.mark.parametrize(
    ("fault", "reason"), [(None, "its file system keeps no modes"), (PermissionError(), "it belongs to another user")]
)
def test_what_cannot_be_closed_is_told(
    places: Places, monkeypatch: pytest.MonkeyPatch, fault: Exception | None, reason: str
) -> None:
    def chmod(*args: object) -> None:
        if fault:
            raise fault

    monkeypatch.setattr(Path, "chmod", chmod)

    warnings = list(close_all(places))

    assert f"Other users of this machine can read {places.data / 'nvr.sqlite3'}: {reason}." in warnings


@pytest.mark.parametrize(("parent", "made"), [(0o755, 0o755), (0o2775, 0o2775), (0o700, 0o700), (0o1777, 0o755)])
def test_a_cameras_folder_is_as_open_as_what_holds_it(root: Path, parent: int, made: int) -> None:
    top = make(root / "ftp", parent)

    make_shared(top / "cameras" / "door")

    assert mode_of(top / "cameras") == made
    assert mode_of(top / "cameras" / "door") == (made if parent != 0o1777 else 0o755)


def test_a_mark_beside_a_picture_stays_readable_for_who_shares_the_card(root: Path) -> None:
    directory = os.open(root, os.O_RDONLY)

    assert companions.create(directory, "a.jpg.lock")
    os.close(directory)

    assert mode_of(root / "a.jpg.lock") == 0o644


def test_what_a_program_of_ours_and_its_children_make_is_private(root: Path) -> None:
    script = "import django; django.setup(); import subprocess; subprocess.run(['touch', r'{}'])"
    child = root / "made"
    env = os.environ | {"NVR_DATA_DIR": str(root / "new"), "DJANGO_SETTINGS_MODULE": "nvr.settings"}

    subprocess.run([sys.executable, "-c", script.format(child)], env=env, check=True, umask=0o022)

    assert mode_of(child) == 0o600
    assert {mode_of(path) & 0o077 for path in (root / "new").rglob("*")} == {0}
