"""What a picture says itself of its time: every tag, zone and spelling that cameras and phones were seen with."""

from __future__ import annotations

import io
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from PIL import Image, PngImagePlugin, TiffImagePlugin

from media_serving.ingest.capture_time import CaptureTime, FileFacts, capture_time
from media_serving.ingest.content import inspect

ORIGINAL, DIGITIZED, CHANGED, PREVIEW = 0x9003, 0x9004, 0x0132, 0xC71B
OFFSET, OFFSET_ORIGINAL, OFFSET_DIGITIZED, ZONE_OFFSET = 0x9010, 0x9011, 0x9012, 0x882A
FRACTION_ORIGINAL = 0x9291
BERLIN = ZoneInfo("Europe/Berlin")
RECEIVED = datetime(2026, 11, 30, 9, 0, tzinfo=UTC)

Tags = Mapping[int, Any]


def exif(ifd: Tags | None = None, base: Tags | None = None, gps: Tags | None = None) -> bytes:
    tags = Image.Exif()
    tags.update(base or {})
    for place, values in ((0x8769, ifd), (0x8825, gps)):
        tags.get_ifd(place).update(values or {})
    return tags.tobytes()


def picture(kind: str = "JPEG", **options: Any) -> io.BytesIO:
    file = io.BytesIO()
    Image.effect_noise((64, 48), 50).convert("RGB").save(file, kind, **options)
    return file


def taken(file: io.BytesIO, tmp_path: Any) -> CaptureTime:
    path = tmp_path / "picture"
    path.write_bytes(file.getvalue())
    with path.open("rb") as opened:
        said = inspect(opened, is_picture=True).readings
    return capture_time(FileFacts("a.jpg", RECEIVED, RECEIVED, exif=said), BERLIN)


def at(text: str) -> datetime:
    """Of 29 November 2026, in UTC."""
    return datetime.fromisoformat(f"2026-11-{text}+00:00" if " " in text else f"2026-11-29 {text}+00:00")


