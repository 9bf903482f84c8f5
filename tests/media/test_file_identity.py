"""The identity of a file: equal until the file is replaced or modified, and stable as text."""

from __future__ import annotations

import os
from pathlib import Path
from unittest.mock import Mock

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nvr.media.files.identity import FileIdentity

NUMBERS = st.integers(0, 2) | st.integers(0, 2**64)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "a.jpg"
    path.write_bytes(b"first")
    return path


def identity_of(file: Path) -> FileIdentity:
    return FileIdentity.of(file.stat())


def test_an_unchanged_file_keeps_its_identity_also_under_another_name(file: Path) -> None:
    before = identity_of(file)
    file.read_bytes()

    assert identity_of(file) == before
    assert identity_of(file.rename(file.with_name("b.jpg"))) == before


def test_an_overwritten_file_has_another_identity(file: Path) -> None:
    before = file.stat()
    file.write_bytes(b"other")
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns + 1_000_000_000))

    assert file.stat().st_size == before.st_size
    assert identity_of(file) != FileIdentity.of(before)


def test_a_file_of_another_size_has_another_identity_even_with_the_same_time(file: Path) -> None:
    before = file.stat()
    file.write_bytes(b"longer than before")
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))

    assert identity_of(file) != FileIdentity.of(before)


def test_a_file_that_replaces_another_has_another_identity_even_with_the_same_size_and_time(file: Path) -> None:
    before = file.stat()
    other = file.with_name("other.jpg")
    other.write_bytes(b"other")
    os.utime(other, ns=(before.st_atime_ns, before.st_mtime_ns))
    other.replace(file)

    assert (file.stat().st_size, file.stat().st_mtime_ns) == (before.st_size, before.st_mtime_ns)
    assert identity_of(file) != FileIdentity.of(before)


@given(one=st.tuples(NUMBERS, NUMBERS, NUMBERS), other=st.tuples(NUMBERS, NUMBERS, NUMBERS))
def test_identities_and_their_texts_are_equal_if_and_only_if_all_three_values_are(
    one: tuple[int, int, int], other: tuple[int, int, int]
) -> None:
    identities = [
        FileIdentity.of(Mock(st_ino=inode, st_size=size, st_mtime_ns=mtime_ns))
        for inode, size, mtime_ns in (one, other)
    ]

    assert (identities[0] == identities[1]) is (one == other)
    assert (str(identities[0]) == str(identities[1])) is (one == other)


def test_the_text_in_etags_and_names_of_cached_files_stays_the_same() -> None:
    identity = FileIdentity(inode=0x1F2E, size_bytes=2_048, mtime_ns=1_700_000_000_123_456_789)

    assert str(identity) == f"{identity}" == "1f2e-800-17979cfe3d85cd15"
