"""Pictures: only named formats, never too large, upright, small, and whole or not."""

from __future__ import annotations

import io
import os
import random
import struct
import zlib
from pathlib import Path

import pytest
from PIL import Image, ImageCms

from nvr.errors import Invalid
from nvr.media.files.content_types import content_type_for
from nvr.media.files.paths import NoSuchFile
from nvr.media.images import color_profiles
from nvr.media.images import opening as images
from nvr.media.images.decoder import pictures
from nvr.media.images.decoder.pictures import write_resized as derivative
from nvr.media.images.letterbox import content_box, square_png
from nvr.media.images.opening import DamagedImage, ImageTooLarge, NotAnImage


def is_whole(data: bytes) -> bool:
    try:
        return pictures.check(data).has_end
    except Invalid:
        return False


def thumbnail(source: Path | bytes, size: int = 256, *, text: dict[str, str] | None = None) -> bytes:
    with images.open_image(source) as image:
        return square_png(image, size, text or {})


def picture(mode: str = "RGB", size: tuple[int, int] = (640, 480)) -> Image.Image:
    """Soft, with some noise: what compresses like a photograph."""
    small = Image.frombytes("RGB", (40, 30), random.Random(5).randbytes(3600))
    return small.resize(size, Image.Resampling.BICUBIC).convert(mode)


