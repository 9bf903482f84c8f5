"""Thumbnails of what is reviewed: a photograph, a video at 2 s, made and kept; and one that is there, served."""

from __future__ import annotations

import io
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

import pytest
from django.contrib.auth.models import User
from PIL import Image

from nvr.accounts.models import ApiKey
from reviewer.models import ReviewPath
from reviewer.thumbnails.rendering import Source, get_thumbnail
from tests.benchmarks.bench_thumbnail import naive, photograph
from tests.factories import jpeg, put
from tests.servers import our_server, report, wrk

ROUNDS = 7


def in_turns_ms(ours: Callable[[], object], plain: Callable[[], object]) -> tuple[float, float]:
    figures: tuple[list[float], list[float]] = ([], [])
    for _ in range(ROUNDS):
        for work, times in zip((ours, plain), figures, strict=True):
            started = time.perf_counter()
            work()
            times.append(1000 * (time.perf_counter() - started))
    mine, peer = (sorted(times)[ROUNDS // 2] for times in figures)
    return mine, peer


def made_anew(file: Path) -> None:
    """With all that goes with it: the lock, the folder, the file that is kept."""
    facts = file.stat()
    made = get_thumbnail(Source(file, file.parent, facts.st_mtime_ns, facts.st_size), 256)
    assert made.path is not None
    made.path.unlink()


def test_a_photograph_of_12_megapixels(tmp_path: Path) -> None:
    file = photograph(tmp_path.resolve() / "photograph.jpg")

    ours, plain = in_turns_ms(lambda: made_anew(file), lambda: (tmp_path / "plain.png").write_bytes(naive(file)))

    report("thumbnail of 12 MP, made and kept (speed)", 1000 / ours, 1000 / plain, "naive Pillow", 4)
    print(f"  {ours:.1f} ms against {plain:.1f} ms")


def film(path: Path) -> Path:
    source = "testsrc2=size=1920x1080:rate=30:duration=6"
    noisy = ["-vf", "noise=alls=12:allf=t", "-c:v", "libx264", "-preset", "veryfast", "-g", "60", "-pix_fmt", "yuv420p"]
    subprocess.run(["ffmpeg", "-v", "error", "-f", "lavfi", "-i", source, *noisy, str(path)], check=True, timeout=300)
    return path


def naive_frame(path: Path) -> bytes:
    """As many write it: all is decoded up to the place."""
    command = [
        "ffmpeg",
        "-v",
        "error",
        "-i",
        str(path),
        "-ss",
        "2",
        "-frames:v",
        "1",
        "-f",
        "image2pipe",
        "-c:v",
        "png",
        "-",
    ]
    picture = subprocess.run(command, check=True, capture_output=True, timeout=60).stdout
    return naive(io.BytesIO(picture))  # type: ignore[arg-type]  # Pillow opens either


def test_a_frame_of_1080p_at_two_seconds(tmp_path: Path) -> None:
    file = film(tmp_path.resolve() / "film.mp4")

    ours, plain = in_turns_ms(lambda: made_anew(file), lambda: naive_frame(file))

    report("thumbnail of a video's frame, made and kept (speed)", 1000 / ours, 1000 / plain, "-ss after -i", 2.4)
    print(f"  {ours:.1f} ms against {plain:.1f} ms")


@pytest.mark.django_db(transaction=True)
def test_one_that_is_there(tmp_path: Path) -> None:
    file = put(tmp_path.resolve() / "card", "a.jpg", jpeg(640, 480))
    ReviewPath.objects.create(path=str(file.parent))
    user = User.objects.create_superuser("bench")
    key = {"X-API-Key": ApiKey.objects.issue(user=user, name="bench")[1]}
    facts = file.stat()
    made = get_thumbnail(Source(file, file.parent, facts.st_mtime_ns, facts.st_size), 256)
    assert made.path is not None
    assert Image.open(made.path).size == (256, 256)
    tag = f'"{facts.st_mtime_ns:x}-{facts.st_size:x}-256"'
    with our_server() as ours:
        url = f"{ours}/api/media-thumbnail?path={quote(str(file), safe='')}"
        served = sorted(wrk(url, headers=key) for _ in range(3))[1]
        known = sorted(wrk(url, headers=key | {"If-None-Match": tag}, connections=1) for _ in range(3))[1]
    print(f"\nthumbnail that is there: {served:,.0f}/s to four clients, goal 1500")
    print(f"  304: {1000 / known:.2f} ms each to one client, goal 1 ms")
