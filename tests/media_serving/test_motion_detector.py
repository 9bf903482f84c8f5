"""`motion`: what is motion and what is not, in pictures of every kind, and what it remembers."""

from __future__ import annotations

import io
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from functools import cache

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFilter

from media_serving.detectors import DetectedObject, DetectorConfig, Frame, UnknownDetector, detector_for, wanted_of
from nvr.media.images import opening as images
from nvr.media.images.grayscale import scaled

AT = datetime(2026, 1, 1, tzinfo=UTC)
SIZE = (768, 576)
WANTED = DetectorConfig(detector="motion")
FIGURE = (300, 200, 30, 90)  # x, y, width, height of a person


@cache
def yard(size: tuple[int, int]) -> Image.Image:
    coarse = np.random.default_rng(7).integers(90, 180, (24, 32, 3), np.uint8)
    return Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC)


def scene(figure: tuple[int, int, int, int] | None = None, *, size: tuple[int, int] = SIZE) -> Image.Image:
    """A textured yard; with a person in dark coat and blue trousers where `figure` says."""
    picture = yard(size).copy()
    if figure is not None:
        x, y, width, height = figure
        draw = ImageDraw.Draw(picture)
        draw.ellipse((x + width / 4, y, x + width * 3 / 4, y + height / 6), fill=(225, 190, 170))
        draw.rectangle((x, y + height / 6, x + width, y + height / 2), fill=(25, 20, 20))
        draw.rectangle((x + 4, y + height / 2, x + width - 4, y + height), fill=(30, 40, 110))
    return picture


def encoded(picture: Image.Image, kind: str = "JPEG", **options) -> bytes:
    file = io.BytesIO()
    picture.save(file, kind, **({"quality": 85} if kind == "JPEG" else {}) | options)
    return file.getvalue()


class Watch:
    """A detector that is made anew for every picture: all it knows is the memory that it gave back."""

    def __init__(self, wanted: DetectorConfig = WANTED) -> None:
        self.wanted = wanted
        self.memory = b""
        self.at = AT

    def see(self, picture: Image.Image | bytes, *, after_s: float = 1) -> list[DetectedObject]:
        self.at += timedelta(seconds=after_s)
        data = picture if isinstance(picture, bytes) else encoded(picture)
        with images.opened(data) as image:
            result = detector_for(self.wanted).detect(Frame(image, self.at), self.memory)
        self.memory = result.memory
        return result.found


@pytest.fixture
def watch() -> Watch:
    """A camera that has seen its empty yard for a while."""
    watch = Watch()
    watch.memory, watch.at = of_ten_pictures()
    return watch


@cache
def of_ten_pictures() -> tuple[bytes, datetime]:
    watch = Watch()
    for _ in range(10):
        watch.see(scene())
    return watch.memory, watch.at


def sixteen_bit(picture: Image.Image) -> bytes:
    levels = np.asarray(picture.convert("L"), dtype=np.uint16) * 256
    return encoded(Image.fromarray(levels), "PNG")


KINDS = {
    "jpeg": encoded,
    "progressive": lambda picture: encoded(picture, progressive=True),
    "cmyk": lambda picture: encoded(picture.convert("CMYK")),
    "grey": lambda picture: encoded(picture.convert("L")),
    "png": lambda picture: encoded(picture, "PNG"),
    "palette": lambda picture: encoded(picture.quantize(256), "PNG"),
    "transparent": lambda picture: encoded(picture.convert("RGBA"), "PNG"),
    "sixteen_bit": sixteen_bit,
}


@pytest.mark.parametrize("kind", KINDS)
def test_who_walks_into_the_picture_is_found_where_he_is(kind):
    watch = Watch()
    assert watch.see(KINDS[kind](scene())) == []
    assert watch.see(KINDS[kind](scene())) == []

    (found,) = watch.see(KINDS[kind](scene(FIGURE)))

    assert found.object_class == "motion"
    assert 0.5 < found.confidence < 1
    for side, expected in zip(found.box, FIGURE, strict=True):
        assert side == pytest.approx(expected, abs=20)


def test_two_people_apart_are_two_detections(watch):
    picture = scene(FIGURE)
    picture.paste(scene((600, 250, 30, 90)).crop((560, 200, 700, 400)), (560, 200))

    first, second = watch.see(picture)

    assert sorted(round(found.box[0], -2) for found in (first, second)) == [300, 600]


