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
def test_a_system_folder_is_known_by_its_name_in_text_and_in_bytes(name: str) -> None:
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
def test_a_folder_that_a_person_named_is_none(name: str) -> None:
    assert not is_system_folder(name) and not is_system_folder(name.encode())
    assert not is_hidden_folder(name) and not is_hidden_folder(name.encode())


def test_a_name_that_is_no_utf8_is_none() -> None:
    assert not is_system_folder(b"caf\xe9")
    assert not is_system_folder("caf\udce9")


def test_what_begins_with_a_dot_is_hidden_without_being_a_systems() -> None:
    assert is_hidden_folder(".private") and is_hidden_folder(b".private")
    assert not is_system_folder(".private")
