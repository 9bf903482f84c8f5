"""From a name that came from outside to a file inside a root."""

from __future__ import annotations

import errno
import itertools
import os
import socket
import threading
import time
from pathlib import Path
from urllib.parse import unquote

import pytest

from nvr.media.files import paths
from nvr.media.files.content_types import FileTypeNotAllowed, content_type_for, is_image, is_video
from nvr.media.files.paths import (
    NoSuchFile,
    NotAbsolute,
    NulInPath,
    OutsideRoot,
    PathTraversal,
    StorageFault,
    is_inside,
    normalise_folder,
    open_regular,
    resolve_inside,
)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "root"
    (folder / "day").mkdir(parents=True)
    (folder / "day" / "a.jpg").write_bytes(b"inside")
    (tmp_path / "secret.jpg").write_bytes(b"outside")
    (tmp_path / "root-2").mkdir()
    (tmp_path / "root-2" / "a.jpg").write_bytes(b"a neighbour whose name begins alike")
    return folder


def test_a_name_is_resolved_to_the_file_below_the_root(root):
    assert resolve_inside(root, "day/a.jpg") == root.resolve() / "day" / "a.jpg"


@pytest.mark.parametrize("name", ["day//a.jpg", "day/./a.jpg", "./day/a.jpg"])
def test_empty_and_dot_segments_change_nothing(root, name):
    assert resolve_inside(root, name) == root.resolve() / "day" / "a.jpg"


@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("../secret.jpg", PathTraversal),
        ("day/../../secret.jpg", PathTraversal),
        ("day/../day/a.jpg", PathTraversal),
        ("..", PathTraversal),
        ("day/..", PathTraversal),
        ("/etc/passwd", PathTraversal),
        ("//etc/passwd", PathTraversal),
        ("../secret.jpg\0.jpg", PathTraversal),
        ("day/a.jpg\0", NulInPath),
        ("\0", NulInPath),
        ("", NoSuchFile),
        (".", NoSuchFile),
        ("day", NoSuchFile),
        ("day/", NoSuchFile),
        ("day/a.jpg/", NoSuchFile),
        ("day/a.jpg/.", NoSuchFile),
        ("day/a.jpg/b.jpg", NoSuchFile),
        ("day/missing.jpg", NoSuchFile),
        ("x" * 256 + ".jpg", NoSuchFile),
        ("x/" * 3000 + "a.jpg", NoSuchFile),
        ("day/\udcff.jpg", NoSuchFile),
        ("day/\ud800.jpg", NoSuchFile),
        ("...", NoSuchFile),
        ("....//....//secret.jpg", NoSuchFile),
        ("..\\..\\secret.jpg", NoSuchFile),
        ("day/a.jpg\r\n", NoSuchFile),
        ("~/a.jpg", NoSuchFile),
        ("file:day/a.jpg", NoSuchFile),
    ],
)
def test_every_invalid_name_raises_a_domain_error(root, name, error):
    with pytest.raises(error):
        resolve_inside(root, name)


@pytest.mark.parametrize(
    "encoded",
    [
        "%2e%2e/secret.jpg",
        "..%2fsecret.jpg",
        "%2e%2e%2fsecret.jpg",
        "%252e%252e%252fsecret.jpg",
        "..%252fsecret.jpg",
        "%25252e%25252e/secret.jpg",
        "%c0%ae%c0%ae/secret.jpg",
        "..%c0%afsecret.jpg",
        "%e0%80%ae%e0%80%ae/secret.jpg",
        "%uff0e%uff0e/secret.jpg",
        "\uff0e\uff0e/secret.jpg",
        "\u2025/secret.jpg",
        "..\u2215secret.jpg",
        "..\uff0fsecret.jpg",
        "..%5csecret.jpg",
        ".%00./secret.jpg",
        "%2fetc%2fpasswd",
        "day/%2e%2e/%2e%2e/secret.jpg",
        "..;/secret.jpg",
    ],
)
@pytest.mark.parametrize("rounds", [0, 1, 2, 3])
def test_no_encoding_escapes_the_root(root, encoded, rounds):
    name = encoded
    for _ in range(rounds):
        name = unquote(name)

    with pytest.raises((PathTraversal, NulInPath, NoSuchFile)):
        resolve_inside(root, name)


def test_the_messages_are_those_of_the_contract():
    assert (PathTraversal().detail, PathTraversal().status) == ("Path traversal detected", 403)
    assert (NoSuchFile().detail, NoSuchFile().status) == ("File not found", 404)
    assert NulInPath().status == 400
    assert OutsideRoot().status == 403