def saved(image: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def sixteen_bit() -> bytes:
    image = Image.new("I;16", (64, 48))
    image.putdata([value * 20 for value in range(64 * 48)])
    return saved(image, "PNG")


def animation() -> bytes:
    frames = [picture(size=(64, 48)).rotate(angle) for angle in (0, 90, 180)]
    return saved(frames[0], "GIF", save_all=True, append_images=frames[1:])


def with_preview() -> bytes:
    """A JPEG whose EXIF holds a whole preview of its own, with an end of image."""
    plain, preview = saved(picture(), "JPEG"), saved(picture(size=(160, 120)), "JPEG")
    segment = b"Exif\0\0" + preview
    return plain[:2] + b"\xff\xe1" + struct.pack(">H", len(segment) + 2) + segment + plain[2:]


WHOLE = {
    "jpeg": saved(picture(), "JPEG"),
    "progressive jpeg": saved(picture(), "JPEG", progressive=True),
    "grey jpeg": saved(picture("L"), "JPEG"),
    "cmyk jpeg": saved(picture("CMYK"), "JPEG"),
    "jpeg 4:4:4": saved(picture(), "JPEG", subsampling=0, quality=95),
    "jpeg with restarts": saved(picture(), "JPEG", restart_marker_rows=1),
    "jpeg with a preview": with_preview(),
    "png": saved(picture(), "PNG"),
    "png with alpha": saved(picture("RGBA"), "PNG"),
    "png with a palette": saved(picture("P"), "PNG"),
    "png of one bit": saved(picture("1"), "PNG"),
    "png of sixteen bits": sixteen_bit(),
    "gif": saved(picture("P"), "GIF"),
    "animated gif": animation(),
    "bmp": saved(picture(), "BMP"),
    "webp": saved(picture(), "WEBP"),
    "tiff": saved(picture(), "TIFF"),
}
TORN = ["jpeg", "progressive jpeg", "jpeg with restarts", "jpeg with a preview", "png", "gif", "animated gif"]


@pytest.mark.parametrize("name", WHOLE)
def test_a_complete_picture_is_complete(name):
    assert is_whole(WHOLE[name])


@pytest.mark.parametrize("name", ["jpeg", "png", "gif", "animated gif"])
@pytest.mark.parametrize("tail", [b"\0" * 512, b"\r\n", b"\xff\xda and what a camera's maker adds"])
def test_trailing_bytes_are_ignored(name, tail):
    assert is_whole(WHOLE[name] + tail)


@pytest.mark.parametrize("name", TORN)
def test_a_truncated_picture_is_not_complete(name):
    data = WHOLE[name]
    cuts = {*range(0, len(data), max(1, len(data) // 60)), *range(len(data) - 12, len(data))}

    assert [cut for cut in sorted(cuts) if is_whole(data[:cut])] == []


@pytest.mark.parametrize("name", TORN)
def test_a_preallocated_file_that_is_partly_written_is_not_complete(name):
    data = WHOLE[name]

    for share in (0.3, 0.6, 0.9, 0.99):
        written = int(len(data) * share)
        assert not is_whole(data[:written] + b"\0" * (len(data) - written))


@pytest.mark.parametrize("data", [b"", b"\xff\xd8\xff", b"GIF89a", b"not an image", b"\0" * 5000, b"\x89PNG\r\n\x1a\n"])
def test_a_file_that_is_not_a_picture_is_not_complete(data):
    assert not is_whole(data)


def test_random_damage_never_raises():
    chance = random.Random(7)
    for data in WHOLE.values():
        for _ in range(15):
            damaged = bytearray(data)
            for _ in range(20):
                damaged[chance.randrange(len(damaged))] = chance.randrange(256)
            assert is_whole(bytes(damaged)) in {True, False}
            try:
                thumbnail(bytes(damaged), 64)
            except (NotAnImage, DamagedImage, ImageTooLarge):
                continue


@pytest.mark.parametrize("name", WHOLE)
def test_every_format_has_a_derivative(name, tmp_path):
    made = derivative(WHOLE[name], 32, tmp_path / "made")

    with Image.open(made) as image:
        assert image.width == 32
        assert image.format == ("PNG" if made.suffix == ".png" else "JPEG")
    assert content_type_for(made.name) in {"image/jpeg", "image/png"}


@pytest.mark.parametrize(
    ("size", "width", "expected"),
    [
        ((640, 480), 320, (320, 240)),
        ((640, 480), 640, (640, 480)),
        ((640, 480), 1280, (640, 480)),
        ((480, 1920), 160, (160, 640)),
        ((1, 400), 160, (1, 400)),
        ((4000, 1), 160, (160, 1)),
        ((161, 161), 160, (160, 160)),
    ],
)
@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_a_derivative_has_the_requested_width_and_is_never_enlarged(tmp_path, kind, size, width, expected):
    made = derivative(saved(picture(size=size), kind), width, tmp_path / "made")

    assert Image.open(made).size == expected


@pytest.mark.parametrize("turn", range(1, 9))
def test_a_derivative_is_upright(tmp_path, turn):
    """Red above, blue below, as one who looks at it sees it; stored as EXIF's orientation says."""
    upright = Image.new("RGB", (200, 400), "blue")
    upright.paste("red", (0, 0, 200, 200))
    stored = upright
    for method in reversed(images.ORIENTATION_TRANSPOSES.get(turn, ())):
        undo = {
            Image.Transpose.ROTATE_90: Image.Transpose.ROTATE_270,
            Image.Transpose.ROTATE_270: Image.Transpose.ROTATE_90,
        }
        stored = stored.transpose(undo.get(method, method))
    exif = Image.Exif()
    exif[0x0112] = turn

    made = derivative(saved(stored, "JPEG", exif=exif), 100, tmp_path / "made")

    with Image.open(made) as image:
        assert image.size == (100, 200)
        assert image.getpixel((50, 30))[0] > 200
        assert image.getpixel((50, 170))[2] > 200
        assert not image.getexif()


@pytest.mark.parametrize(
    "exif", [b"Exif\0\0", b"Exif\0\0MM\0*" + b"\xff" * 40, b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01"]
)
def test_a_picture_with_broken_exif_is_upright(tmp_path, exif):
    assert Image.open(derivative(saved(picture(), "JPEG", exif=exif), 100, tmp_path / "made")).size == (100, 75)


def test_sixteen_bit_pictures_are_scaled_to_eight_bits(tmp_path):
    image = Image.new("I;16", (64, 64), 32768)

    made = Image.open(derivative(saved(image, "PNG"), 32, tmp_path / "made"))

    assert 120 <= made.getpixel((16, 16)) <= 136


def test_transparency_is_kept(tmp_path):
    made = derivative(saved(Image.new("RGBA", (400, 300), (10, 20, 30, 128)), "PNG"), 160, tmp_path / "made")

    with Image.open(made) as image:
        assert made.suffix == ".png"
        # Averaging under an alpha of a half costs a step or two of brightness.
        assert image.getpixel((80, 60)) == pytest.approx((10, 20, 30, 128), abs=2)


def test_a_derivative_is_replaced_atomically(tmp_path):
    first = derivative(WHOLE["jpeg"], 160, tmp_path / "made")
    inode = first.stat().st_ino

    second = derivative(WHOLE["jpeg"], 320, tmp_path / "made")

    assert first == second
    assert second.stat().st_ino != inode
    assert os.listdir(tmp_path) == ["made.jpg"]


@pytest.mark.parametrize("data", [b"", b"nothing", WHOLE["jpeg"][:3000], WHOLE["png"][:3000]])
def test_a_failure_leaves_no_file(tmp_path, data):
    with pytest.raises((NotAnImage, DamagedImage)):
        derivative(data, 160, tmp_path / "made")

    assert os.listdir(tmp_path) == []


def test_a_missing_file_is_not_reported_as_broken(tmp_path):
    os.mkfifo(tmp_path / "fifo.jpg")

    for name in ("missing.jpg", "fifo.jpg"):
        with pytest.raises(NoSuchFile):
            derivative(tmp_path / name, 160, tmp_path / "made")


def png_that_claims(width: int, height: int) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    rows = zlib.compress(b"\0" * 1_000_000)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


@pytest.mark.parametrize("size", [(30_000, 30_000), (2**31 - 1, 2**31 - 1), (10_001, 10_000)])
def test_a_decompression_bomb_is_rejected_before_decoding(tmp_path, size):
    bomb = png_that_claims(*size)

    for work in (lambda: thumbnail(bomb), lambda: derivative(bomb, 160, tmp_path / "made")):
        with pytest.raises((ImageTooLarge, NotAnImage)):
            work()
    assert not is_whole(bomb)


def test_the_pixel_limit_is_a_setting_and_in_the_message(settings):
    settings.NVR_MAX_IMAGE_PIXELS = 640 * 480
    assert thumbnail(WHOLE["jpeg"])

    settings.NVR_MAX_IMAGE_PIXELS = 640 * 480 - 1
    with pytest.raises(ImageTooLarge, match="NVR_MAX_IMAGE_PIXELS"):
        thumbnail(WHOLE["jpeg"])


@pytest.mark.parametrize("kind", ["EPS", "PDF", "PPM", "ICO", "TGA", "SGI"])
def test_unlisted_formats_are_not_opened(kind):
    with pytest.raises(NotAnImage):
        thumbnail(saved(picture(), kind))


def test_a_thumbnail_fits_the_square_and_contains_its_text(tmp_path):
    (tmp_path / "a.jpg").write_bytes(saved(picture(size=(4000, 3000)), "JPEG"))

    data = thumbnail(tmp_path / "a.jpg", 256, text={"Thumb::URI": "file:///a.jpg"})

    with Image.open(io.BytesIO(data)) as image:
        assert (image.format, image.size) == ("PNG", (256, 256))
        assert content_box(image) == (0, 32, 256, 224)
        assert image.text["Thumb::URI"] == "file:///a.jpg"


def test_a_large_jpeg_is_decoded_at_reduced_size(monkeypatch):
    decoded = []
    load = Image.Image.thumbnail

    def noted(image, *args, **kwargs):
        decoded.append(image.size)
        return load(image, *args, **kwargs)

    monkeypatch.setattr(Image.Image, "thumbnail", noted)

    thumbnail(saved(picture(size=(4000, 3000)), "JPEG"), 256)

    assert decoded == [(500, 375)]


def test_pictures_are_read_from_files_as_from_bytes(tmp_path: Path):
    (tmp_path / "a.png").write_bytes(WHOLE["png"])

    assert thumbnail(tmp_path / "a.png") == thumbnail(WHOLE["png"])


def swapped_profile() -> bytes:
    """sRGB with red and blue exchanged, which no eye misses, and without its name."""
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    for name, other in ((b"rXYZ", b"qXYZ"), (b"bXYZ", b"rXYZ"), (b"qXYZ", b"bXYZ")):
        place = profile.index(name, 128, 600)
        profile[place : place + 4] = other
    return bytes(profile).replace(b"sRGB", b"sXXX").replace("sRGB".encode("utf-16-be"), "sXXX".encode("utf-16-be"))


def small(data: bytes, tmp_path: Path) -> Image.Image:
    with Image.open(derivative(data, 160, tmp_path / "made")) as image:
        image.load()
        return image


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
def test_a_derivative_has_the_colours_of_the_original(tmp_path, kind, mode):
    if (kind, mode) == ("JPEG", "RGBA"):
        pytest.skip("JPEG has no alpha")
    data = saved(Image.new(mode, (640, 480), (200, 40, 20)), kind, icc_profile=swapped_profile())

    red, green, blue = small(data, tmp_path).convert("RGB").getpixel((80, 60))

    assert red < 60 < 150 < blue and green < 60


@pytest.mark.parametrize("profile", [b"", b"x", b"x" * 500, os.urandom(3000), swapped_profile()[:200], bytes(5000)])
def test_a_broken_profile_is_ignored(tmp_path, profile):
    data = saved(Image.new("RGB", (640, 480), (200, 40, 20)), "JPEG", icc_profile=profile)

    red, _, blue = small(data, tmp_path).convert("RGB").getpixel((80, 60))

    assert red > 150 and blue < 60


@pytest.mark.parametrize("mode", ["L", "CMYK", "LA"])
def test_a_profile_of_another_colour_space_is_ignored(tmp_path, mode):
    kind = "JPEG" if mode == "CMYK" else "PNG"
    image = Image.new("RGB", (640, 480), (128, 128, 128)).convert(mode)

    copy = small(saved(image, kind, icc_profile=swapped_profile()), tmp_path)

    level = copy.convert("L").getpixel((80, 60))
    assert level == pytest.approx(image.convert("L").getpixel((80, 60)), abs=3)


def test_an_srgb_profile_is_recognized_and_not_converted():
    image = Image.new("RGB", (8, 8))
    image.info["icc_profile"] = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()

    assert color_profiles.to_srgb(image) is image
