"""`motion`: what counts as motion, in pictures of every format, and the detector's memory."""

from __future__ import annotations

import io
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from functools import cache

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFilter

from media_serving.detectors import DetectedObject, DetectorConfig, Frame, UnknownDetector, config_for, detector_for
from nvr.media.images import opening as images
from nvr.media.images.grayscale import scaled_size

AT = datetime(2026, 1, 1, tzinfo=UTC)
SIZE = (768, 576)
CONFIG = DetectorConfig(detector="motion")
FIGURE = (300, 200, 30, 90)  # x, y, width, height of a person


@cache
def yard(size: tuple[int, int]) -> Image.Image:
    coarse = np.random.default_rng(7).integers(90, 180, (24, 32, 3), np.uint8)
    return Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC)


def scene(figure: tuple[int, int, int, int] | None = None, *, size: tuple[int, int] = SIZE) -> Image.Image:
    """A textured yard; with a person in a dark coat and blue trousers at `figure`."""
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


class Session:
    """Create a new detector for every picture: only the returned memory is carried over."""

    def __init__(self, config: DetectorConfig = CONFIG) -> None:
        self.config = config
        self.memory = b""
        self.at = AT

    def detect(self, picture: Image.Image | bytes, *, after_s: float = 1) -> list[DetectedObject]:
        self.at += timedelta(seconds=after_s)
        data = picture if isinstance(picture, bytes) else encoded(picture)
        with images.open_image(data) as image:
            result = detector_for(self.config).detect(Frame(image, self.at), self.memory)
        self.memory = result.memory
        return result.objects


@pytest.fixture
def session() -> Session:
    """A camera with a background of its empty yard."""
    session = Session()
    session.memory, session.at = after_ten_pictures()
    return session


@cache
def after_ten_pictures() -> tuple[bytes, datetime]:
    session = Session()
    for _ in range(10):
        session.detect(scene())
    return session.memory, session.at


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
def test_a_person_who_walks_into_the_picture_is_detected_there(kind):
    session = Session()
    assert session.detect(KINDS[kind](scene())) == []
    assert session.detect(KINDS[kind](scene())) == []

    (found,) = session.detect(KINDS[kind](scene(FIGURE)))

    assert found.object_class == "motion"
    assert 0.5 < found.confidence < 1
    for side, expected in zip(found.box, FIGURE, strict=True):
        assert side == pytest.approx(expected, abs=20)


def test_two_people_apart_are_two_detections(session):
    picture = scene(FIGURE)
    picture.paste(scene((600, 250, 30, 90)).crop((560, 200, 700, 400)), (560, 200))

    first, second = session.detect(picture)

    assert sorted(round(found.box[0], -2) for found in (first, second)) == [300, 600]


def test_boxes_are_in_pixels_of_the_upright_frame(session):
    exif = Image.Exif()
    exif[0x0112] = 6  # rotate by 90° clockwise
    upright, session = (576, 768), Session()
    figure = (100, 500, 30, 90)

    def turned(picture: Image.Image) -> bytes:
        return encoded(picture.transpose(Image.Transpose.ROTATE_90), exif=exif)

    session.detect(turned(scene(size=upright)))
    (found,) = session.detect(turned(scene(figure, size=upright)))

    for side, expected in zip(found.box, figure, strict=True):
        assert side == pytest.approx(expected, abs=20)


def with_brightness(factor: float) -> Image.Image:
    return scene().point(lambda level: min(255, level * factor))


def infrared() -> Image.Image:
    red, _, _ = scene().split()
    return red.point(lambda level: 255 * (level / 255) ** 0.5)


@pytest.mark.parametrize(
    "picture",
    [with_brightness(1.4), with_brightness(0.6), with_brightness(0.2), infrared(), Image.new("RGB", SIZE)],
    ids=["bright", "dim", "dark", "infrared", "off"],
)
def test_a_light_change_of_the_whole_picture_is_not_motion(session, picture):
    assert session.detect(picture) == []
    assert session.detect(picture) == []