@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        ({ORIGINAL: "2026:11:29 24:08:19"}, at("28 23:08:19")),  # the hour after midnight
        ({ORIGINAL: "2026:11:29 10:07:00", OFFSET: "-05:00"}, at("15:07:00")),
        ({ORIGINAL: "2026:11:29 10:07:00", OFFSET_DIGITIZED: "-05:00"}, at("15:07:00")),
        ({ORIGINAL: "2026:11:29 10:08:00", OFFSET_ORIGINAL: "-5:00"}, at("15:08:00")),
        ({ORIGINAL: "2026:11:29 10:05:00Z"}, at("10:05:00")),
        ({ORIGINAL: "2026:11:29 10:06:00+00:00"}, at("10:06:00")),
        ({ORIGINAL: "2026:11:29 10:06:00 -0500"}, at("15:06:00")),
        ({ORIGINAL: "2026-11-29T10:06:00.250-05:00"}, at("15:06:00.250")),
        ({ORIGINAL: "2026:11:29 10:06:00", OFFSET_ORIGINAL: "+0530"}, at("04:36:00")),
        ({ORIGINAL: "2026:11:29 10:06:00", OFFSET_ORIGINAL: "Z"}, at("10:06:00")),
        ({ORIGINAL: "2026:11:29 10:06:00", OFFSET_ORIGINAL: "UTC+1"}, at("09:06:00")),
        ({ORIGINAL: "2026:11:29 10:06:00", OFFSET_ORIGINAL: "GMT-03:00"}, at("13:06:00")),
        ({ORIGINAL: "2026:11:29 10:06:00", OFFSET_ORIGINAL: "\u221205:00".encode()}, at("09:06:00")),  # no zone
        ({ORIGINAL: "2026:11:29 10:06:00", OFFSET_ORIGINAL: "   :  ", OFFSET: "+02:00"}, at("08:06:00")),
        ({ORIGINAL: "2026:11:29 10:06:00", OFFSET_ORIGINAL: "+99:00"}, at("09:06:00")),
        ({ORIGINAL: "2026:11:29 10:06:00", ZONE_OFFSET: -5}, at("15:06:00")),
        ({ORIGINAL: "2026:11:29 10:06:00"}, at("09:06:00")),
        ({ORIGINAL: "2026:11:29 10:06:00", FRACTION_ORIGINAL: "25"}, at("09:06:00.250")),
        ({ORIGINAL: "2026:11:29 10:06:00", FRACTION_ORIGINAL: "x"}, at("09:06:00")),
        ({ORIGINAL: "2026-11-29 10:06:00"}, at("09:06:00")),
        ({ORIGINAL: "2026/11/29 10:06:00"}, at("09:06:00")),
        ({ORIGINAL: "2026.11.29 10.06.00"}, at("09:06:00")),
        ({ORIGINAL: "2026:11:29T10:06:00"}, at("09:06:00")),
        ({ORIGINAL: "2026:11:29:10:06:00"}, at("09:06:00")),
        ({ORIGINAL: "20261129 100600"}, at("09:06:00")),
        ({ORIGINAL: "2026: 1: 9  8: 7: 5"}, datetime(2026, 1, 9, 7, 7, 5, tzinfo=UTC)),
        ({ORIGINAL: "2026:1:9 8:7:5"}, datetime(2026, 1, 9, 7, 7, 5, tzinfo=UTC)),
        ({ORIGINAL: "2026:11:29 10:06"}, at("09:06:00")),
        ({ORIGINAL: "2026:11:29 10:06:  "}, at("09:06:00")),
        ({ORIGINAL: "2026:11:29 10:06:60"}, at("09:07:00")),
        ({ORIGINAL: " 2026:11:29 10:06:00 "}, at("09:06:00")),
        ({ORIGINAL: "2026:11:29 10:06:00\0junk"}, at("09:06:00")),
        ({ORIGINAL: b"2026:11:29 10:06:00"}, at("09:06:00")),
        ({ORIGINAL: "2026:11:29 10:06:00".encode("utf-16-le")}, at("09:06:00")),
        ({ORIGINAL: "29/11/2026 10:06:00"}, at("09:06:00")),
        ({ORIGINAL: "11/29/2026 10:06:00 PM"}, at("21:06:00")),
        ({ORIGINAL: "2026:11:29 12:06:00 AM"}, at("28 23:06:00")),
        ({ORIGINAL: "Sun Nov 29 10:06:00 2026"}, at("09:06:00")),
        ({ORIGINAL: "Sun, 29 Nov 2026 10:06:00 +0100"}, at("09:06:00")),
    ],
)
def test_every_time_format_is_parsed(tags, expected, tmp_path):
    found = taken(picture(exif=exif(tags)), tmp_path)

    assert (found.at, found.clue, found.is_absurd) == (expected, "exif", False)


@pytest.mark.parametrize(
    "text",
    [
        "0000:00:00 00:00:00",
        "    :  :     :  :  ",
        "",
        "2026:11:29",
        "2026:11:29 10",
        "2026:11:29 25:06:00",
        "2026:11:31 10:06:00",
        "2026:13:29 10:06:00",
        "2026:11:29 10:06:00 and more",
        "2026:11:29 10:06:00 +99:00",
        "2026:11:29 13:06:00 AM",
        "1796029094",
        "\xff\xfe\xfd",
    ],
)
def test_an_incomplete_time_is_skipped_for_the_next_tag(text, tmp_path):
    found = taken(picture(exif=exif({ORIGINAL: text, DIGITIZED: "2026:11:29 10:06:00"})), tmp_path)

    assert (found.at, found.clue, found.is_absurd) == (at("09:06:00"), "exif", False)
    assert found.note.startswith("EXIF DateTimeOriginal is ")


@pytest.mark.parametrize(
    ("ifd", "base"),
    [
        ({DIGITIZED: "2026:11:29 10:06:00"}, {}),
        ({}, {CHANGED: "2026:11:29 10:06:00"}),
        ({}, {ORIGINAL: "2026:11:29 10:06:00"}),
        ({CHANGED: "2026:11:29 10:06:00"}, {}),
        ({}, {PREVIEW: "2026:11:29 10:06:00"}),
        ({OFFSET: "+01:00"}, {CHANGED: "2026:11:29 10:06:00"}),
        ({ORIGINAL: "1970:01:01 00:00:10"}, {CHANGED: "2026:11:29 10:06:00"}),
    ],
)
def test_every_tag_is_used_if_those_before_it_are_missing(ifd, base, tmp_path):
    assert taken(picture(exif=exif(ifd, base)), tmp_path).at == at("09:06:00")


