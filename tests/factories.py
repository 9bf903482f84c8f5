"""Creates cameras, users and files for tests."""

from __future__ import annotations

import io
import itertools
import os
import random
import time
from functools import cache
from pathlib import Path
from typing import Any

from django.conf import settings
from django.contrib.auth.models import Group, Permission, User
from PIL import Image

from cameras.models import Camera
from tests.films import encode_once

_numbers = itertools.count(1)
PASSWORD = "a long enough pass phrase"


def make_camera(name: str | None = None, *, groups: tuple[Group, ...] = (), **values: Any) -> Camera:
    """A camera whose folder exists below the camera root."""
    name = name or f"Camera {next(_numbers)}"
    camera = Camera(name=name, **values)
    if not camera.folder_path:
        folder = Path(settings.NVR_CAMERA_ROOT) / f"{name.lower().replace(' ', '_')}_{next(_numbers)}"
        folder.mkdir(parents=True)
        camera.folder_path = str(folder)
    camera.save()
    camera.groups.set(groups)
    return camera


def folder_of(camera: Camera) -> Path:
    return Path(camera.folder_path)


def make_user(name: str | None = None, *permissions: str, groups: tuple[Group, ...] = (), **values: Any) -> User:
    """An active user with Django permissions such as `cameras.view_all`."""
    user = User.objects.create_user(name or f"user{next(_numbers)}", password=PASSWORD, **values)
    if permissions:
        named = Permission.objects.filter(codename__in=[name.partition(".")[2] for name in permissions])
        known = {f"{one.content_type.app_label}.{one.codename}": one for one in named.select_related("content_type")}
        user.user_permissions.add(*(known[name] for name in permissions))
    user.groups.set(groups)
    return User.objects.get(pk=user.pk)  # without the permission cache


@cache
def jpeg(width: int = 64, height: int = 48, seed: int = 0) -> bytes:
    """A small photograph-like JPEG: noise, so that no two seeds look alike."""
    noise = random.Random(seed).randbytes(width * height * 3)
    buffer = io.BytesIO()
    Image.frombytes("RGB", (width, height), noise).save(buffer, "JPEG", quality=85)
    return buffer.getvalue()


def put(folder: Path, name: str, data: bytes, *, age_s: float = 10.0) -> Path:
    """Write a file that was last changed `age_s` seconds ago."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    timestamp = time.time() - age_s
    os.utime(path, (timestamp, timestamp))
    return path


def make_video(
    path: Path, *, seconds: float = 2, size: str = "160x120", codec: tuple[str, ...] = ("-c:v", "libx264")
) -> Path:
    """A moving test picture; `codec` are ffmpeg's options."""
    path.parent.mkdir(parents=True, exist_ok=True)
    source = f"testsrc2=size={size}:rate=10:duration={seconds}"
    path.write_bytes(encode_once(path.suffix, "-f", "lavfi", "-i", source, "-pix_fmt", "yuv420p", *codec))
    return path


SYSTEM_FILES = (
    "@eaDir/front.jpg/SYNOPHOTO_THUMB_XL.jpg",
    "#recycle/old.jpg",
    "$RECYCLE.BIN/S-1-5-21-1/$R0ABCD.jpg",
    "@Recycle/gone.jpg",
    "#snapshot/GMT-2026/front.jpg",
    "lost+found/x.jpg",
    "System Volume Information/y.jpg",
    "LOST.DIR/z.mp4",
    ".Trash-1000/files/t.jpg",
    ".@__thumb/default/front.jpg",
)


def put_system_files(folder: Path) -> list[Path]:
    """Add files that a NAS, Windows or Linux creates in a share; they are the newest files in it."""
    return [put(folder, name, jpeg(96, 54), age_s=1) for name in SYSTEM_FILES]
