"""An unmounted volume is not an empty folder."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from nvr.media.files import mounts
from nvr.media.files.mounts import Mount, is_network_or_fuse, mount_of, parse_mount, record_mount, unavailable_reason

TABLE = """\
22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda1 rw
30 22 0:26 / /mnt rw shared:2 - tmpfs tmpfs rw
31 30 8:1 / /mnt/sd\\040card rw,noatime shared:3 master:4 - vfat /dev/sda1 rw
32 31 0:55 / /mnt/sd\\040card/cams rw - cifs //nas/cams\\134x rw,username=u
33 30 8:17 / /mnt/disk rw - ext4 /dev/sdb1 rw
34 33 8:33 / /mnt/disk rw - xfs /dev/sdc1 rw
35 22 0:60 / /mnt2 rw - fuse.sshfs me@host:/x rw
"""


@pytest.fixture
def table(tmp_path, monkeypatch) -> Path:
    file = tmp_path / "mountinfo"
    file.write_text(TABLE)
    monkeypatch.setattr(mounts, "MOUNTINFO", file)
    return file


@pytest.mark.parametrize(
    ("path", "kind", "source", "point"),
    [
        ("/var/x", "ext4", "/dev/vda1", "/"),
        ("/mnt", "tmpfs", "tmpfs", "/mnt"),
        ("/mnt/sd card/DCIM", "vfat", "/dev/sda1", "/mnt/sd card"),
        ("/mnt/sd card/cams/a", "cifs", "//nas/cams\\x", "/mnt/sd card/cams"),
        ("/mnt/sd card/cams2", "vfat", "/dev/sda1", "/mnt/sd card"),
        ("/mnt/disk/a", "xfs", "/dev/sdc1", "/mnt/disk"),
        ("/mnt2/a", "fuse.sshfs", "me@host:/x", "/mnt2"),
        ("/mnt23/a", "ext4", "/dev/vda1", "/"),
    ],
)
def test_a_folder_is_on_the_deepest_and_last_mount_above_it(table, path, kind, source, point):
    mount = mount_of(Path(path))

    assert (mount.type, mount.source, mount.point) == (kind, source, Path(point))


def test_the_device_number_is_that_of_the_kernel():
    mount = parse_mount("36 35 98:7 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue")

    assert (os.major(mount.device), os.minor(mount.device)) == (98, 7)


def test_the_mounts_of_this_machine_are_listed(tmp_path):
    proc = mount_of(Path("/proc/self"))

    assert (proc.type, proc.point) == ("proc", Path("/proc"))
    assert mount_of(tmp_path / "does" / "not" / "exist").point in [*tmp_path.resolve().parents, tmp_path.resolve()]


def test_a_mount_can_be_stored_as_json(table):
    for path in ("/mnt/sd card", "/"):
        mount = mount_of(Path(path))
        assert Mount.from_dict(json.loads(json.dumps(mount.as_dict()))) == mount


def test_a_root_on_its_parents_mount_is_unmounted(table):
    before = mount_of(Path("/mnt/sd card/DCIM"))
    table.write_text("\n".join(line for line in TABLE.splitlines() if not line.startswith(("31", "32"))))
    now = mount_of(Path("/mnt/sd card/DCIM"))

    assert now.point == Path("/mnt")
    assert before.is_unmounted(now)


@pytest.mark.parametrize(
    "change",
    [
        ("8:1 ", "8:99 "),
        ("/dev/sda1", "/dev/sdq1"),
        ("254:0", "8:5"),
    ],
)
def test_another_device_at_the_same_mount_point_is_not_unmounted(table, change):
    before = mount_of(Path("/mnt/sd card"))
    table.write_text(TABLE.replace(*change))

    assert not before.is_unmounted(mount_of(Path("/mnt/sd card")))


def test_a_later_mount_below_the_root_is_not_unmounted(table):
    before = mount_of(Path("/var/cams"))
    table.write_text(TABLE + "40 22 8:99 / /var/cams rw - ext4 /dev/sdz rw\n")

    assert not before.is_unmounted(mount_of(Path("/var/cams")))


@pytest.mark.parametrize("kind", ["nfs", "nfs4", "cifs", "smb3", "fuse", "fuse.sshfs", "fuseblk", "9p", "autofs"])
def test_network_and_fuse_types(kind):
    assert is_network_or_fuse(kind)


@pytest.mark.parametrize("kind", ["ext4", "xfs", "btrfs", "zfs", "tmpfs", "vfat", "overlay"])
def test_local_types(kind):
    assert not is_network_or_fuse(kind)


def test_an_existing_folder_is_available(tmp_path):
    assert unavailable_reason(tmp_path) == ""
    assert unavailable_reason(tmp_path, record_mount(tmp_path)) == ""


def test_each_reason_is_a_sentence(tmp_path):
    (tmp_path / "file").write_text("x")
    (tmp_path / "loop").symlink_to("loop")
    gone = Mount(1, "ext4", "/dev/sdx1", tmp_path.resolve())

    assert unavailable_reason(tmp_path / "missing").endswith("does not exist: create it or mount its disk.")
    assert unavailable_reason(tmp_path / "file").endswith("is not a folder.")
    assert "does not respond" in unavailable_reason(tmp_path / "loop")
    assert (
        unavailable_reason(tmp_path, gone)
        == f"The volume /dev/sdx1 is no longer mounted at {gone.point}: mount it again."
    )


def test_a_failing_disk_is_unavailable(tmp_path, monkeypatch):
    """EIO: what a pulled-out disk answers; there is none here to pull out."""

    def fail(_: object) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "scandir", fail)

    assert "Input/output error" in unavailable_reason(tmp_path)