@pytest.mark.parametrize(
    "target",
    ["../secret.jpg", "../root-2/a.jpg", "/etc/passwd", "../root-2", "../nothing", "/no/thing", "/etc/passwd/x"],
)
def test_a_link_outside_is_rejected_whether_or_not_its_target_exists(root, target):
    (root / "link.jpg").symlink_to(target)

    with pytest.raises(OutsideRoot):
        resolve_inside(root, "link.jpg")


def test_a_directory_link_outside_is_rejected(root):
    (root / "folder").symlink_to("../root-2")

    for name in ("folder/a.jpg", "folder/nothing.jpg", "folder/no/thing.jpg"):
        with pytest.raises(OutsideRoot):
            resolve_inside(root, name)


def test_a_link_inside_resolves_to_its_target(root):
    (root / "link.jpg").symlink_to("day/a.jpg")

    assert resolve_inside(root, "link.jpg") == root.resolve() / "day" / "a.jpg"


def test_the_root_may_be_a_link(root, tmp_path):
    (tmp_path / "alias").symlink_to(root)

    assert resolve_inside(tmp_path / "alias", "day/a.jpg") == root.resolve() / "day" / "a.jpg"


def test_circular_links_are_not_found(root):
    (root / "one.jpg").symlink_to("two.jpg")
    (root / "two.jpg").symlink_to("one.jpg")
    (root / "self").symlink_to("self")

    for name in ("one.jpg", "self/a.jpg"):
        with pytest.raises(NoSuchFile):
            resolve_inside(root, name)


def test_hidden_directories_are_never_entered(root):
    (root / ".hidden").mkdir()
    (root / ".hidden" / "a.jpg").write_bytes(b"x")
    (root / "door").symlink_to(".hidden")

    for name in (".hidden/a.jpg", "./.hidden/a.jpg", "door/a.jpg"):
        with pytest.raises(NoSuchFile):
            resolve_inside(root, name)


def test_a_root_below_a_hidden_directory_is_accepted(tmp_path):
    folder = tmp_path / ".local" / "nvr"
    folder.mkdir(parents=True)
    (folder / "a.jpg").write_bytes(b"x")

    assert resolve_inside(folder, "a.jpg").name == "a.jpg"


def special_files(root: Path) -> list[str]:
    os.mkfifo(root / "fifo.jpg")
    listener = socket.socket(socket.AF_UNIX)
    here = os.open(root, os.O_RDONLY)
    listener.bind(f"/proc/self/fd/{here}/socket.jpg")
    os.close(here)
    listener.close()
    return ["fifo.jpg", "socket.jpg"]


@pytest.mark.timeout(20)
def test_special_files_are_not_found_and_never_block(root):
    for name in special_files(root):
        with pytest.raises(NoSuchFile):
            resolve_inside(root, name)
        with pytest.raises(NoSuchFile):
            open_regular(root / name)


@pytest.mark.timeout(20)
@pytest.mark.parametrize("device", ["zero", "tty", "null", "full"])
def test_devices_are_not_found(device):
    with pytest.raises(NoSuchFile):
        resolve_inside(Path("/dev"), device)


def test_opening_does_not_follow_a_link_in_the_last_segment(root, tmp_path):
    (root / "link.jpg").symlink_to(tmp_path / "secret.jpg")

    with pytest.raises(NoSuchFile):
        open_regular(root / "link.jpg")


def test_a_directory_replaced_by_a_link_after_resolving_is_detected(root, tmp_path):
    resolved = resolve_inside(root, "day/a.jpg")
    (root / "day").rename(root / "moved")
    (root / "day").symlink_to(tmp_path / "root-2")

    with pytest.raises(OutsideRoot):
        open_regular(resolved, root=root.resolve())


def test_no_file_outside_is_read_while_names_are_swapped(root, tmp_path):
    stop = threading.Event()
    (root / "swap").mkdir()
    (root / "swap" / "a.jpg").write_bytes(b"inside")

    def swap() -> None:
        while not stop.wait(0.0003):
            (root / "swap").rename(root / "aside")
            (root / "swap").symlink_to(tmp_path / "root-2")
            stop.wait(0.0003)
            (root / "swap").unlink()
            (root / "aside").rename(root / "swap")

    swapper = threading.Thread(target=swap)
    swapper.start()
    outcomes: set[bytes | str] = set()
    deadline = time.monotonic() + 20
    try:
        for turn in itertools.count():
            outcomes.add(read_or_error(root, "swap/a.jpg"))
            if (turn >= 2000 and outcomes >= {b"inside", "OutsideRoot"}) or time.monotonic() > deadline:
                break
    finally:
        stop.set()
        swapper.join()

    assert {b"inside", "OutsideRoot"} <= outcomes <= {b"inside", "NoSuchFile", "OutsideRoot"}