def test_boxes_are_in_pixels_of_the_upright_frame(watch):
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned clockwise by a quarter
    upright, watch = (576, 768), Watch()
    figure = (100, 500, 30, 90)

    def turned(picture: Image.Image) -> bytes:
        return encoded(picture.transpose(Image.Transpose.ROTATE_90), exif=exif)

    watch.see(turned(scene(size=upright)))
    (found,) = watch.see(turned(scene(figure, size=upright)))

    for side, expected in zip(found.box, figure, strict=True):
        assert side == pytest.approx(expected, abs=20)


def lit(factor: float) -> Image.Image:
    return scene().point(lambda level: min(255, level * factor))


def infrared() -> Image.Image:
    red, _, _ = scene().split()
    return red.point(lambda level: 255 * (level / 255) ** 0.5)


@pytest.mark.parametrize(
    "picture",
    [lit(1.4), lit(0.6), lit(0.2), infrared(), Image.new("RGB", SIZE)],
    ids=["bright", "dim", "dark", "infrared", "off"],
)
def test_light_that_changes_everywhere_is_no_motion(watch, picture):
    assert watch.see(picture) == []
    assert watch.see(picture) == []


def test_who_comes_with_the_change_of_light_is_found_as_soon_as_it_is_over(watch):
    watch.see(lit(1.4))

    assert watch.see(scene(FIGURE).point(lambda level: min(255, level * 1.4))) != []


def test_dusk_is_no_motion(watch):
    assert [found for step in range(60) for found in watch.see(lit(1 - step / 80), after_s=20)] == []


def shaded(left: int, *, strength: float = 0.6, soft_px: int = 6) -> Image.Image:
    mask = Image.new("L", SIZE)
    ImageDraw.Draw(mask).polygon([(left, 250), (left + 180, 230), (left + 220, 400), (left + 20, 420)], fill=255)
    dark = scene().point(lambda level: level * strength)
    return Image.composite(dark, scene(), mask.filter(ImageFilter.GaussianBlur(soft_px)))


@pytest.mark.parametrize("strength", [0.5, 0.6, 0.8, 1.3])
def test_a_shadow_or_a_patch_of_sun_that_moves_is_no_motion(watch, strength):
    pictures = [shaded(100 + 40 * step, strength=strength) for step in range(8)]

    assert [found for picture in pictures for found in watch.see(picture)] == []


def test_noise_is_no_motion(watch):
    random = np.random.default_rng(3)
    for _ in range(10):
        noisy = np.asarray(scene(), np.float32) + random.normal(0, 25, (*SIZE[::-1], 1))
        assert watch.see(Image.fromarray(np.clip(noisy, 0, 255).astype(np.uint8))) == []


def test_the_same_picture_twice_is_no_motion_and_the_same_sight():
    watch = Watch()
    watch.see(scene(FIGURE))
    assert watch.see(scene(FIGURE), after_s=0) == []

    frame = encoded(scene())
    with images.opened(frame) as one, images.opened(frame) as again:
        first = detector_for(WANTED).detect(Frame(one, AT), watch.memory)
        assert detector_for(WANTED).detect(Frame(again, AT), watch.memory) == first


def test_after_a_restart_everything_is_as_without_it():
    def walk(step: int) -> Image.Image:
        return scene((100 + 20 * step, 200, 30, 90) if step % 3 else None)

    anew, same, at, memory = Watch(), detector_for(WANTED), AT, b""
    for step in range(20):
        at += timedelta(seconds=1)
        with images.opened(encoded(walk(step))) as image:
            result = same.detect(Frame(image, at), memory)
        memory = result.memory
        assert (anew.see(walk(step)), anew.memory) == (result.found, memory)


def test_who_stands_still_is_seen_for_a_while_and_not_for_ever(watch):
    assert all(watch.see(scene(FIGURE)) for _ in range(20))

    for _ in range(300):
        found = watch.see(scene(FIGURE))
    assert found == []


def test_how_soon_somebody_is_background_does_not_hang_on_the_rate_of_pictures(watch):
    assert all(watch.see(scene(FIGURE), after_s=0.05) for _ in range(200))


def test_who_stands_there_after_a_long_pause_is_not_background_at_once(watch):
    assert watch.see(scene(FIGURE), after_s=86_400)
    assert watch.see(scene(FIGURE), after_s=1)


def test_the_first_picture_of_a_burst_is_compared_with_those_before_the_pause(watch):
    (found,) = watch.see(scene(FIGURE), after_s=7200)

    for side, expected in zip(found.box, FIGURE, strict=True):
        assert side == pytest.approx(expected, abs=20)


def test_where_the_light_is_another_after_a_pause_the_camera_is_believed_that_something_moved(watch):
    (found,) = watch.see(infrared(), after_s=7200)

    assert (found.object_class, found.confidence, found.box) == ("motion", 0.5, (0, 0, *SIZE))
    assert watch.see(infrared(), after_s=1) == []
    assert watch.see(scene(), after_s=30) == []  # no pause: a lamp was switched on


