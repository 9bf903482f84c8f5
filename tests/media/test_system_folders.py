"""Which folders are a system's own, and not what somebody put there."""

from __future__ import annotations

import pytest

from nvr.media.files.system_folders import is_hidden_folder, is_system_folder


@pytest.mark.parametrize(
    "name",
    [
        "@eaDir",
        "#recycle",
        "#snapshot",
        "@Recycle",
        "@Recently-Snapshot",
        ".@__thumb",
        "$RECYCLE.BIN",
        "$Recycle.Bin",
        "System Volume Information",
        "SYSTEM VOLUME INFORMATION",
        "lost+found",
        "LOST.DIR",
        ".Trash-1000",
        ".Trashes",
        ".thumbnails",
        "__MACOSX",
    ],
)
def test_system_folders_are_recognized_as_text_and_as_bytes(name: str) -> None:
    assert is_system_folder(name) and is_system_folder(name.encode())
    assert is_hidden_folder(name) and is_hidden_folder(name.encode())


@pytest.mark.parametrize(
    "name",
    [
        "DCIM",
        "100MEDIA",
        "2026-11-30",
        "#1 Backyard",
        "@home",
        "recycle",
        "Recycling yard",
        "snapshot",
        "thumbnails",
        "",
    ],
)
def test_folders_named_by_users_are_not_system_folders(name: str) -> None:
    assert not is_system_folder(name) and not is_system_folder(name.encode())
    assert not is_hidden_folder(name) and not is_hidden_folder(name.encode())


def test_a_name_that_is_not_utf_8_is_not_a_system_folder() -> None:
    assert not is_system_folder(b"caf\xe9")
    assert not is_system_folder("caf\udce9")


def test_dot_folders_are_hidden_but_not_system_folders() -> None:
    assert is_hidden_folder(".private") and is_hidden_folder(b".private")
    assert not is_system_folder(".private")