def test_a_person_who_appears_with_a_light_change_is_detected_after_it(session):
    session.detect(with_brightness(1.4))

    assert session.detect(scene(FIGURE).point(lambda level: min(255, level * 1.4))) != []


def test_dusk_is_not_motion(session):
    assert [found for step in range(60) for found in session.detect(with_brightness(1 - step / 80), after_s=20)] == []


def with_shadow(left: int, *, strength: float = 0.6, soft_px: int = 6) -> Image.Image:
    mask = Image.new("L", SIZE)
    ImageDraw.Draw(mask).polygon([(left, 250), (left + 180, 230), (left + 220, 400), (left + 20, 420)], fill=255)
    dark = scene().point(lambda level: level * strength)
    return Image.composite(dark, scene(), mask.filter(ImageFilter.GaussianBlur(soft_px)))


@pytest.mark.parametrize("strength", [0.5, 0.6, 0.8, 1.3])
def test_a_moving_shadow_or_patch_of_sun_is_not_motion(session, strength):
    pictures = [with_shadow(100 + 40 * step, strength=strength) for step in range(8)]

    assert [found for picture in pictures for found in session.detect(picture)] == []


def test_noise_is_not_motion(session):
    random = np.random.default_rng(3)
    for _ in range(10):
        noisy = np.asarray(scene(), np.float32) + random.normal(0, 25, (*SIZE[::-1], 1))
        assert session.detect(Image.fromarray(np.clip(noisy, 0, 255).astype(np.uint8))) == []


def test_the_same_picture_twice_is_not_motion_and_has_the_same_result():
    session = Session()
    session.detect(scene(FIGURE))
    assert session.detect(scene(FIGURE), after_s=0) == []

    frame = encoded(scene())
    with images.open_image(frame) as one, images.open_image(frame) as again:
        first = detector_for(CONFIG).detect(Frame(one, AT), session.memory)
        assert detector_for(CONFIG).detect(Frame(again, AT), session.memory) == first


def test_a_restart_does_not_change_the_result():
    def walk(step: int) -> Image.Image:
        return scene((100 + 20 * step, 200, 30, 90) if step % 3 else None)

    restarted, single_detector, at, memory = Session(), detector_for(CONFIG), AT, b""
    for step in range(20):
        at += timedelta(seconds=1)
        with images.open_image(encoded(walk(step))) as image:
            result = single_detector.detect(Frame(image, at), memory)
        memory = result.memory
        assert (restarted.detect(walk(step)), restarted.memory) == (result.objects, memory)


def test_a_person_who_stands_still_is_detected_for_a_while_but_not_forever(session):
    assert all(session.detect(scene(FIGURE)) for _ in range(20))

    for _ in range(300):
        found = session.detect(scene(FIGURE))
    assert found == []


def test_the_picture_rate_does_not_affect_how_soon_a_person_becomes_background(session):
    assert all(session.detect(scene(FIGURE), after_s=0.05) for _ in range(200))


def test_a_person_who_appears_after_a_long_pause_does_not_become_background_at_once(session):
    assert session.detect(scene(FIGURE), after_s=86_400)
    assert session.detect(scene(FIGURE), after_s=1)


def test_the_first_picture_of_a_burst_is_compared_with_those_before_the_pause(session):
    (found,) = session.detect(scene(FIGURE), after_s=7200)

    for side, expected in zip(found.box, FIGURE, strict=True):
        assert side == pytest.approx(expected, abs=20)


def test_after_a_pause_with_a_light_change_the_camera_trigger_counts_as_motion(session):
    (found,) = session.detect(infrared(), after_s=7200)

    assert (found.object_class, found.confidence, found.box) == ("motion", 0.5, (0, 0, *SIZE))
    assert session.detect(infrared(), after_s=1) == []
    assert session.detect(scene(), after_s=30) == []  # no pause: a lamp was switched on