def read_or_error(root: Path, name: str) -> bytes | str:
    try:
        with open_regular(resolve_inside(root, name), root=root.resolve()) as file:
            return file.read()
    except (NoSuchFile, OutsideRoot) as error:
        return type(error).__name__


@pytest.mark.parametrize("number", [errno.EIO, errno.ESTALE, errno.ENOTCONN, errno.ETIMEDOUT, errno.EMFILE])
def test_a_storage_fault_is_never_reported_as_missing(number):
    error = paths.error_for(OSError(number, os.strerror(number)))

    assert isinstance(error, StorageFault)
    assert error.status == 503
    assert "Retry-After" in error.headers


def test_a_fuse_mount_without_its_server_is_a_storage_fault(root, monkeypatch):
    """ENOTCONN is what the kernel answers then; making such a mount needs rights that tests do not have."""
    monkeypatch.setattr(os, "lstat", lambda *_: (_ for _ in ()).throw(OSError(errno.ENOTCONN, "not connected")))

    with pytest.raises(StorageFault):
        resolve_inside(root, "day/a.jpg")


def test_an_unreadable_file_is_not_found(root, monkeypatch):
    def refuse(*_: object, **__: object) -> int:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(os, "open", refuse)

    with pytest.raises(NoSuchFile):
        open_regular(root / "day" / "a.jpg")


def test_a_rejected_file_leaves_no_descriptor_open(root):
    os.mkfifo(root / "fifo.jpg")
    before = len(os.listdir("/proc/self/fd"))

    for _ in range(20):
        with pytest.raises(NoSuchFile):
            open_regular(root / "fifo.jpg")

    assert len(os.listdir("/proc/self/fd")) == before


@pytest.mark.parametrize(
    ("given", "folded"),
    [
        ("/a/b", "/a/b"),
        ("/a//b/./c/", "/a/b/c"),
        ("//a", "/a"),
        ("/", "/"),
        ("/./", "/"),
        ("/a/../b", "/a/../b"),
        ("/ä b", "/ä b"),
    ],
)
def test_folders_are_normalized_without_disk_access(given, folded):
    assert normalise_folder(given) == folded
    assert normalise_folder(folded) == folded


@pytest.mark.parametrize("given", ["", "a/b", "./a", "~", "C:/a"])
def test_a_folder_must_be_absolute(given):
    with pytest.raises(NotAbsolute):
        normalise_folder(given)


def test_is_inside_compares_complete_segments():
    assert is_inside(Path("/a/b"), Path("/a"))
    assert is_inside(Path("/a"), Path("/a"))
    assert not is_inside(Path("/ab"), Path("/a"))


@pytest.mark.parametrize(
    ("name", "content_type"),
    [
        ("a.jpg", "image/jpeg"),
        ("a.JPEG", "image/jpeg"),
        ("a.b.png", "image/png"),
        ("a.gif", "image/gif"),
        ("a.MP4", "video/mp4"),
        ("a.avi", "video/x-msvideo"),
        ("a.webm", "video/webm"),
        ("a.mov", "video/quicktime"),
        ("d.ir/a.mkv", "video/x-matroska"),
    ],
)
def test_the_content_type_depends_on_the_extension(name, content_type):
    assert content_type_for(name) == content_type
    assert is_image(name) == content_type.startswith("image/")
    assert is_video(name) == content_type.startswith("video/")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("malware.EXE", "File type not allowed: .exe"),
        ("a.jpg.exe", "File type not allowed: .exe"),
        ("a.svg", "File type not allowed: .svg"),
        ("jpg", "File type not allowed: (none)"),
        (".jpg", "File type not allowed: (none)"),
        ("a.", "File type not allowed: ."),
        ("x.jpg/a", "File type not allowed: (none)"),
    ],
)
def test_other_types_are_rejected_by_name(name, said):
    with pytest.raises(FileTypeNotAllowed) as refusal:
        content_type_for(name)

    assert refusal.value.detail == said
    assert not is_image(name)
    assert not is_video(name)