def test_gps_time_is_used_if_the_clock_was_never_set(tmp_path):
    gps = {29: "2026:11:29", 7: (9.0, 6.0, 0.5)}

    found = taken(picture(exif=exif({ORIGINAL: "2000:01:01 00:00:10"}, gps=gps)), tmp_path)

    assert (found.at, found.is_absurd) == (at("09:06:00.500"), True)
    assert taken(picture(exif=exif({ORIGINAL: "2026:11:29 10:07:00"}, gps=gps)), tmp_path).at == at("09:07:00")


@pytest.mark.parametrize("gps", [{29: "", 7: (9.0, 6.0, 0.5)}, {29: "2026:11:31", 7: (9.0, 6.0, 0.5)}, {7: (9.0,)}])
def test_an_invalid_gps_time_does_not_affect_other_tags(gps, tmp_path):
    found = taken(picture(exif=exif({}, {PREVIEW: "2026:11:29 10:06:00"}, gps=gps)), tmp_path)

    assert found.at == at("09:06:00")


def with_text(name: str, text: str) -> PngImagePlugin.PngInfo:
    info = PngImagePlugin.PngInfo()
    info.add_text(name, text)
    return info


def xmp(text: str) -> bytes:
    return f'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description {text}/></x:xmpmeta>'.encode()


PICTURES = {
    "png": lambda: picture("PNG", exif=exif({ORIGINAL: "2026:11:29 10:06:00"})),
    "webp": lambda: picture("WEBP", exif=exif({ORIGINAL: "2026:11:29 10:06:00"})),
    "tiff": lambda: picture("TIFF", tiffinfo=tiff_tags()),
    "png_creation_time": lambda: picture("PNG", pnginfo=with_text("Creation Time", "Sun, 29 Nov 2026 10:06:00 +0100")),
    "png_plain": lambda: picture("PNG", pnginfo=with_text("Creation Time", "2026-11-29 10:06:00")),
    "xmp": lambda: picture(xmp=xmp('exif:DateTimeOriginal="2026-11-29T04:06:00-05:00"')),
    "xmp_date": lambda: picture(xmp=xmp('xmp:CreateDate="2026-11-29T09:06Z"')),
}


def tiff_tags() -> TiffImagePlugin.ImageFileDirectory_v2:
    tags = TiffImagePlugin.ImageFileDirectory_v2()
    tags[CHANGED] = "2026:11:29 10:06:00"
    return tags


@pytest.mark.parametrize("kind", PICTURES)
def test_other_picture_formats_are_supported(kind, tmp_path):
    found = taken(PICTURES[kind](), tmp_path)

    assert (found.at, found.clue) == (at("09:06:00"), "exif")


@pytest.mark.parametrize("kind", PICTURES)
def test_metadata_is_read_only_in_a_child_process(kind, tmp_path, monkeypatch):
    file = PICTURES[kind]()

    def parsed_here(*args: Any, **kwargs: Any) -> None:
        raise AssertionError("an untrusted picture is parsed in this process")

    for name in ("open", "Exif"):
        monkeypatch.setattr(Image, name, parsed_here)

    assert taken(file, tmp_path).at == at("09:06:00")


def test_ambiguous_day_and_month_resolve_to_the_date_nearer_to_the_file_time(tmp_path):
    assert taken(picture(exif=exif({ORIGINAL: "05/11/2026 10:06:00"})), tmp_path).at.month == 11
    assert taken(picture(exif=exif({ORIGINAL: "11/05/2026 10:06:00"})), tmp_path).at.month == 11


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_truncated_or_invalid_exif_does_not_reject_a_picture(tmp_path):
    whole = exif({ORIGINAL: "2026:11:29 10:06:00"}, {CHANGED: "2026:11:29 10:06:00"})

    for length in range(6, len(whole), 3):
        found = taken(picture(exif=whole[:length]), tmp_path)
        assert abs(found.at - RECEIVED) < timedelta(days=2)