def test_a_camera_that_uploads_on_schedule_does_not_trigger_on_a_light_change():
    """A picture every five minutes, within some seconds, by day and by night."""
    session = Session()
    day = (
        [with_brightness(1 - abs(step - 20) / 30) for step in range(40)]
        + [infrared()] * 20
        + [with_brightness(0.4)] * 10
    )

    seen = [session.detect(picture, after_s=300 + step % 7) for step, picture in enumerate(day)]

    assert [found for pictures in seen for found in pictures] == []


def test_a_camera_that_alternates_between_views_on_schedule_does_not_trigger_each_time():
    session, other_view = Session(), scene().transpose(Image.Transpose.FLIP_TOP_BOTTOM).point(lambda level: 255 - level)

    seen = [session.detect((scene(), other_view)[step % 2], after_s=300) for step in range(50)]

    assert sum(map(len, seen)) <= 2


def test_in_a_video_the_next_frame_shows_the_motion(session):
    data = encoded(infrared())
    with images.open_image(data) as image:
        frame = Frame(image, session.at + timedelta(hours=2), offset_ms=0)
        assert detector_for(CONFIG).detect(frame, session.memory).objects == []


def test_pictures_out_of_order_are_not_an_error(session):
    assert session.detect(scene(FIGURE), after_s=-3600)
    assert session.detect(scene(), after_s=-86_400) == []


def test_memory_stays_small(session):
    sizes = set()
    for step in range(100):
        session.detect(scene((7 * step, 200, 30, 90)))
        sizes.add(len(session.memory))
    assert max(sizes) < 10_000


def test_damaged_or_unknown_memory_is_ignored(session):
    kept = session.memory
    other_size = scene(size=(640, 360))
    for memory in (b"x", b"\xff" + kept[1:], kept[:-20], kept[:14] + b"junk", kept[:40] + b"\0" * 20):
        session.memory = memory
        assert session.detect(scene(FIGURE)) == []
    session.memory = kept
    assert session.detect(other_size) == []


def test_sensitivity_sets_how_much_has_to_move(session):
    small = scene((300, 200, 14, 40))
    memory = session.memory

    def detects(sensitivity: float) -> bool:
        other = Session(DetectorConfig(detector="motion", sensitivity=sensitivity))
        other.memory, other.at = memory, session.at
        return bool(other.detect(small))

    assert [detects(0), detects(0.5), detects(0.95)] == [False, False, True]


def test_only_objects_that_match_the_settings_are_returned(session):
    memory = session.memory
    assert session.detect(scene(FIGURE)) != []
    session.memory = memory
    for refusing in (
        DetectorConfig(detector="motion", classes=["person"]),
        DetectorConfig(detector="motion", confidence=0.99),
    ):
        session.config, session.memory = refusing, memory
        assert session.detect(scene(FIGURE)) == []


def test_a_truncated_picture_raises_an_error(session):
    whole = encoded(scene(FIGURE))

    with pytest.raises(images.DamagedImage):
        session.detect(whole[: len(whole) // 2])


def test_the_null_detector_detects_and_decodes_nothing():
    torn = encoded(scene(FIGURE))[:2000]
    with images.open_image(torn) as image:
        result = detector_for(DetectorConfig(detector="none")).detect(Frame(image, AT), b"kept")

    assert (result.objects, result.memory, result.width, result.height) == ([], b"kept", *SIZE)


def test_an_unknown_detector_is_named_in_the_error():
    with pytest.raises(UnknownDetector, match="cats"):
        detector_for(DetectorConfig(detector="cats"))


def test_a_cameras_columns_become_its_detector_config():
    class Camera:
        detector = "people"
        motion_sensitivity = 0.7
        detection_confidence = 0.4
        detection_classes = ["person"]
        detection_width = 640
        detect_every_frame = True

    assert config_for(Camera()) == DetectorConfig("people", 0.7, 0.4, frozenset(["person"]), 640, True)


def test_opencv_is_not_loaded_before_the_first_detection():
    script = (
        "import sys, django; django.setup(); import nvr.urls, media_serving.detectors.vision.sampling as s;"
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
def test_pictures_of_any_shape_are_scaled_down(size, expected):
    assert scaled_size(size, 768) == expected