def test_a_camera_that_sends_by_the_clock_is_not_believed_in_another_light():
    """Every five minutes, give or take some seconds, by day and by night."""
    watch = Watch()
    day = [lit(1 - abs(step - 20) / 30) for step in range(40)] + [infrared()] * 20 + [lit(0.4)] * 10

    seen = [watch.see(picture, after_s=300 + step % 7) for step, picture in enumerate(day)]

    assert [found for pictures in seen for found in pictures] == []


def test_a_camera_that_looks_elsewhere_each_time_by_the_clock_is_no_flood():
    watch, elsewhere = Watch(), scene().transpose(Image.Transpose.FLIP_TOP_BOTTOM).point(lambda level: 255 - level)

    seen = [watch.see((scene(), elsewhere)[step % 2], after_s=300) for step in range(50)]

    assert sum(map(len, seen)) <= 2


def test_in_a_video_the_next_frame_tells_what_moves(watch):
    data = encoded(infrared())
    with images.opened(data) as image:
        frame = Frame(image, watch.at + timedelta(hours=2), offset_ms=0)
        assert detector_for(WANTED).detect(frame, watch.memory).found == []


def test_pictures_out_of_order_are_no_error(watch):
    assert watch.see(scene(FIGURE), after_s=-3600)
    assert watch.see(scene(), after_s=-86_400) == []


def test_memory_stays_small(watch):
    sizes = set()
    for step in range(100):
        watch.see(scene((7 * step, 200, 30, 90)))
        sizes.add(len(watch.memory))
    assert max(sizes) < 10_000


def test_memory_of_another_kind_is_begun_anew(watch):
    kept = watch.memory
    other_size = scene(size=(640, 360))
    for memory in (b"x", b"\xff" + kept[1:], kept[:-20], kept[:14] + b"junk", kept[:40] + b"\0" * 20):
        watch.memory = memory
        assert watch.see(scene(FIGURE)) == []
    watch.memory = kept
    assert watch.see(other_size) == []


def test_sensitivity_says_how_much_has_to_move(watch):
    small = scene((300, 200, 14, 40))
    memory = watch.memory

    def sees(sensitivity: float) -> bool:
        other = Watch(DetectorConfig(detector="motion", sensitivity=sensitivity))
        other.memory, other.at = memory, watch.at
        return bool(other.see(small))

    assert [sees(0), sees(0.5), sees(0.95)] == [False, False, True]


def test_only_what_the_camera_keeps_is_found(watch):
    for refusing in (
        DetectorConfig(detector="motion", classes=["person"]),
        DetectorConfig(detector="motion", confidence=0.99),
    ):
        watch.wanted = refusing
        assert watch.see(scene(FIGURE)) == []


def test_a_picture_that_is_cut_off_is_named_so(watch):
    whole = encoded(scene(FIGURE))

    with pytest.raises(images.TornImage):
        watch.see(whole[: len(whole) // 2])


def test_none_finds_nothing_and_decodes_nothing():
    torn = encoded(scene(FIGURE))[:2000]
    with images.opened(torn) as image:
        result = detector_for(DetectorConfig(detector="none")).detect(Frame(image, AT), b"kept")

    assert (result.found, result.memory, result.width, result.height) == ([], b"kept", *SIZE)


def test_a_detector_that_does_not_exist_is_named():
    with pytest.raises(UnknownDetector, match="cats"):
        detector_for(DetectorConfig(detector="cats"))


def test_a_cameras_columns_say_how_it_is_looked_at():
    class Camera:
        detector = "people"
        motion_sensitivity = 0.7
        detection_confidence = 0.4
        detection_classes = ["person"]
        detection_width = 640
        detect_every_frame = True

    assert wanted_of(Camera()) == DetectorConfig("people", 0.7, 0.4, frozenset(["person"]), 640, True)


def test_opencv_is_not_loaded_before_somebody_detects():
    script = (
        "import sys, django; django.setup(); import nvr.urls, media_serving.detectors.sampling as s;"
        "from media_serving.detectors import DetectorConfig, detector_for;"
        "detector_for(DetectorConfig(detector='none'));"
        "print(sorted({'cv2', 'numpy'} & set(sys.modules)))"
    )
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60)
    assert run.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("size", "expected"),
    [((768, 576), (768, 576)), ((1536, 1152), (768, 576)), ((1000, 60_000), (51, 3072)), ((1, 9), (1, 9))],
)
def test_a_picture_of_whatever_shape_is_made_small(size, expected):
    assert scaled(size, 768) == expected
