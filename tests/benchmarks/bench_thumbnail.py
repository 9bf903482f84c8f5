"""A 12 MP photograph to a PNG of 256 px, against Pillow as most write it: convert, then thumbnail, then save."""

from __future__ import annotations

import io
import math
import time
from collections.abc import Callable
from pathlib import Path

from PIL import Image, ImageChops, ImageFilter, ImageStat

from nvr.media.images.letterbox import content_box, square_png
from nvr.media.images.opening import open_image
from tests.servers import report

SIZE = 256


def photograph(path: Path) -> Path:
    """Soft areas with structure at several scales and a sensor's grain, as a camera at dusk gives."""
    size = (4000, 3000)
    layers = [
        Image.effect_noise((size[0] // scale, size[1] // scale), 80).resize(size, Image.Resampling.BICUBIC)
        for scale in (256, 64, 16)
    ]
    soft = ImageChops.blend(ImageChops.blend(layers[0], layers[1], 0.4), layers[2], 0.25)
    grain = Image.effect_noise(size, 12).filter(ImageFilter.GaussianBlur(1))
    light = ImageChops.add(soft, grain, 1, -128)
    Image.merge("RGB", (light, soft, ImageChops.blend(soft, layers[0], 0.5))).save(path, quality=90)
    return path


def naive(path: Path) -> bytes:
    image = Image.open(path).convert("RGB")
    image.thumbnail((SIZE, SIZE))
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def ours(path: Path) -> bytes:
    with open_image(path) as image:
        return square_png(image, SIZE, {})


def median_ms(work: Callable[[], object], rounds: int = 7) -> float:
    times = []
    for _ in range(rounds):
        started = time.perf_counter()
        work()
        times.append(1000 * (time.perf_counter() - started))
    return sorted(times)[rounds // 2]


def psnr_db(plain: bytes, square: bytes) -> float:
    picture = Image.open(io.BytesIO(square))
    difference = ImageChops.difference(Image.open(io.BytesIO(plain)), picture.crop(content_box(picture)))
    mean_square = sum(value**2 for value in ImageStat.Stat(difference).rms) / 3
    return 10 * math.log10(255**2 / mean_square) if mean_square else math.inf


def test_thumbnail_of_12_megapixels(tmp_path: Path) -> None:
    path = photograph(tmp_path / "photograph.jpg")
    theirs_ms, ours_ms = median_ms(lambda: naive(path)), median_ms(lambda: ours(path))
    report("thumbnail of 12 MP (speed)", 1000 / ours_ms, 1000 / theirs_ms, "naive Pillow", 4)
    print(f"  {ours_ms:.1f} ms against {theirs_ms:.1f} ms; {psnr_db(naive(path), ours(path)):.1f} dB, goal 52 dB")
